/** @file docs/generate.md is what the table of options says. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { generationDocument } from '../scripts/generate-generation-doc.js'

it('docs/generate.md is up to date (update it with npm run docs)', async () => {
  expect(readFileSync('docs/generate.md', 'utf8')).toBe(await generationDocument())
})

/** @file docs/paper.md is what the kept runs say. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { paperDocument } from '../scripts/generate-paper-doc.js'

it('docs/paper.md is up to date (update it with npm run docs)', async () => {
  expect(readFileSync('docs/paper.md', 'utf8')).toBe(await paperDocument())
})

/** @file docs/presets.md is what the table of presets says. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { presetsDocument } from '../scripts/generate-presets-doc.js'

it('docs/presets.md is up to date (update it with npm run docs)', async () => {
  expect(readFileSync('docs/presets.md', 'utf8')).toBe(await presetsDocument())
})

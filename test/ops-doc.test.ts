/** @file docs/ops.md is what the lists of operators and rules say. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { opsDocument } from '../scripts/generate-ops-doc.js'

it('docs/ops.md is up to date', () => {
  // On failure run: npx tsx scripts/generate-ops-doc.ts
  expect(readFileSync('docs/ops.md', 'utf8')).toBe(opsDocument())
})

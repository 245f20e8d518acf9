/** @file The table of architectures is the one that the registry makes. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { architecturesDocument } from '../scripts/generate-architectures-doc.js'

// On failure run: npm run docs
it('docs/architectures.md is up to date', () =>
  expect(readFileSync('docs/architectures.md', 'utf8')).toBe(architecturesDocument()))

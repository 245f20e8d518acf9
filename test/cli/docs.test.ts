/** @file docs/cli.md is what the tables of flags say. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { cliDocument } from '../../scripts/generate-cli-doc.js'

it('docs/cli.md is what the tables of flags say (update it with npm run docs)', async () => {
  expect(readFileSync(resolve(import.meta.dirname, '../../docs/cli.md'), 'utf8')).toBe(await cliDocument())
})

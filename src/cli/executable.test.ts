/** @file The command that is built can be run. */
import { statSync } from 'node:fs'
import { expect, it } from 'vitest'

it.skipIf(process.platform === 'win32')('a build can be run as a program: npx makes it one only when it first meets it', () => {
  expect(statSync('dist/cli/main.js').mode & 0o111).toBe(0o111)
})

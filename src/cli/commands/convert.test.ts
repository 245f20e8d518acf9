/** @file The formats that `lowrank convert` offers are held to those that the library writes; the command lists them itself, so that help loads no format. */
import { expect, it } from 'vitest'
import { adapterFormats } from '../../formats/adapter-formats.js'
import { convertCommand } from './convert.js'

it('offers every format that can be written, and tells of every format there is', () => {
  const writable = adapterFormats.filter(({ write }) => write !== undefined).map(({ name }) => name)
  expect([...(convertCommand.flags.format?.choices ?? [])].sort()).toEqual(writable.sort())
  for (const { name } of adapterFormats) expect(convertCommand.description).toContain(name)
})

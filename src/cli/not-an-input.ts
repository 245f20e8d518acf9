/** @file What is written must not be a file that is read, nor one that is there and shall stay. */
import { resolve } from 'node:path'
import { InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'

/**
 * @param inputs files of rows, or folders of them
 * @param what they are, for the message
 * @throws InvalidOptionError if the file is one of them or, being there already, lies in one
 */
export async function refuseInput(
  files: Files,
  out: string,
  inputs: readonly string[],
  what = 'a file of --data',
): Promise<void> {
  if (!(await files.exists(out))) return
  const written = await files.realPath(out)
  for (const input of inputs) {
    if (!(await files.exists(input))) continue
    const read = await files.realPath(input)
    if (written === read || written.startsWith(`${read.replace(/[/\\]+$/, '')}/`))
      throw new InvalidOptionError(`"${out}" is ${what}, which is never replaced; choose another file`)
  }
}

/**
 * @param outs files that are to be written
 * @param inputs files that are read
 * @throws InvalidOptionError for one that is read, or is there already and shall not be replaced, and for two that are one
 */
export async function checkOutputs(
  files: Files,
  outs: readonly string[],
  inputs: readonly string[],
  overwrite: boolean,
): Promise<void> {
  const twice = outs.find((out, i) => outs.findIndex((other) => resolve(other) === resolve(out)) < i)
  if (twice !== undefined)
    throw new InvalidOptionError(`"${twice}" would be written twice, the second time over the first; name two files`)
  for (const out of outs) {
    await refuseInput(files, out, inputs, 'a file that is read')
    if (!overwrite && (await files.exists(out)))
      throw new InvalidOptionError(`"${out}" is there already. Choose another file, or replace it with --overwrite.`)
  }
}

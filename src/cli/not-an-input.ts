/** @file A file that is written must not be one that is read. */
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

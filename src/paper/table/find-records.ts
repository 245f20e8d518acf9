/** @file Records of runs in folders, however deep they lie. */
import { InvalidOptionError } from '../../errors.js'
import type { Files } from '../../io/files.js'
import { parseRecord, RECORD_FILE, type PaperRecord } from '../record.js'

/** @throws InvalidOptionError naming a folder that holds no run; InvalidDataError for a record that is none */
export async function findRecords(files: Files, folders: readonly string[]): Promise<PaperRecord[]> {
  const records = new Map<string, PaperRecord>()
  for (const folder of folders) {
    if (!(await files.isDirectory(folder))) throw new InvalidOptionError(`"${folder}" is no folder; name folders of runs`)
    const found = await recordFiles(files, folder)
    if (found.length === 0)
      throw new InvalidOptionError(
        `"${folder}" holds no ${RECORD_FILE}; lowrank paper nlu run and lowrank paper nlg score write it where a run has ended`,
      )
    // A run that lies in two of the folders counts once.
    for (const file of found) records.set(await files.realPath(file), parseRecord(await files.readText(file), file))
  }
  return [...records.values()]
}

async function recordFiles(files: Files, folder: string): Promise<string[]> {
  const found: string[] = []
  for (const name of await files.list(folder)) {
    const path = `${folder}/${name}`
    if (name === RECORD_FILE) found.push(path)
    else if (await files.isDirectory(path)) found.push(...(await recordFiles(files, path)))
  }
  return found
}

/** @file Records of runs in folders, however deep they lie. */
import { InvalidOptionError } from '../../errors.js'
import type { Files } from '../../io/files.js'
import { parseRecord, RECORD_FILE, type PaperRecord } from '../record.js'
import { groupKey } from './compare.js'

/**
 * @throws InvalidOptionError naming a folder that holds no run, and two runs that would be the same number of a table;
 * InvalidDataError for a record that is none
 */
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
  checkDistinct(records)
  return [...records.values()]
}

/** A seed has one number of a task: a second one would be left out of its row, and counted in the mean. */
function checkDistinct(records: ReadonlyMap<string, PaperRecord>): void {
  const files = new Map<string, string>()
  for (const [file, record] of records) {
    const { task, seed, model } = record
    const key = JSON.stringify([groupKey(record), task, seed])
    const other = files.get(key)
    if (other !== undefined)
      throw new InvalidOptionError(
        `${other} and ${file} are both ${task} of ${record.preset ?? 'no preset'} on ${model} with seed ${seed}; name the folders of the runs that the table shall have, one of these two among them`,
      )
    files.set(key, file)
  }
}

/** The files of records in a folder and all below it. */
export async function recordFiles(files: Files, folder: string): Promise<string[]> {
  const found: string[] = []
  for (const name of await files.list(folder)) {
    const path = `${folder}/${name}`
    if (name === RECORD_FILE) found.push(path)
    else if (await files.isDirectory(path)) found.push(...(await recordFiles(files, path)))
  }
  return found
}

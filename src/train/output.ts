/** @file The output folder of a run: one run at a time writes there, and never unasked over something that is finished. */
import { listCheckpoints, refuseBase, refuseFinished, removeAdapter } from '../model/output-place.js'
import { InvalidOptionError } from '../errors.js'
import { checkAdapterFolderName } from '../formats/peft.js'
import type { Files } from '../io/files.js'
import { FolderLock } from '../io/folder-lock.js'
import { removeCheckpoints, removeLeftovers } from './checkpoint.js'
import { LOG_FILE } from './log.js'
import { EVENT_FILE } from '../tracking/index.js'
import { isReport, REPORT_FILE } from './report-file.js'
import { isRunFile, RUN_FILE } from './run-file.js'
import { RUNS_FOLDER } from './tracking.js'
import type { ResolvedTrainOptions } from './option-table.js'
import type { Trainee } from './trainee.js'

/** What else a run writes, and whether a text is that: names that others use too. */
const RESULTS: Readonly<Record<string, (text: string) => boolean>> = {
  [LOG_FILE]: (text) => text === '' || text.startsWith('{"event":'),
  [RUN_FILE]: isRunFile,
  [REPORT_FILE]: isReport,
}

/** An output folder that is this run's alone until it is released. */
export class Output {
  private constructor(
    private readonly files: Files,
    readonly path: string,
    private readonly lock: FolderLock,
    /** Whether there is a checkpoint that the run shall continue from. */
    readonly continues: boolean,
  ) {}

  /**
   * Takes the folder of a run, after seeing what it holds.
   * @throws FileError if another run writes there, or nobody may
   * @throws InvalidOptionError if it is the folder of the base model, or holds what must not be lost
   */
  static async take({ model }: Trainee, options: ResolvedTrainOptions): Promise<Output | undefined> {
    const { out, resume, overwrite } = options
    const { files } = model.environment
    if (out === undefined) return undefined
    await refuseBase(files, out, model)
    await checkAdapterFolderName(files, out)
    const lock = await FolderLock.take(files, out)
    try {
      const continues = resume && (await listCheckpoints(files, out)).length > 0
      if (!continues && !overwrite) {
        await refuseFinished(files, out, resume)
        await refuseForeign(files, out)
      }
      return new Output(files, out, lock, continues)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** Makes the folder ready for the first step: what an earlier run left goes, unless this one continues it. */
  async prepare(): Promise<void> {
    const { files, path } = this
    await removeLeftovers(files, path)
    if (this.continues) return
    await removeCheckpoints(files, path)
    await removeAdapter(files, path)
    for (const name of Object.keys(RESULTS)) await files.remove(`${path}/${name}`)
    const runs = `${path}/${RUNS_FOLDER}`
    if (!(await files.isDirectory(runs))) return
    for (const name of await files.list(runs)) if (EVENT_FILE.test(name)) await files.remove(`${runs}/${name}`)
  }

  /** Before something is written. @throws FileError if the folder is another run's by now */
  keep(): Promise<void> {
    return this.lock.keep()
  }

  release(): Promise<void> {
    return this.lock.release()
  }
}

/** @throws InvalidOptionError naming a file that the run would write, and that no run has written */
async function refuseForeign(files: Files, out: string): Promise<void> {
  for (const [name, isOurs] of Object.entries(RESULTS)) {
    const path = `${out}/${name}`
    if ((await files.exists(path)) && !isOurs(await files.readText(path)))
      throw new InvalidOptionError(
        `"${path}" was not written by a run of lowrank. Move it, choose another output folder, or replace it with overwrite (--overwrite).`,
      )
  }
}

/** @file Event files that TensorBoard reads, in a folder. */
import type { Files } from '../io/files.js'
import { endRecord, scalarsRecord, settingsRecord, startRecord, textRecord, versionRecord } from './event-file.js'
import { Outbox } from './outbox.js'
import type { Scalars, TrackedEnd, TrackedRun, Tracker } from './tracker.js'
import { joinBytes } from '../util/join-bytes.js'

/** What event files are called. TensorBoard looks for the first part, and reads those of a folder in the order of their names. */
export const EVENT_FILE = /^events\.out\.tfevents\.\d+\.lowrank\.\d+$/

/** A new event file in a folder; one that a run continues has those of its parts beside each other. */
export class TensorBoardTracker implements Tracker {
  private readonly outbox: Outbox<Uint8Array>
  private path: string | undefined
  private begun = 0

  constructor(
    private readonly files: Files,
    private readonly folder: string,
  ) {
    const send = async (records: readonly Uint8Array[]): Promise<void> => {
      await files.append((this.path ??= await this.newPath()), joinBytes(records))
    }
    this.outbox = new Outbox({ name: 'tensorboard', send, batch: 1000 })
  }

  begin({ name, settings, resumedAt }: TrackedRun, time: number): void {
    this.begun = time
    this.outbox.push(versionRecord(time))
    this.outbox.push(startRecord(time, resumedAt > 0 ? resumedAt + 1 : 0))
    this.outbox.push(settingsRecord(time, name, settings))
  }

  scalars(step: number, values: Scalars, time: number): void {
    this.outbox.push(scalarsRecord(time, step, values))
  }

  text(step: number, tag: string, text: string, time: number): void {
    this.outbox.push(textRecord(time, step, tag, text))
  }

  async end(how: TrackedEnd, time: number): Promise<void> {
    this.outbox.push(endRecord(time, how))
    await this.outbox.end()
  }

  warnings(): readonly string[] {
    return this.outbox.warnings()
  }

  /** A name that sorts after those of earlier parts. In place of a host's name it has the program's: folders are shared. */
  private async newPath(): Promise<string> {
    const seconds = String(Math.floor(this.begun / 1000)).padStart(10, '0')
    for (let n = 0; ; n++) {
      const path = `${this.folder}/events.out.tfevents.${seconds}.lowrank.${n}`
      if (!(await this.files.exists(path))) return path
    }
  }
}

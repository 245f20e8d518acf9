/** @file The run's log: every event as a line of JSON in `log.jsonl`. */
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { isObject } from '../util/json.js'
import type { TrainEvent } from './events.js'

export const LOG_FILE = 'log.jsonl'

/** Appends events to the log of an output folder; without a folder it records nothing. */
export class RunLog {
  private constructor(
    private readonly files: Files,
    private readonly path: string | undefined,
    private readonly beforeWriting: () => Promise<void>,
  ) {}

  /**
   * Opens the log of a run. A fresh run starts a new log; a resumed one keeps what belongs to the steps it
   * continues from and drops what the interrupted run did after its last checkpoint.
   * @param beforeWriting throws if the folder is not this run's any more
   */
  static async open(files: Files, out: string | undefined, step: number, beforeWriting: () => Promise<void>): Promise<RunLog> {
    const log = new RunLog(files, out === undefined ? undefined : `${out}/${LOG_FILE}`, beforeWriting)
    if (log.path === undefined) return log
    const kept = step > 0 && (await files.exists(log.path)) ? keepUntil(await files.readText(log.path), step) : ''
    await files.write(log.path, kept)
    return log
  }

  /** What was recorded, of earlier parts of a resumed run too. */
  async events(): Promise<TrainEvent[]> {
    return this.path === undefined ? [] : parseEvents(await this.files.readText(this.path), this.path)
  }

  /** @throws FileError if the disk is full, or the folder another run's by now */
  async append(event: TrainEvent): Promise<void> {
    if (this.path === undefined) return
    await this.beforeWriting()
    await this.files.append(this.path, `${JSON.stringify(event)}\n`)
  }
}

/**
 * The events of a log. JSON has no NaN: the loss of a step that was skipped stands there as null.
 * @param path of the log, for messages
 * @throws InvalidDataError naming the line that is no event
 */
export function parseEvents(text: string, path = LOG_FILE): TrainEvent[] {
  return text.split('\n').flatMap((line, i) => (line === '' ? [] : [parseEvent(line, `${path}, line ${i + 1}`)]))
}

function parseEvent(line: string, where: string): TrainEvent {
  const fail = (cause?: unknown): never => {
    throw new InvalidDataError(
      `${where} is no event of a run: ${line.length > 60 ? `${line.slice(0, 60)}…` : line}. The log is damaged there; take the line out, or train again.`,
      { cause },
    )
  }
  let event: unknown
  try {
    event = JSON.parse(line, (_, value: unknown) => (value === null ? Number.NaN : value))
  } catch (cause) {
    return fail(cause)
  }
  return isObject(event) && typeof event['event'] === 'string' ? (event as unknown as TrainEvent) : fail()
}

/** Lines up to a step; a last line cut off by a kill is dropped. */
function keepUntil(text: string, step: number): string {
  const lines = text.split('\n').filter((line) => {
    try {
      const event = JSON.parse(line) as TrainEvent
      return event.event !== 'done' && event.event !== 'error' && (!('step' in event) || event.step <= step)
    } catch {
      return false
    }
  })
  return lines.map((line) => `${line}\n`).join('')
}

/** @file Rows are checked before the first step: a bad one costs a message, not hours of work. */
import type { BatchOptions, Dataset } from '../data/dataset.js'
import { InvalidDataError } from '../errors.js'
import type { CheckingEvent } from './events.js'

/** Bad rows that are told at once. */
const MOST_PROBLEMS = 10
/** Files of so many bytes are checked whole in a moment, however few of their rows the run will meet. */
const SMALL_BYTES = 64 << 20
/** Between two words about a check. */
const REPORT_MS = 1000
/** Between two occasions for others, a signal for one, to be heard. */
const PAUSE_MS = 50

export interface DataToCheck {
  readonly name: CheckingEvent['data']
  readonly dataset: Dataset
  readonly batches: BatchOptions
  /** Batches that the run reads, as many as an epoch has or more if it reads all of them. */
  readonly count: number
  readonly perEpoch: number
}

const pause = (): Promise<void> => new Promise((go) => setTimeout(go, 0))

/**
 * Reads and tokenises every row once: of files larger than 64 MiB those that the run will meet.
 * @param now milliseconds from any fixed point
 * @param stopped ends the check, without a word, when it says so
 * @throws InvalidDataError naming the bad rows, up to ten
 */
export async function* checkData(
  parts: readonly DataToCheck[],
  now: () => number,
  stopped: () => boolean,
): AsyncGenerator<CheckingEvent> {
  const problems: InvalidDataError[] = []
  let reported = now()
  let paused = reported
  for (const { name, dataset, batches, count, perEpoch } of parts) {
    if (problems.length >= MOST_PROBLEMS) break
    const all = count >= perEpoch
    const rows = dataset.rowsOfBatches(all || dataset.size <= SMALL_BYTES ? Infinity : count, batches)
    let told = false
    const onProblem = (error: InvalidDataError): boolean => {
      // A damaged part of a file is damaged for every row in it.
      if (!problems.some(({ message }) => message === error.message)) problems.push(error)
      return problems.length < MOST_PROBLEMS
    }
    for await (const seen of dataset.check(rows, batches, { lastBatch: all, onProblem })) {
      if (stopped()) return
      const time = now()
      if (time - reported >= REPORT_MS || (told && seen === rows.length)) {
        yield { event: 'checking', data: name, rows: seen, of: rows.length }
        told = true
        reported = time
      }
      if (time - paused < PAUSE_MS) continue
      await pause()
      paused = now()
    }
  }
  const [first] = problems
  if (first === undefined) return
  if (problems.length === 1) throw first
  const many = problems.length < MOST_PROBLEMS ? `${problems.length} rows` : `at least ${MOST_PROBLEMS} rows`
  throw new InvalidDataError([`${many} cannot be used:`, ...problems.map(({ message }) => `- ${message}`)].join('\n'), {
    cause: first,
  })
}

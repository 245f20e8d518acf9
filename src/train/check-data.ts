/** @file Rows are checked before the first step: a bad one costs a message, not hours of work. */
import type { BatchOptions, Dataset } from '../data/dataset.js'
import { at, placeOf, type Row } from '../data/rows.js'
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
  const problems: Problem[] = []
  let reported = now()
  let paused = reported
  for (const { name, dataset, batches, count, perEpoch } of parts) {
    if (problems.length >= MOST_PROBLEMS) break
    const all = count >= perEpoch
    const rows = dataset.rowsOfBatches(all || dataset.size <= SMALL_BYTES ? Infinity : count, batches)
    let told = false
    const onProblem = (error: InvalidDataError, index: number): boolean => {
      // A damaged part of a file is damaged for every row in it.
      if (!problems.some((each) => each.error.message === error.message)) problems.push({ error, place: dataset.place(index) })
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
  if (problems.length === 1) throw first.error
  const many = problems.length < MOST_PROBLEMS ? `${problems.length} rows` : `at least ${MOST_PROBLEMS} rows`
  throw new InvalidDataError([`${many} cannot be used:`, ...told(problems).map((line) => `- ${line}`)].join('\n'), {
    cause: first.error,
  })
}

/** What is wrong with a row, and which row it is. */
interface Problem {
  readonly error: InvalidDataError
  readonly place: Pick<Row, 'file' | 'line' | 'unit'>
}

/** Messages, each once: that of the first row, and which others it is true of. */
function told(problems: readonly Problem[]): string[] {
  const reasonOf = ({ error, place }: Problem): string => error.message.replace(`${at(place)}: `, '')
  const reasons = [...new Set(problems.map(reasonOf))]
  return reasons.map((reason) => {
    const [first, ...others] = problems.filter((each) => reasonOf(each) === reason)
    const names = others.map(({ place }) => (place.file === first!.place.file ? placeOf(place) : at(place)))
    return names.length === 0 ? first!.error.message : `${first!.error.message} The same: ${names.join('; ')}.`
  })
}

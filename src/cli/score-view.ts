/** @file Scores of texts as they are printed, and segment by segment in a file. */
import type { Files } from '../io/files.js'
import type { MetricScore, Scores, Segment } from '../metrics/index.js'
import type { Output } from './flags.js'
import { counted, table } from './format.js'
import { checkOutputs } from './not-an-input.js'
import { UsageError } from './usage-error.js'

const entriesOf = (scores: Scores): [string, MetricScore][] => Object.entries(scores)

/** Scores for programs: without those of segments. */
const scoresJson = (scores: Scores): Record<string, object> =>
  Object.fromEntries(
    entriesOf(scores).map(([metric, { name, score, tokenizer, lowercase }]) => [metric, { name, score, tokenizer, lowercase }]),
  )

/** A table for people: digits as the scripts of papers print them. */
function showScores(scores: Scores, segments: number, output: Output): void {
  const rows = entriesOf(scores).map(([metric, { name, score, tokenizer, lowercase }]) => [
    metric,
    score.toFixed(4),
    name,
    `${tokenizer}${lowercase === true ? ', small letters' : ''}`,
  ])
  for (const line of table(['metric', 'score', 'name', 'words'], rows, [1])) output.print(line)
  output.note(output.color.dim(counted(segments, 'segment')))
}

/**
 * Refuses a file for the scores of segments that is there already, or is read.
 * @param inputs files that are read
 */
export async function checkSegmentFile(
  files: Files,
  { 'per-segment': out, overwrite }: { readonly 'per-segment': string | undefined; readonly overwrite: boolean },
  inputs: () => Promise<readonly string[]>,
): Promise<void> {
  if (out === undefined) {
    if (overwrite) throw new UsageError('--overwrite is for the file of --per-segment.')
    return
  }
  await checkOutputs(files, [out], await inputs(), overwrite)
}

/** Prints scores, and writes those of segments where a file is named. */
export async function tellScores(
  { scores, segments }: { readonly scores: Scores; readonly segments: readonly Segment[] },
  files: Files,
  perSegment: string | undefined,
  output: Output,
): Promise<void> {
  if (output.json) output.printJson({ segments: segments.length, scores: scoresJson(scores) })
  else showScores(scores, segments.length, output)
  // Behind them: a disk that is full takes no scores of texts that were hours in the writing.
  if (perSegment !== undefined) await files.write(perSegment, segmentLines(segments, scores))
}

/** Lines of JSON: each segment with its scores; those that a metric does not count are null. */
function segmentLines(segments: readonly Segment[], scores: Scores): string {
  const scored = entriesOf(scores).flatMap(([metric, { segments: each }]) => (each === undefined ? [] : [[metric, each] as const])) // prettier-ignore
  const lines = segments.map(({ hypothesis, references }, i) =>
    JSON.stringify({
      segment: i + 1,
      ...Object.fromEntries(scored.map(([metric, each]) => [metric, each[i]?.score ?? null])),
      hypothesis,
      references,
    }),
  )
  return `${lines.join('\n')}\n`
}

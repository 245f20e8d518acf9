/** @file Scores of texts as they are printed, and segment by segment in a file. */
import type { MetricScore, Scores, Segment } from '../metrics/index.js'
import type { Output } from './flags.js'
import { counted, table } from './format.js'

const entriesOf = (scores: Scores): [string, MetricScore][] => Object.entries(scores)

/** Scores for programs: without those of segments. */
export const scoresJson = (scores: Scores): Record<string, object> =>
  Object.fromEntries(
    entriesOf(scores).map(([metric, { name, score, tokenizer, lowercase }]) => [metric, { name, score, tokenizer, lowercase }]),
  )

/** A table for people: digits as the scripts of papers print them. */
export function showScores(scores: Scores, segments: number, output: Output): void {
  const rows = entriesOf(scores).map(([metric, { name, score, tokenizer, lowercase }]) => [
    metric,
    score.toFixed(4),
    name,
    `${tokenizer}${lowercase === true ? ', small letters' : ''}`,
  ])
  for (const line of table(['metric', 'score', 'name', 'words'], rows, [1])) output.print(line)
  output.note(output.color.dim(counted(segments, 'segment')))
}

/** Lines of JSON: each segment with its scores; those that a metric does not count are null. */
export function segmentLines(segments: readonly Segment[], scores: Scores): string {
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

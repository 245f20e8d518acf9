/** @file What metrics of texts compare: one text that was written, and the texts that it should be like. */
import { InvalidDataError } from '../errors.js'
import { checkArgument, listArgument } from '../util/arguments.js'

/** A text that was generated, and those that people wrote for the same input. */
export interface Segment {
  /** The text to be scored. */
  readonly hypothesis: string
  /** The texts that it is compared with: one or more. An empty text is a reference too; each metric says what it makes of it. */
  readonly references: readonly string[]
}

/** What a metric says of one segment. */
export interface SegmentScore {
  /** The metric of this segment alone. */
  readonly score: number
}

/**
 * Refuses what no metric is defined on.
 * @throws InvalidDataError without segments, or for one that lacks its texts or its references, by its place (from 1)
 */
export function checkSegments(segments: readonly Segment[], metric: string): void {
  checkArgument(segments, listArgument, metric)
  if (segments.length === 0) throw new InvalidDataError(`${metric}: there are no segments to score; give at least one`)
  segments.forEach((segment: Segment | null | undefined, i) => {
    const refuse = (what: string): never => {
      throw new InvalidDataError(`${metric}: segment ${i + 1} ${what}`)
    }
    const { hypothesis, references } = segment ?? refuse('is no object of "hypothesis" and "references"')
    if (typeof hypothesis !== 'string') refuse(`has no text to score: "hypothesis" is ${typeof hypothesis}`)
    if (!Array.isArray(references) || references.some((text) => typeof text !== 'string'))
      refuse('has no list of texts under "references"')
    if (references.length === 0) refuse('has no reference; give each segment one or more, "" where it is empty')
  })
}

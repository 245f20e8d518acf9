/** @file Named entities in BIO labels: the stretches they mark, and their F1. */
import { InvalidDataError } from '../errors.js'

/** A stretch of tokens of one type: [start, end). */
export interface Entity {
  /** What follows `B-` or `I-` in its labels. */
  readonly type: string
  /** Its first token. */
  readonly start: number
  /** The token behind its last. */
  readonly end: number
}

const TAG = /^([BI])-(.+)$/

/**
 * Whether label names follow the scheme: `O`, and `B-…` or `I-…` for everything else.
 * @example
 * isBio(['O', 'B-PER', 'I-PER']) // true
 */
export const isBio = (names: readonly string[]): boolean =>
  names.includes('O') && names.some((name) => TAG.test(name)) && names.every((name) => name === 'O' || TAG.test(name))

/**
 * The entities of a sequence of labels, as seqeval and conlleval read them: `B` begins one, `I` goes on one of the same
 * type and else begins one.
 * @example
 * entitiesOf(['B-PER', 'I-PER', 'O']) // [{ type: 'PER', start: 0, end: 2 }]
 */
export function entitiesOf(tags: readonly string[]): Entity[] {
  const entities: Entity[] = []
  let open: { type: string; start: number } | undefined
  const close = (end: number): void => {
    if (open !== undefined) entities.push({ ...open, end })
    open = undefined
  }
  tags.forEach((tag, i) => {
    const [, kind, type] = TAG.exec(tag) ?? []
    if (kind === 'I' && open?.type === type) return
    close(i)
    if (type !== undefined) open = { type, start: i }
  })
  close(tags.length)
  return entities
}

/**
 * Counts of entities over many sequences: those that are labelled, those that are predicted, and those that are both, with their
 * type and both ends.
 * @example
 * const counts = new EntityCounts()
 * counts.add(['B-PER', 'O'], ['B-PER', 'B-LOC'])
 * counts.precision // 0.5
 */
export class EntityCounts {
  private correct = 0
  private labelled = 0
  private predicted = 0

  /**
   * Labels and predictions of one sequence, by name: one of each a token.
   * @throws InvalidDataError where there are more of one
   */
  add(labels: readonly string[], predictions: readonly string[]): void {
    if (labels.length !== predictions.length)
      throw new InvalidDataError(`EntityCounts: ${labels.length} labels and ${predictions.length} predictions; give one of each a token`) // prettier-ignore
    const key = ({ type, start, end }: Entity): string => `${start} ${end} ${type}`
    const truth = new Set(entitiesOf(labels).map(key))
    const found = entitiesOf(predictions).map(key)
    this.labelled += truth.size
    this.predicted += found.length
    this.correct += found.filter((entity) => truth.has(entity)).length
  }

  /** Share of predicted entities that are labelled; 0 of none. */
  get precision(): number {
    return this.predicted === 0 ? 0 : this.correct / this.predicted
  }

  /** Share of labelled entities that are predicted; 0 of none. */
  get recall(): number {
    return this.labelled === 0 ? 0 : this.correct / this.labelled
  }

  /** Harmonic mean of precision and recall over all entities (micro average); 0 where there are none. */
  get f1(): number {
    const both = this.labelled + this.predicted
    return both === 0 ? 0 : (2 * this.correct) / both
  }
}

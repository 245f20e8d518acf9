/** @file The labels of examples: of a row for people, and how often each occurs over all of them. */
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import type { Task } from '../models/task.js'
import type { LabelCount, ShownRow, ShownSequence } from './data-inspection.js'
import type { ExampleView } from './view.js'

/** Labels that are listed. */
const MOST_LABELS = 1000

const nameOf = ({ labels }: Task, label: number): string | number => labels[label] ?? label

/** What `label` says of a completion, by number. */
const judgements = ['undesirable', 'desirable'] as const

const numbersOf = (values: ArrayLike<number> | undefined): number[] => (values === undefined ? [] : Array.from(values))

/** What an example has as a whole. @param objective its name */
export function rowLabel({ others }: ExampleView, objective: string, task: Task): ShownRow['label'] {
  const numbers = numbersOf(others['labels']?.values)
  switch (objective) {
    case 'single-label':
      return nameOf(task, numbers[0]!)
    case 'multi-label':
      return numbers.every((value) => value === 0 || value === 1)
        ? numbers.flatMap((value, label) => (value === 1 ? [nameOf(task, label)] : []))
        : numbers
    case 'regression':
      return numbers.length === 1 ? numbers[0]! : numbers
  }
  const desirable = others['desirable']?.values
  if (desirable !== undefined) return judgements[desirable[0]!]!
  const score = others['score']?.values
  return score === undefined ? undefined : score[0]!
}

/** The tokens between the two ends of an answer that lies in the row. */
export function answerSpan({ others, lengths }: ExampleView): [start: number, end: number] | undefined {
  const [start, end] = ['start_positions', 'end_positions'].map((name) => others[name]?.values[0])
  const isThere = start !== undefined && end !== undefined && start >= 0 && start <= end && end < lengths[0]!
  return isThere ? [start, end + 1] : undefined
}

/** Names of the labels of tagged tokens. */
export const tagsOf = (labels: readonly number[], task: Task): NonNullable<ShownSequence['tags']> =>
  labels.map((label) => (label === IGNORED_LABEL ? null : String(nameOf(task, label))))

/** Counts the labels of examples; of a task without classes or judgements there are none. */
export class LabelCounts {
  private readonly counts = new Map<number, number>()
  /** Whether the labels say which completions are desirable. */
  private isJudged = false

  constructor(
    private readonly objective: string,
    private readonly task: Task,
  ) {}

  add({ sequences, others }: ExampleView): void {
    const note = (label: number): void => {
      if (label !== IGNORED_LABEL) this.counts.set(label, (this.counts.get(label) ?? 0) + 1)
    }
    const desirable = others['desirable']?.values
    if (desirable !== undefined) {
      this.isJudged = true
      return note(desirable[0]!)
    }
    switch (this.objective) {
      case 'single-label':
        return note(others['labels']!.values[0]!)
      case 'multi-label':
        return numbersOf(others['labels']!.values).forEach((value, label) => {
          if (value >= 0.5) note(label)
        })
      case 'token-classification':
        return numbersOf(sequences[0]?.labels ?? others['labels']?.values).forEach(note)
    }
  }

  /** By number, those that never occur among them. */
  result(): readonly LabelCount[] | undefined {
    if (this.isJudged) return judgements.map((label, i) => ({ label, count: this.counts.get(i) ?? 0 }))
    if (!['single-label', 'multi-label', 'token-classification'].includes(this.objective)) return undefined
    const { numLabels } = this.task
    return Array.from({ length: Math.min(numLabels, MOST_LABELS) }, (_, label) => ({
      label: nameOf(this.task, label),
      count: this.counts.get(label) ?? 0,
    }))
  }
}

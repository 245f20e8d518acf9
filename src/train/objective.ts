/** @file What a task makes of rows and graphs: examples, a summed loss, metrics. The trainer knows no task. */
import type { Batch } from '../data/batch.js'
import type { RowEncoding } from '../data/encoding.js'
import type { TaskEncodingOptions } from '../data/task-encoding.js'
import type { Graph } from '../graph/graph.js'
import type { HostTensor, Value } from '../graph/types.js'

/** A model's graph with a loss on it. */
export interface ObjectiveGraph {
  readonly graph: Graph
  /** Summed over what is counted, a scalar. */
  readonly loss: Value
  /** What the loss is summed over, a scalar; the batch's labelled units by default. */
  readonly count?: Value
  /** What the scores read, in evaluation. */
  readonly outputs: readonly Value[]
  /** Scalars that add up over runs, by the names that steps and evaluations give their means. */
  readonly sums?: Readonly<Record<string, Value>>
}

export interface LossContext {
  /** The model's graph, its outputs the model's own, the task's first. */
  readonly graph: Graph
  /** Final hidden states, [batch*sequence, hidden]. */
  readonly hidden: Value
  /** Most labelled positions of one run, to choose the chunks of a loss over a vocabulary. */
  readonly positions: number
  readonly vocabularySize: number
  /** Most bytes of an array [rows, vocabulary] in a chunk of such a loss. */
  readonly chunkBytes: number
  /** Whether gradients are asked of it, or it is evaluated. */
  readonly training: boolean
  /** The model without what is trained: another graph of the same inputs and weights. */
  reference(): { readonly graph: Graph; readonly hidden: Value }
}

/** Metrics of an evaluation, filled run by run. */
export interface Scores {
  /** @param outputs by the names of `ObjectiveGraph.outputs`; @param feeds what the run was fed */
  add(outputs: Readonly<Record<string, HostTensor>>, feeds: Readonly<Record<string, HostTensor>>): void
  /** By the names that `evaluate` gives them, which are the same before anything was added. */
  result(): Readonly<Record<string, number>>
}

/** What a loss must know of all rows of a batch before it is computed of any: found without gradients and without dropout. */
export interface Preliminary {
  /** The sum that is computed first. */
  readonly objective: Objective
  /** The rows that it is computed of; undefined once the batch knows. */
  rowsOf(batch: Batch): Batch | undefined
  /** The batch with what the sum says, whatever parts of it are then run together. */
  told(batch: Batch, total: { readonly loss: number; readonly count: number }): Batch
}

export interface Objective {
  /** Tells objectives apart, in fingerprints and messages; `causal-lm` is the language model's own. */
  readonly name: string
  /** Whether a batch may be run as sub-batches, whose losses add up. */
  readonly divisible: boolean
  /** Whether attention may be computed in blocks of queries, and rows hold several examples: causal models alone. */
  readonly causal: boolean
  /** Whether its loss is a mean over tokens of a vocabulary, of which evaluations give the perplexity. */
  readonly perplexity?: boolean
  /** The options of the user that it has, with their defaults. */
  readonly settings?: Readonly<Record<string, unknown>>
  readonly preliminary?: Preliminary
  encoding(options: TaskEncodingOptions): RowEncoding
  /**
   * What is run of a micro-batch that is learned from, where that is not the batch itself.
   * @param seed of whatever is drawn for it: another one for each micro-batch
   */
  learned?(batch: Batch, seed: number): Batch
  attach(context: LossContext): ObjectiveGraph
  scores(): Scores
  /** What steps and evaluations give of the sums; undefined of what their rows do not tell. Their means by default. */
  means?(sums: Readonly<Record<string, number>>, count: number): Readonly<Record<string, number | undefined>>
}

/**
 * What a step or an evaluation gives of the sums of its runs.
 * @param untold of what its rows do not tell, which is left out by default
 */
export function meansOf(
  { means }: Pick<Objective, 'means'>,
  sums: Readonly<Record<string, number>>,
  count: number,
  untold?: number,
): Readonly<Record<string, number>> {
  const found = means?.(sums, count) ?? Object.fromEntries(Object.entries(sums).map(([name, value]) => [name, value / count]))
  return Object.fromEntries(
    Object.entries(found).flatMap(([name, value = untold]) => (value === undefined ? [] : [[name, value]])),
  )
}

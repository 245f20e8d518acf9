/** @file What losses of preferences read: the model that is trained, and the one without what is trained. */
import type { Graph } from '../../graph/graph.js'
import { importGraph } from '../../graph/import-graph.js'
import type { HeadOptions } from '../../losses/label-log-probabilities.js'
import type { LossContext } from '../objective.js'
import { lossChunks } from './causal-lm.js'

/** @param rows of an example: a run of one pair has twice the usual positions */
export const policyOf = ({ graph, hidden, positions, vocabularySize, chunkBytes }: LossContext, rows: number): HeadOptions => ({
  hidden,
  logits: graph.outputs[0]!,
  chunks: lossChunks(rows * positions, vocabularySize, chunkBytes),
})

/** The model without what is trained, in the graph of the one that is. */
export const referenceOf =
  (context: LossContext) =>
  (graph: Graph): Pick<HeadOptions, 'hidden' | 'logits'> => {
    const base = context.reference()
    const [hidden, logits] = importGraph(graph, base.graph, [base.hidden, base.graph.outputs[0]!], 'reference/')
    return { hidden: hidden!, logits: logits! }
  }

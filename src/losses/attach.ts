/** @file What a loss gives back: a graph with labels as inputs, and a sum. */
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'

/** A loss, summed: what it is summed over is counted apart, so that batches and their parts can be added up. */
export interface SummedLoss {
  /** The given graph with inputs for the labels. Its outputs are the caller's to choose. */
  readonly graph: Graph
  /** Sum over the labelled units, a scalar. */
  readonly loss: Value
}

/** Clones a graph and builds a loss onto it, its values named `loss/…`. */
export function attachLoss(graph: Graph, build: (b: GraphBuilder, graph: Graph) => Value): SummedLoss {
  const result = graph.clone()
  const b = new GraphBuilder(result)
  return { graph: result, loss: b.scope('loss', () => build(b, result)) }
}

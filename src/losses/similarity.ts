/** @file Losses of sentence embeddings: pooled hidden states of pairs of texts, compared by their cosine. */
import type { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { int, type Value } from '../graph/types.js'
import { attachLoss, type SummedLoss } from './attach.js'
import { embeddings, unitLength, type EmbeddingOutput } from './embedding.js'

/** `cosine`: the cosine of a pair shall be its score; `contrastive`: nearer to its own second text than to any other's. */
export type SimilarityLossName = 'cosine' | 'contrastive'

/** Name of half the rows of a batch: text, other text, text, other text, … */
const PAIRS = 'pairs'

export interface SimilarityLoss extends SummedLoss {
  /** Cosine of each pair, [pairs]. */
  readonly cosines: Value
}

/**
 * Vectors of unit length for both texts of every pair, [pairs, width] each. The rows are the two texts of the first pair, those
 * of the second, …
 */
function embed(b: GraphBuilder, output: EmbeddingOutput): [Value, Value] {
  const unit = unitLength(b, embeddings(b, output))
  const end = b.squeeze(b.dim(output.states.shape![0]!), [0])
  const every = (first: number): Value =>
    b.emit('Range', [b.scalar(first, 'int64'), end, b.scalar(2, 'int64')], {}, { shapes: [[PAIRS]] })
  return [b.gather(unit, every(0)), b.gather(unit, every(1))]
}

/**
 * (cos(a, b) − score)², summed over pairs: sentence-transformers' `CosineSimilarityLoss` times the pairs.
 * Adds the input `score` float32 [pairs].
 */
export function cosineScoreLoss(graph: Graph, output: EmbeddingOutput): SimilarityLoss {
  let cosines: Value | undefined
  const built = attachLoss(graph, (b, result) => {
    const [left, right] = embed(b, output)
    cosines = b.reduceSum(b.mul(left, right), [1], false)
    const difference = b.sub(cosines, result.addInput('score', 'float32', [PAIRS]))
    return b.sumAll(b.mul(difference, difference))
  })
  return { ...built, cosines: cosines! }
}

/**
 * −log softmax(scale · cos(a_i, b_j))[j = i], summed over pairs: every other second text of the batch is a wrong answer.
 * InfoNCE (van den Oord et al., 2018), sentence-transformers' `MultipleNegativesRankingLoss` times the pairs.
 * The value depends on which pairs share a batch.
 */
export function contrastiveLoss(graph: Graph, output: EmbeddingOutput, scale = 20): SimilarityLoss {
  let cosines: Value | undefined
  const built = attachLoss(graph, (b) => {
    const [left, right] = embed(b, output)
    cosines = b.reduceSum(b.mul(left, right), [1], false)
    const scores = b.mul(b.matmul(left, right, { transB: true }), scale) // [pairs, pairs]
    const normalizer = b.emit('ReduceLogSumExp', [scores, b.int64s([1])], { keepdims: int(0) })
    return b.sumAll(b.sub(normalizer, b.mul(cosines, scale)))
  })
  return { ...built, cosines: cosines! }
}

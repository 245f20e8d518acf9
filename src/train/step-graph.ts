/** @file The graph of a micro-batch: forward pass, loss and, for training, gradients. */
import type { Graph } from '../graph/graph.js'
import { recompute } from '../autodiff/recompute.js'
import { lowerLogSumExp } from '../lower/log-sum-exp.js'
import type { Batch } from '../data/batch.js'
import type { Model } from '../model/model.js'
import type { ModelDropout } from '../models/build-options.js'
import type { BaseScheme } from '../quantize/index.js'
import { gradientGraph, lossGraph } from './gradient-graph.js'
import type { Objective, ObjectiveGraph } from './objective.js'
import type { ResolvedTrainOptions } from './option-table.js'
import { defaultObjective } from './objectives/index.js'
import { splitBatch, positionsPerSubBatch, type BatchTensors } from './sub-batches.js'
import type { Trainee } from './trainee.js'

/** Length that the chunks of the loss are sized for when rows may be as long as the model allows. */
const USUAL_LENGTH = 1024

/**
 * Blocks of queries for rows of up to `positions` tokens, of 128 each: smaller ones spare more scores that lie in the future,
 * and spend it on operators (measured with heads of 8 and of 64, 64 to 256 queries a block); beyond 8 blocks little is left.
 */
export const queryBlocks = (positions: number): number => Math.min(8, Math.ceil(positions / 128))

/**
 * Bytes of the logits of a chunk. A head in float32 is arranged anew for every chunk (`packsWeights`), one in 4 bits is
 * widened for it; only in 8 bits it lies there as it is multiplied, and smaller chunks cost nothing.
 */
const lossChunkBytes = (base: BaseScheme = 'fp32'): number => (base === 'int8' ? 64 : 128) * 2 ** 20

export interface LossSessionOptions {
  readonly packed: boolean
  /** Longest row that will be fed. */
  readonly positions: number
  /** Usual number of positions in a batch, to choose the chunks of the loss; more is slower on memory, not wrong. */
  readonly tokens: number
  readonly objective: Objective
  /** Compute activations again in the backward pass rather than keep them; when gradients are asked for. */
  readonly recompute?: boolean
  /** The model's own dropouts, when gradients are asked for. */
  readonly dropout?: ModelDropout
}

/** What of a run's options is for the graph with gradients alone. */
export const gradientOptions = ({
  recompute,
  modelDropout,
  classifierDropout: classifier,
}: ResolvedTrainOptions): Pick<LossSessionOptions, 'recompute' | 'dropout'> => ({
  recompute,
  ...(modelDropout && { dropout: classifier === undefined ? {} : { classifier } }),
})

/** What a loss session needs to know of its batches. */
export function lossOptions(
  model: Model,
  batchSize: number,
  maxLength: number | undefined,
  packed = false,
  objective = defaultObjective(model),
): LossSessionOptions {
  const positions = Math.min(maxLength ?? model.maxPositions, model.maxPositions)
  return { packed, positions, tokens: batchSize * Math.min(positions, maxLength ?? USUAL_LENGTH), objective }
}

/** The graph of a micro-batch, and what of it is not told by its outputs. */
export interface StepGraph {
  readonly graph: Graph
  readonly built: ObjectiveGraph
  /** What the runs of the graph that a batch takes see, one sub-batch each. */
  readonly subBatches: (batch: Batch) => readonly BatchTensors[]
}

/** The graph that a session of these options compiles, weights as they are stored. */
export function stepGraph(trainee: Trainee, options: LossSessionOptions, training: boolean): StepGraph {
  const { model } = trainee
  const { objective } = options
  const blocks = objective.causal ? queryBlocks(options.positions) : 1
  const perSubBatch = positionsPerSubBatch(model.environment.runtime.device)
  const prepared = trainee.build({
    mode: 'full',
    packed: options.packed,
    positions: options.positions,
    queryBlocks: blocks,
    training,
    ...(training && options.dropout && { dropout: options.dropout }),
  })
  const built = objective.attach({
    graph: prepared.graph,
    hidden: prepared.hidden,
    positions: Math.min(options.tokens, Math.max(perSubBatch, options.positions)),
    vocabularySize: model.vocabularySize,
    chunkBytes: lossChunkBytes(model.environment.base),
    training,
    reference: () => model.build({ mode: 'full', packed: options.packed, positions: options.positions, queryBlocks: blocks }),
  })
  let final = training ? gradientGraph(built.graph, built.loss, prepared.parameters, built.count, built.sums) : lossGraph(built)
  if (training && options.recompute === true) final = recompute(final, final.outputs[0]!.name)
  return {
    graph: lowerLogSumExp(final),
    built,
    // A row has at least one position for each block of queries.
    subBatches: (batch) => (objective.divisible ? splitBatch(batch, perSubBatch, blocks) : [batch]),
  }
}

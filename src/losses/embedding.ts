/** @file From the states of a text to its one vector, as sentence-transformers computes it: pooling, and layers behind it. */
import { ShapeError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { multiplyDims } from '../graph/dim/index.js'
import { formatShape, int, type HostTensor, type Value } from '../graph/types.js'
import { activationNamed } from '../models/activations.js'

/** How the states of a text become one vector; the names are sentence-transformers'. */
export const poolings = ['mean', 'cls', 'max', 'mean_sqrt_len_tokens', 'weightedmean', 'lasttoken'] as const

/**
 * - `mean`: over the text's tokens; `mean_sqrt_len_tokens`: their sum over the root of their number;
 *   `weightedmean`: weighted by their positions, 1, 2, …; `max`: of each component
 * - `cls`: the first token; `lasttoken`: the last one
 */
export type Pooling = (typeof poolings)[number]

/** What stands behind the pooling. */
export type EmbeddingLayer =
  | {
      /** Vectors get the length 1. */
      readonly kind: 'normalize'
    }
  | {
      /** A matrix, a bias and an activation. */
      readonly kind: 'dense'
      /** [out, in] */
      readonly weight: HostTensor
      /** [out] */
      readonly bias?: HostTensor
      /** Name of the function behind it, `linear` for none. */
      readonly activation: string
      /** What is added to the result: the input, or the input times a matrix [out, in]. */
      readonly residual?: 'input' | HostTensor
    }

/** What the losses of embeddings read. */
export interface EmbeddingOutput {
  /** [batch, sequence, hidden] */
  readonly states: Value
  /** int64 [batch, sequence], 0 on padding, and on what is not pooled. */
  readonly attentionMask: Value
  /** Several are put side by side. */
  readonly pooling: Pooling | readonly Pooling[]
  readonly layers?: readonly EmbeddingLayer[]
}

/** Norms below it are taken for it, as PyTorch's `cosine_similarity` does. */
const EPSILON = 1e-8
/** Lengths below it are taken for it, as `torch.nn.functional.normalize` does. */
const NORMALIZE_EPSILON = 1e-12

/** x/‖x‖ over the last axis. */
export function unitLength(b: GraphBuilder, x: Value, epsilon = EPSILON): Value {
  return b.div(x, b.sqrt(b.max(b.reduceSum(b.mul(x, x), [1]), epsilon * epsilon)))
}

/** The vectors of all rows, [batch, width]. @throws ShapeError for states that are not [batch, sequence, hidden] */
export function embeddings(b: GraphBuilder, { states, attentionMask, pooling, layers = [] }: EmbeddingOutput): Value {
  if (states.shape?.length !== 3)
    throw new ShapeError(
      `the embeddings "${states.name}" must be [batch, sequence, hidden], they are ${formatShape(states.shape)}`,
    )
  const modes = typeof pooling === 'string' ? [pooling] : pooling
  const pooled = modes.map((mode) => pool(b, states, attentionMask, mode))
  let x = pooled.length === 1 ? pooled[0]! : b.concat(pooled, 1)
  for (const layer of layers) x = layer.kind === 'normalize' ? unitLength(b, x, NORMALIZE_EPSILON) : dense(b, x, layer)
  return x
}

function pool(b: GraphBuilder, states: Value, attentionMask: Value, mode: Pooling): Value {
  // One state for each text has no positions to choose from.
  if (states.shape![1] === 1) return b.squeeze(states, [1])
  const sum = (weights: Value): Value => b.reduceSum(b.mul(states, weights), [1], false)
  const total = (weights: Value): Value => b.max(b.reduceSum(weights, [1], false), 1e-9)
  const mask = (): Value => b.unsqueeze(b.cast(attentionMask, 'float32'), [2]) // [batch, sequence, 1]
  switch (mode) {
    case 'mean': {
      const weights = mask()
      return b.div(sum(weights), total(weights))
    }
    case 'mean_sqrt_len_tokens': {
      const weights = mask()
      return b.div(sum(weights), b.sqrt(total(weights)))
    }
    case 'weightedmean': {
      const places = b.unsqueeze(b.cast(b.add(positions(b, attentionMask), b.scalar(1, 'int64')), 'float32'), [0, 2])
      const weights = b.mul(mask(), places)
      return b.div(sum(weights), total(weights))
    }
    case 'max': {
      const real = b.cast(b.unsqueeze(attentionMask, [2]), 'bool')
      // Far below any state; infinity would be NaN once it is multiplied by the 0 of a gradient.
      const seen = b.where(real, states, b.scalar(-1e30))
      return b.emit('ReduceMax', [seen, b.int64s([1])], { keepdims: int(0) })
    }
    case 'cls':
      return atPosition(b, states, extreme(b, attentionMask, 'ReduceMin'))
    case 'lasttoken':
      return atPosition(b, states, extreme(b, attentionMask, 'ReduceMax'))
  }
}

/** 0, 1, …: int64 [sequence] */
function positions(b: GraphBuilder, mask: Value): Value {
  const length = mask.shape![1]!
  const ends = [b.scalar(0, 'int64'), b.squeeze(b.dim(length), [0]), b.scalar(1, 'int64')]
  return b.emit('Range', ends, {}, { shapes: [[length]] })
}

/** The first or the last position that counts, int64 [batch]; the first of the row where none does. */
function extreme(b: GraphBuilder, mask: Value, op: 'ReduceMin' | 'ReduceMax'): Value {
  const places = positions(b, mask)
  const other = op === 'ReduceMax' ? b.scalar(0, 'int64') : b.squeeze(b.sub(b.dim(mask.shape![1]!), b.scalar(1, 'int64')), [0])
  const counted = b.where(b.equal(mask, b.scalar(0, 'int64')), other, places)
  return b.emit(op, [counted, b.int64s([1])], { keepdims: int(0) }, { shapes: [[mask.shape![0]!]] })
}

/** The states at a position of each row, [batch, hidden]. */
function atPosition(b: GraphBuilder, states: Value, position: Value): Value {
  const [batch, sequence, hidden] = states.shape!
  const ends = [b.scalar(0, 'int64'), b.squeeze(b.dim(batch!), [0]), b.scalar(1, 'int64')]
  const rows = b.emit('Range', ends, {}, { shapes: [[batch!]] })
  const index = b.add(b.mul(rows, b.squeeze(b.dim(sequence!), [0])), position)
  return b.gather(b.reshape(states, [multiplyDims(batch!, sequence!), hidden!]), index, 0)
}

/** act(x·Wᵀ + bias) + residual */
function dense(b: GraphBuilder, x: Value, layer: Extract<EmbeddingLayer, { kind: 'dense' }>): Value {
  const weight = b.constant(layer.weight)
  const bias = layer.bias && b.constant(layer.bias)
  const y = activationNamed(layer.activation, 'a dense layer of the embedding')(b, b.gemm(x, weight, { c: bias, transB: true }))
  if (layer.residual === undefined) return y
  return b.add(y, layer.residual === 'input' ? x : b.gemm(x, b.constant(layer.residual), { transB: true }))
}

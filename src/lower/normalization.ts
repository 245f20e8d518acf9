/** @file Normalisations and softmax variants as primitives. */
import { UnsupportedOpError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { productOfDims } from '../graph/shapes.js'
import { integerAttribute } from '../graph/attributes.js'
import { int, type Shape, type Value } from '../graph/types.js'
import type { LowerContext, LoweringTable } from './context.js'

/** A vector over channels beside a tensor [n, c, ...]. */
const perChannel = (b: GraphBuilder, v: Value, rank: number): Value =>
  b.reshape(v, [v.shape![0]!, ...Array.from({ length: rank - 2 }, () => 1)])

/** (x − mean)/√(variance + ε) over some axes */
function normalize(b: GraphBuilder, x: Value, axes: readonly number[], epsilon: number): Value {
  const centred = b.sub(x, b.reduceMean(x, axes))
  return b.div(centred, b.sqrt(b.add(b.reduceMean(b.mul(centred, centred), axes), epsilon)))
}

const from = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i)

/** Normalises groups of channels of [n, c, ...]. */
function groupNormalize(b: GraphBuilder, x: Value, groups: number, epsilon: number): Value {
  const [n, channels, ...spatial] = x.shape!
  const each = (channels as number) / groups
  const apart = b.reshape(x, [n!, groups, each, ...spatial])
  return b.reshape(normalize(b, apart, from(2, apart.shape!.length), epsilon), x.shape!)
}

/** Softmax over everything from an axis on, as before opset 13. */
function flattened(c: LowerContext, op: 'Softmax' | 'LogSoftmax'): Value | undefined {
  if (c.int('flatten', 0) === 0) return undefined
  const { b } = c
  const x = c.input(0)
  const shape = c.shape(x)
  const axis = c.axis(1)
  if (axis === shape.length - 1) return b.emit(op, [x], { axis: int(-1) })
  const matrix = b.reshape(x, [productOfDims(shape.slice(0, axis)), productOfDims(shape.slice(axis))])
  return b.reshape(b.emit(op, [matrix], { axis: int(-1) }), shape)
}

/**
 * `Where(IsNaN(s), c, s)` with s = softmax(x): PyTorch's answer to rows that are masked whole. The gradient of such a
 * softmax is NaN even where nothing reads it, so those rows are taken from a softmax of zeros.
 */
function guardedSoftmax(c: LowerContext): Value | undefined {
  const { b } = c
  const s = c.optional(2)
  const test = c.producer(c.optional(0))
  const softmax = c.producer(s)
  if (test?.op !== 'IsNaN' || test.inputs[0] !== s?.name || softmax?.op !== 'Softmax') return undefined
  const x = c.value(softmax.inputs[0]!)
  const axis = integerAttribute(softmax, 'axis', -1)
  const dead = b.emit('IsInf', [b.reduceMax(x, [axis])], { detect_positive: int(0) })
  return b.where(dead, c.input(1), b.softmax(b.where(dead, 0, x), axis))
}

export const normalizationLowerings: LoweringTable = {
  Where: guardedSoftmax,
  Softmax: (c) => flattened(c, 'Softmax'),
  LogSoftmax: (c) => flattened(c, 'LogSoftmax'),
  /** Inference: a factor and a shift per channel. */
  BatchNormalization: (c) => {
    const { b } = c
    if (c.int('training_mode', 0) === 1)
      throw new UnsupportedOpError(`${c.where}: training_mode = 1 is not supported; export the model in evaluation mode`)
    const [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map((i) => c.input(i)) as [Value, Value, Value, Value, Value]
    const factor = b.div(scale, b.sqrt(b.add(variance, c.float('epsilon', 1e-5))))
    const shift = b.sub(bias, b.mul(mean, factor))
    return b.add(b.mul(x, perChannel(b, factor, c.rank())), perChannel(b, shift, c.rank()))
  },
  InstanceNormalization: (c) => {
    const { b } = c
    const normal = normalize(b, c.input(0), from(2, c.rank()), c.float('epsilon', 1e-5))
    return b.add(b.mul(normal, perChannel(b, c.input(1), c.rank())), perChannel(b, c.input(2), c.rank()))
  },
  GroupNormalization: (c) => {
    const { b } = c
    const groups = c.int('num_groups', 1)
    const normal = groupNormalize(b, c.input(0), groups, c.float('epsilon', 1e-5))
    const channels = c.shape(c.input(0))[1] as number
    // Up to opset 20 there was one scale for each group.
    const spread = (v: Value): Value =>
      c.int('per_group', 0) === 1 && groups !== channels
        ? b.reshape(b.expand(b.reshape(v, [groups, 1]), [groups, channels / groups]), [channels])
        : v
    return b.add(b.mul(normal, perChannel(b, spread(c.input(1)), c.rank())), perChannel(b, spread(c.input(2)), c.rank()))
  },
  MeanVarianceNormalization: (c) => normalize(c.b, c.input(0), c.ints('axes') ?? [0, 2, 3], 1e-9),
  LpNormalization: (c) => {
    const { b } = c
    const x = c.input(0)
    const axis = [c.axis(-1)]
    const norm = c.int('p', 2) === 1 ? b.reduceSum(b.abs(x), axis) : b.sqrt(b.reduceSum(b.mul(x, x), axis))
    return b.where(b.equal(norm, 0), 0, b.div(x, b.where(b.equal(norm, 0), 1, norm)))
  },
  /** x/(bias + α/size·Σ x²)^β, the sum over neighbouring channels */
  LRN: (c) => {
    const { b } = c
    const x = c.input(0)
    const shape = c.shape(x)
    const size = c.int('size', 1)
    const squares = b.mul(x, x)
    const before = Math.floor((size - 1) / 2)
    const pads = shape.map((_, i) => (i === 1 ? before : 0)).concat(shape.map((_, i) => (i === 1 ? size - 1 - before : 0)))
    const padded = b.emit('Pad', [squares, b.int64s(pads)])
    const sum = from(0, size)
      .map((k) => b.slice(padded, 1, k, k + (shape[1] as number)))
      .reduce(b.add)
    const base = b.add(b.mul(sum, c.float('alpha', 1e-4) / size), c.float('bias', 1))
    return b.div(x, b.pow(base, c.float('beta', 0.75)))
  },
  'com.microsoft.GroupNorm': (c) => groupNormNhwc(c, c.input(0)),
  /** The sum of x, skip and bias comes second. */
  'com.microsoft.SkipGroupNorm': (c) => {
    const { b } = c
    const skip = c.input(3)
    const fitted = c.shape(skip).length === 2 ? b.unsqueeze(skip, [1, 2]) : skip
    const sum = [fitted, ...(c.optional(4) ? [c.input(4)] : [])].reduce(b.add, c.input(0))
    return [groupNormNhwc(c, sum), sum]
  },
  GlobalAveragePool: (c) => c.b.reduceMean(c.input(0), from(2, c.rank())),
  GlobalMaxPool: (c) => c.b.reduceMax(c.input(0), from(2, c.rank())),
  RMSNormalization: (c) => rms(c, c.input(0), c.input(1)),
  'com.microsoft.SkipLayerNormalization': (c) => {
    const { b } = c
    const sum = skipSum(c, 4)
    return [b.layerNormalization(sum, c.input(2), c.optional(3), c.float('epsilon', 1e-12)), undefined, undefined, sum]
  },
  'com.microsoft.SkipSimplifiedLayerNormalization': (c) => {
    const sum = skipSum(c, 3)
    return [c.b.rmsNormalization(sum, c.input(2), c.float('epsilon', 1e-12)), undefined, undefined, sum]
  },
  'com.microsoft.EmbedLayerNormalization': (c) => {
    const { b } = c
    const [ids, segments, words, positions, segmentTable] = [c.input(0), c.optional(1), c.input(2), c.input(3), c.optional(4)]
    const [batch, sequence] = c.shape(ids)
    const places = c.optional(8) ?? b.reshape(b.emit('Range', [b.scalar(0, 'int64'), b.squeeze(b.dim(sequence!), [0]), b.scalar(1, 'int64')], {}, { shapes: [[sequence!]] }), [1, sequence!]) // prettier-ignore
    let sum = b.add(b.gather(words, ids), b.gather(positions, places))
    if (segments !== undefined && segmentTable !== undefined) sum = b.add(sum, b.gather(segmentTable, segments))
    const mask = c.optional(7)
    const counts = mask === undefined ? b.zeros([batch!], 'int32') : b.cast(b.reduceSum(mask, [1], false), 'int32')
    return [b.layerNormalization(sum, c.input(5), c.input(6), c.float('epsilon', 1e-12)), counts, sum]
  },
}

/** x [n, h, w, c] or, with channels_last 0, [n, c, h, w]; scale, shift; then SiLU if the node says so. */
function groupNormNhwc(c: LowerContext, x: Value): Value {
  const { b } = c
  const last = c.int('channels_last', 1) === 1
  const first = last ? b.transpose(x, [0, 3, 1, 2]) : x
  const normal = groupNormalize(b, first, c.int('groups', 1), c.float('epsilon', 1e-5))
  const [scale, shift] = [1, 2].map((i) => perChannel(b, c.input(i), 4)) as [Value, Value]
  const y = b.add(b.mul(normal, scale), shift)
  const active = c.int('activation', 0) === 1 ? b.mul(y, b.sigmoid(y)) : y
  return last ? b.transpose(active, [0, 2, 3, 1]) : active
}

/** Input + skip (which may lack the batch) + bias at `index`. */
function skipSum(c: LowerContext, index: number): Value {
  const bias = c.optional(index)
  const sum = c.b.add(c.input(0), c.input(1))
  return bias === undefined ? sum : c.b.add(sum, bias)
}

/** The runtime has the last-axis form in one operator. */
function rms(c: LowerContext, x: Value, scale: Value): Value {
  const { b } = c
  const axis = c.axis(-1)
  const epsilon = c.float('epsilon', 1e-5)
  const shape: Shape = c.shape(x)
  if (axis === shape.length - 1 && scale.shape?.length === 1) return b.rmsNormalization(x, scale, epsilon)
  const axes = from(axis, shape.length)
  return b.mul(b.div(x, b.sqrt(b.add(b.reduceMean(b.mul(x, x), axes), epsilon))), scale)
}

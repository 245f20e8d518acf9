/** @file Output types and shapes of a node from its inputs: one entry per operator. */
import { ShapeError, UnsupportedOpError } from '../errors.js'
import { numbersOf } from './constants.js'
import { addDims, divideDims, multiplyDims, sliceDim, subtractDims, unknownDim } from './dim/index.js'
import { dtypeFromOnnx } from './dtypes.js'
import { moreInferences } from './infer-more.js'
import { recurrentInferences } from './infer-recurrent.js'
import { broadcastShapes, equalDims, normalizeAxis, resolveReshape } from './shapes.js'
import type { Attributes, Dim, DType, Initializer, Shape, Value } from './types.js'
import type { Graph } from './graph.js'

export interface OutputType {
  readonly dtype: DType
  readonly shape: Shape | undefined
}

/** What an inference entry sees of one node. */
export class InferContext {
  constructor(
    private readonly graph: Graph,
    readonly op: string,
    readonly inputs: readonly (Value | undefined)[],
    readonly attributes: Attributes,
    readonly outputCount: number,
    /** Elements of integer tensors by value name, where names stand for lengths known at the run only. */
    private readonly known: ReadonlyMap<string, readonly Dim[]> | undefined = undefined,
  ) {}

  get where(): string {
    return `${this.op}(${this.inputs.map((v) => (v === undefined ? '' : `${v.name} [${v.shape?.join(', ') ?? '?'}]`)).join(', ')})`
  }

  input(index: number): Value {
    const value = this.inputs[index]
    if (value === undefined) throw new ShapeError(`${this.where}: input ${index} is missing`)
    return value
  }

  dtype(index: number): DType {
    return this.input(index).dtype
  }

  /** Shape of an input whose rank must be known. */
  shape(index: number): Shape {
    const { shape, name } = this.input(index)
    if (shape === undefined) throw new ShapeError(`${this.where}: the rank of "${name}" is unknown`)
    return shape
  }

  int(name: string, fallback: number): number {
    const attribute = this.attributes[name]
    return attribute?.type === 'int' ? attribute.value : fallback
  }

  ints(name: string): readonly number[] | undefined {
    const attribute = this.attributes[name]
    return attribute?.type === 'ints' ? attribute.value : undefined
  }

  /** The numbers of a constant input, or undefined if they are only known at the run. */
  constant(index: number): number[] | undefined {
    const value = this.inputs[index]
    return value === undefined ? undefined : numbersOf(this.graph.initializers.get(value.name) as Initializer | undefined)
  }

  /** The elements of an integer input, constant or computed from shapes. */
  dims(index: number): readonly Dim[] | undefined {
    const value = this.inputs[index]
    return this.constant(index) ?? (value && this.known?.get(value.name))
  }

  string(name: string, fallback: string): string {
    const attribute = this.attributes[name]
    return attribute?.type === 'string' ? attribute.value : fallback
  }

  /** Axes given as input (`index`) or, in older opsets, as attribute. */
  axes(index: number): readonly number[] | undefined {
    return this.ints('axes') ?? this.constant(index)
  }
}

export type Inference = (c: InferContext) => OutputType[]

const like: Inference = (c) => [{ dtype: c.dtype(0), shape: c.input(0).shape }]

const broadcast: Inference = (c) => [
  { dtype: c.dtype(0), shape: c.inputs.map((_, i) => c.shape(i)).reduce((a, b) => broadcastShapes(a, b, c.where)) },
]

const compare: Inference = (c) => [{ dtype: 'bool', shape: broadcastShapes(c.shape(0), c.shape(1), c.where) }]

const reduce: Inference = (c) => {
  const shape = c.shape(0)
  const keep = c.int('keepdims', 1) === 1
  const given = c.axes(1)
  if (given === undefined && c.inputs[1] !== undefined) throw new ShapeError(`${c.where}: axes must be a constant`)
  if ((given === undefined || given.length === 0) && c.int('noop_with_empty_axes', 0) === 1) return [{ dtype: c.dtype(0), shape }]
  const axes = new Set((given?.length ? given : shape.map((_, i) => i)).map((a) => normalizeAxis(a, shape.length, c.where)))
  return [{ dtype: c.dtype(0), shape: shape.flatMap((dim, i) => (axes.has(i) ? (keep ? [1] : []) : [dim])) }]
}

const normalization: Inference = (c) => {
  const shape = c.shape(0)
  const axis = normalizeAxis(c.int('axis', -1), shape.length, c.where)
  const statistics = { dtype: c.dtype(0), shape: shape.map((dim, i) => (i < axis ? dim : 1)) }
  return [{ dtype: c.dtype(0), shape }, statistics, statistics].slice(0, c.outputCount)
}

/** [.., m, k] x [.., k, n] with optional transposes, broadcasting the leading dimensions; 1-D operands as in NumPy. */
function matMulShape(c: InferContext, transA: boolean, transB: boolean): Shape {
  const swap = (s: Shape): Shape => [...s.slice(0, -2), s[s.length - 1]!, s[s.length - 2]!]
  let a = c.shape(0)
  let b = c.shape(1)
  const vectorA = a.length === 1
  const vectorB = b.length === 1
  if (vectorA) a = [1, ...a]
  else if (transA) a = swap(a)
  if (vectorB) b = [...b, 1]
  else if (transB) b = swap(b)
  const k = a[a.length - 1]
  equalDims(k!, b[b.length - 2]!, `${c.where}: inner dimensions differ (${k} and ${b[b.length - 2]})`)
  const lead = broadcastShapes(a.slice(0, -2), b.slice(0, -2), c.where)
  return [...lead, ...(vectorA ? [] : [a[a.length - 2]!]), ...(vectorB ? [] : [b[b.length - 1]!])]
}

const castTo = (c: InferContext): DType => {
  const to = dtypeFromOnnx(c.int('to', 0))
  if (to === undefined) throw new ShapeError(`${c.where}: unknown element type ${c.int('to', 0)}`)
  return to
}

/** Lengths that only the run tells, one for each axis. */
const unknownShape = (rank: number, what: string, c: InferContext): Shape =>
  Array.from({ length: rank }, (_, i) => unknownDim(what, c.input(0).name, c.inputs[1]?.name ?? '', i))

const inferences: Readonly<Record<string, Inference>> = {
  ...Object.fromEntries(
    [
      'Identity',
      'Neg',
      'Abs',
      'Exp',
      'Log',
      'Sqrt',
      'Reciprocal',
      'Sin',
      'Cos',
      'Erf',
      'Tanh',
      'Sigmoid',
      'Relu',
      'Gelu',
      'FastGelu',
    ]
      .concat([
        'QuickGelu',
        'Softmax',
        'LogSoftmax',
        'Sign',
        'Floor',
        'Ceil',
        'Round',
        'Not',
        'CumSum',
        'RotaryEmbedding',
        'Clip',
        'Softplus',
        'BitwiseNot',
      ])
      .concat(['ScatterND', 'ScatterElements', 'Trilu'])
      .map((op) => [op, like]),
  ),
  ...Object.fromEntries(
    [
      'Add',
      'Sub',
      'Mul',
      'Div',
      'Pow',
      'Min',
      'Max',
      'Mod',
      'And',
      'Or',
      'Xor',
      'BitwiseXor',
      'BitwiseAnd',
      'BitwiseOr',
      'BitShift',
    ].map((op) => [op, broadcast]),
  ),
  ...Object.fromEntries(['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'].map((op) => [op, compare])),
  ...Object.fromEntries(
    ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceSumSquare', 'ReduceL2', 'ReduceLogSumExp', 'ReduceProd'].map(
      (op) => [op, reduce],
    ),
  ),
  LayerNormalization: normalization,
  SimplifiedLayerNormalization: normalization,
  IsNaN: (c) => [{ dtype: 'bool', shape: c.shape(0) }],
  IsInf: (c) => [{ dtype: 'bool', shape: c.shape(0) }],
  Where: (c) => [
    { dtype: c.dtype(1), shape: broadcastShapes(broadcastShapes(c.shape(0), c.shape(1), c.where), c.shape(2), c.where) },
  ],
  Cast: (c) => [{ dtype: castTo(c), shape: c.input(0).shape }],
  MatMul: (c) => [{ dtype: c.dtype(0), shape: matMulShape(c, false, false) }],
  FusedMatMul: (c) => [{ dtype: c.dtype(0), shape: matMulShape(c, c.int('transA', 0) === 1, c.int('transB', 0) === 1) }],
  Gemm: (c) => {
    const a = c.shape(0)
    const b = c.shape(1)
    if (a.length !== 2 || b.length !== 2) throw new ShapeError(`${c.where}: operands must be of rank 2`)
    const [m, k] = c.int('transA', 0) === 1 ? [a[1]!, a[0]!] : [a[0]!, a[1]!]
    const [l, n] = c.int('transB', 0) === 1 ? [b[1]!, b[0]!] : [b[0]!, b[1]!]
    equalDims(k, l, `${c.where}: inner dimensions differ (${k} and ${l})`)
    return [{ dtype: c.dtype(0), shape: [m, n] }]
  },
  Transpose: (c) => {
    const shape = c.shape(0)
    const perm = c.ints('perm') ?? shape.map((_, i) => shape.length - 1 - i)
    return [{ dtype: c.dtype(0), shape: perm.map((p) => shape[p]!) }]
  },
  Reshape: (c) => {
    const target = c.dims(1)
    if (target === undefined) {
      const rank = c.shape(1)[0]
      return [{ dtype: c.dtype(0), shape: typeof rank === 'number' ? unknownShape(rank, 'reshaped', c) : undefined }]
    }
    // A literal 0 is a length only where the node says so.
    if (c.int('allowzero', 0) === 1 && target.includes(0)) return [{ dtype: c.dtype(0), shape: target }]
    return [{ dtype: c.dtype(0), shape: resolveReshape(c.shape(0), target, c.where) }]
  },
  Flatten: (c) => {
    const shape = c.shape(0)
    const axis = c.int('axis', 1) < 0 ? c.int('axis', 1) + shape.length : c.int('axis', 1)
    const product = (dims: Shape): Dim => dims.reduce<Dim>(multiplyDims, 1)
    return [{ dtype: c.dtype(0), shape: [product(shape.slice(0, axis)), product(shape.slice(axis))] }]
  },
  Squeeze: (c) => {
    const shape = c.shape(0)
    const axes = c.axes(1)?.map((a) => normalizeAxis(a, shape.length, c.where))
    return [{ dtype: c.dtype(0), shape: shape.filter((dim, i) => (axes === undefined ? dim !== 1 : !axes.includes(i))) }]
  },
  Unsqueeze: (c) => {
    const shape = c.shape(0)
    const given = c.axes(1)
    if (given === undefined) throw new ShapeError(`${c.where}: axes must be a constant`)
    const rank = shape.length + given.length
    const axes = new Set(given.map((a) => normalizeAxis(a, rank, c.where)))
    const rest = [...shape]
    return [{ dtype: c.dtype(0), shape: Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : rest.shift()!)) }]
  },
  Expand: (c) => {
    const target = c.dims(1)
    return [{ dtype: c.dtype(0), shape: target === undefined ? undefined : broadcastShapes(c.shape(0), target, c.where) }]
  },
  Tile: (c) => {
    const repeats = c.dims(1)
    const shape = c.shape(0)
    if (repeats === undefined) return [{ dtype: c.dtype(0), shape: unknownShape(shape.length, 'tiled', c) }]
    return [{ dtype: c.dtype(0), shape: shape.map((dim, i) => multiplyDims(dim, repeats[i]!)) }]
  },
  Concat: (c) => {
    const first = c.shape(0)
    const axis = normalizeAxis(c.int('axis', 0), first.length, c.where)
    const total = c.inputs.map((_, i) => c.shape(i)[axis]!).reduce(addDims)
    return [{ dtype: c.dtype(0), shape: first.map((dim, i) => (i === axis ? total : dim)) }]
  },
  Split: (c) => {
    const shape = c.shape(0)
    const axis = normalizeAxis(c.int('axis', 0), shape.length, c.where)
    const sizes =
      c.ints('split') ??
      c.dims(1) ??
      // Sizes that are only known at the run.
      (c.inputs[1] && Array.from({ length: c.outputCount }, (_, i) => unknownDim('split', c.inputs[1]!.name, i)))
    return Array.from({ length: c.outputCount }, (_, i) => {
      const part = sizes === undefined ? divideDims(shape[axis]!, c.outputCount) : sizes[i]
      if (part === undefined)
        throw new ShapeError(`${c.where}: cannot split dimension ${shape[axis]} into ${c.outputCount} parts`)
      return { dtype: c.dtype(0), shape: shape.map((dim, d) => (d === axis ? part : dim)) }
    })
  },
  Slice: (c) => {
    const shape = c.shape(0)
    const starts = c.dims(1) ?? c.ints('starts')
    const ends = c.dims(2) ?? c.ints('ends')
    const axes = c.constant(3) ?? c.ints('axes') ?? (c.inputs[3] === undefined ? starts?.map((_, i) => i) : undefined)
    const steps = c.constant(4)
    if (axes === undefined) return [{ dtype: c.dtype(0), shape: unknownShape(shape.length, 'sliced', c) }]
    const result = [...shape]
    axes.forEach((a, i) => {
      const axis = normalizeAxis(a, shape.length, c.where)
      if (starts === undefined || ends === undefined || (c.inputs[4] !== undefined && steps === undefined)) {
        // Bounds known at the run only: a dimension of its own, named after them.
        const bound = (known: readonly Dim[] | undefined, input: number): Dim => known?.[i] ?? `${c.inputs[input]!.name}@${i}`
        result[axis] = unknownDim('slice', shape[axis]!, bound(starts, 1), bound(ends, 2), steps?.[i] ?? 1)
        return
      }
      const [dim, start, end, step] = [shape[axis]!, starts[i]!, ends[i]!, steps?.[i] ?? 1]
      result[axis] = sliceDim(dim, start, end, step)
    })
    return [{ dtype: c.dtype(0), shape: result }]
  },
  Pad: (c) => {
    const shape = c.shape(0)
    const pads = c.dims(1) ?? c.ints('pads')
    const axes = c.inputs[3] === undefined ? shape.map((_, i) => i) : c.constant(3)
    if (pads === undefined || axes === undefined) return [{ dtype: c.dtype(0), shape: unknownShape(shape.length, 'padded', c) }]
    const result = [...shape]
    axes.forEach((a, i) => {
      const axis = normalizeAxis(a, shape.length, c.where)
      result[axis] = [pads[i]!, pads[i + axes.length]!].reduce(addDims, shape[axis]!)
    })
    return [{ dtype: c.dtype(0), shape: result }]
  },
  Gather: (c) => {
    const shape = c.shape(0)
    const axis = normalizeAxis(c.int('axis', 0), shape.length, c.where)
    return [{ dtype: c.dtype(0), shape: [...shape.slice(0, axis), ...c.shape(1), ...shape.slice(axis + 1)] }]
  },
  GatherElements: (c) => [{ dtype: c.dtype(0), shape: c.shape(1) }],
  GatherND: (c) => {
    const shape = c.shape(0)
    const indices = c.shape(1)
    const batch = c.int('batch_dims', 0)
    const depth = indices[indices.length - 1]
    if (typeof depth !== 'number') throw new ShapeError(`${c.where}: the last dimension of the indices must be a number`)
    return [{ dtype: c.dtype(0), shape: [...indices.slice(0, -1), ...shape.slice(batch + depth)] }]
  },
  Shape: (c) => {
    const rank = c.shape(0).length
    const clip = (v: number): number => Math.min(Math.max(v < 0 ? v + rank : v, 0), rank)
    return [{ dtype: 'int64', shape: [Math.max(0, clip(c.int('end', rank)) - clip(c.int('start', 0)))] }]
  },
  ConstantOfShape: (c) => {
    const value = c.attributes['value']
    return [{ dtype: value?.type === 'tensor' ? value.value.dtype : 'float32', shape: c.dims(0) }]
  },
  Range: (c) => {
    const [start, limit, delta] = [0, 1, 2].map((i) => c.dims(i)?.[0])
    const count = limit !== undefined && start !== undefined && delta === 1 ? subtractDims(limit, start) : undefined
    return [{ dtype: c.dtype(0), shape: [count ?? unknownDim('range', c.inputs[1]!.name)] }]
  },
  NonZero: (c) => [{ dtype: 'int64', shape: [c.shape(0).length, unknownDim('nonzero', c.inputs[0]!.name)] }],
  ...moreInferences,
  ...recurrentInferences,
}

/** Whether `op` has an entry; the domain does not matter, no name is used twice with another meaning. */
export const canInfer = (op: string): boolean => Object.hasOwn(inferences, op)

export const inferredOps = (): string[] => Object.keys(inferences)

/**
 * Element type and shape of each output of a node.
 * @throws UnsupportedOpError for an operator without an entry, ShapeError where the inputs do not fit.
 */
export function inferNode(
  graph: Graph,
  op: string,
  inputs: readonly (Value | undefined)[],
  attributes: Attributes,
  outputCount: number,
  known?: ReadonlyMap<string, readonly Dim[]>,
): OutputType[] {
  const inference = inferences[op]
  if (inference === undefined)
    throw new UnsupportedOpError(`no shape inference for operator "${op}"; add an entry to src/graph/infer.ts`)
  const outputs = inference(new InferContext(graph, op, inputs, attributes, outputCount, known))
  if (outputs.length !== outputCount)
    throw new ShapeError(`${op}: ${outputCount} outputs requested, inference gives ${outputs.length}`)
  return outputs
}

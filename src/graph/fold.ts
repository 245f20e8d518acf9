/**
 * @file Evaluates the small computations on shapes that exporters leave in a graph: `Shape → Gather → Concat → Reshape`.
 * An element is a number, or an expression of names that stand for lengths known at the run only.
 */
import { addDims, compareDims, floorDivideDims, maxDims, minDims, multiplyDims, subtractDims } from './dim/index.js'
import { dtypeFromOnnx } from './dtypes.js'
import { NodeView } from './view.js'
import { normalizeAxis } from './shapes.js'
import { elementCount, isFloat, type Dim, type DType, type Node, type Shape } from './types.js'
import { numbersOf } from './constants.js'

/** The elements of a small tensor; booleans are 0 and 1. */
export interface Known {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly values: readonly Dim[]
}

/** Larger tensors are data, not shapes. */
export const FOLD_LIMIT = 1024

export const isNumeric = (known: Known): boolean => known.values.every((v) => typeof v === 'number')

/** What an evaluation sees of one node. */
class FoldContext extends NodeView {
  constructor(
    node: Node,
    readonly inputs: readonly (Known | undefined)[],
    readonly shapes: readonly (Shape | undefined)[],
  ) {
    super(node)
  }
}

type Evaluation = (c: FoldContext) => Known | Known[] | undefined

const numeric = (known: Known | undefined): number[] | undefined =>
  known !== undefined && isNumeric(known) ? (known.values as number[]) : undefined

function broadcastNumbers(shapes: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(...shapes.map((s) => s.length))
  const result: number[] = []
  for (let i = 0; i < rank; i++) {
    const dims = shapes.map((s) => s[s.length - rank + i] ?? 1).filter((d) => d !== 1)
    if (dims.some((d) => d !== dims[0])) return undefined
    result.push(dims[0] ?? 1)
  }
  return result
}

/** Position in a tensor of `shape` that element `index` of the broadcast `result` reads. */
function position(index: number, result: readonly number[], shape: readonly number[]): number {
  let at = 0
  let stride = 1
  let rest = index
  for (let i = result.length - 1; i >= 0; i--) {
    const along = rest % result[i]!
    rest = Math.floor(rest / result[i]!)
    const dim = shape[shape.length - result.length + i] ?? 1
    if (dim !== 1) at += along * stride
    stride *= dim
  }
  return at
}

/** Element by element with broadcasting; undefined as soon as one element is. */
const elementwise =
  (f: (values: readonly Dim[], dtype: DType) => Dim | undefined, dtypeOf: (inputs: readonly Known[]) => DType): Evaluation =>
  ({ inputs }) => {
    if (inputs.some((i) => i === undefined)) return undefined
    const known = inputs as readonly Known[]
    const shape = broadcastNumbers(known.map((k) => k.shape))
    if (shape === undefined || elementCount(shape) > FOLD_LIMIT) return undefined
    const values: Dim[] = []
    for (let i = 0; i < elementCount(shape); i++) {
      const value = f(
        known.map((k) => k.values[position(i, shape, k.shape)]!),
        known[0]!.dtype,
      )
      if (value === undefined) return undefined
      values.push(value)
    }
    return { dtype: dtypeOf(known), shape, values }
  }

const same = (inputs: readonly Known[]): DType => inputs[0]!.dtype
const bool = (): DType => 'bool'
const compare = (test: (order: number) => boolean): Evaluation =>
  elementwise(([a, b]) => {
    // -1 asks "is this length given?": a length never is negative.
    const order = compareDims(a!, b!)
    return order === undefined ? undefined : Number(test(order))
  }, bool)

const divide = ([a, b]: readonly Dim[], dtype: DType): Dim | undefined => {
  if (typeof a === 'number' && typeof b === 'number') return isFloat(dtype) ? a / b : b === 0 ? undefined : Math.trunc(a / b)
  return isFloat(dtype) ? undefined : floorDivideDims(a!, b!)
}

const onNumbers = (f: (...values: number[]) => number): Evaluation =>
  elementwise((values) => (values.every((v) => typeof v === 'number') ? f(...(values as number[])) : undefined), same)

/** The same elements under another shape. */
const reshaped =
  (target: (c: FoldContext, shape: readonly number[]) => readonly number[] | undefined): Evaluation =>
  (c) => {
    const x = c.inputs[0]
    const shape = x && target(c, x.shape)
    return shape === undefined || elementCount(shape) !== x!.values.length ? undefined : { ...x!, shape }
  }

const axesOf = (c: FoldContext): readonly number[] | undefined => c.ints('axes') ?? numeric(c.inputs[1])

const tensorOf = (node: Node): Known | undefined => {
  const { value, value_int, value_ints, value_float, value_floats } = node.attributes
  if (value?.type === 'tensor') {
    if (elementCount(value.value.shape) > FOLD_LIMIT) return undefined
    const values = numbersOf(value.value)
    return values && { dtype: value.value.dtype, shape: value.value.shape, values }
  }
  if (value_int?.type === 'int') return { dtype: 'int64', shape: [], values: [value_int.value] }
  if (value_ints?.type === 'ints') return { dtype: 'int64', shape: [value_ints.value.length], values: value_ints.value }
  if (value_float?.type === 'float') return { dtype: 'float32', shape: [], values: [value_float.value] }
  if (value_floats?.type === 'floats') return { dtype: 'float32', shape: [value_floats.value.length], values: value_floats.value }
  return undefined
}

/** Elements of x at the index vectors that `at` gives for each index vector of `shape`. */
function pick(x: Known, shape: readonly number[], at: (index: number[]) => number[]): Known {
  const values = Array.from({ length: elementCount(shape) }, (_, i) => {
    const index: number[] = []
    let rest = i
    for (let d = shape.length - 1; d >= 0; d--) {
      index.unshift(rest % shape[d]!)
      rest = Math.floor(rest / shape[d]!)
    }
    return x.values[at(index).reduce((flat, k, d) => flat * x.shape[d]! + k, 0)]!
  })
  return { dtype: x.dtype, shape, values }
}

const reduce =
  (f: (a: Dim, b: Dim) => Dim, start: Dim): Evaluation =>
  (c) => {
    const x = c.inputs[0]
    if (x === undefined || (c.inputs[1] === undefined && c.node.inputs[1])) return undefined
    const axes = axesOf(c)
    // Only whole tensors: that is what products of shapes are.
    if (axes !== undefined && axes.length > 0 && axes.length !== x.shape.length) return undefined
    return { dtype: x.dtype, shape: c.int('keepdims', 1) === 1 ? x.shape.map(() => 1) : [], values: [x.values.reduce(f, start)] }
  }

const evaluations: Readonly<Record<string, Evaluation>> = {
  Constant: (c) => tensorOf(c.node),
  Identity: (c) => c.inputs[0],
  Shape: (c) => {
    const shape = c.shapes[0]
    if (shape === undefined) return undefined
    const values = shape.slice(c.int('start', 0), c.int('end', shape.length))
    return { dtype: 'int64', shape: [values.length], values }
  },
  Size: (c) => c.shapes[0] && { dtype: 'int64', shape: [], values: [c.shapes[0].reduce<Dim>(multiplyDims, 1)] },
  Cast: (c) => {
    const x = c.inputs[0]
    const dtype = dtypeFromOnnx(c.int('to', 0))
    if (x === undefined || dtype === undefined || dtype === 'string') return undefined
    const toBool = (v: Dim): Dim => (typeof v === 'number' ? Number(v !== 0) : 1)
    const values =
      dtype === 'bool'
        ? x.values.map(toBool)
        : isFloat(dtype)
          ? x.values
          : x.values.map((v) => (typeof v === 'number' ? Math.trunc(v) : v))
    return values.some((v) => typeof v === 'number' && !Number.isFinite(v)) && !isFloat(dtype)
      ? undefined
      : { ...x, dtype, values }
  },
  Gather: (c) => {
    const [x, indices] = c.inputs
    const at = numeric(indices)
    if (x === undefined || at === undefined) return undefined
    const axis = normalizeAxis(c.int('axis', 0), x.shape.length, c.node.name)
    const [length, lead] = [x.shape[axis]!, indices!.shape.length]
    if (at.some((i) => i < -length || i >= length)) return undefined
    const shape = [...x.shape.slice(0, axis), ...indices!.shape, ...x.shape.slice(axis + 1)]
    return pick(x, shape, (index) => {
      const along = index.slice(axis, axis + lead).reduce((flat, k, d) => flat * indices!.shape[d]! + k, 0)
      const i = at[along]!
      return [...index.slice(0, axis), i < 0 ? i + length : i, ...index.slice(axis + lead)]
    })
  },
  Slice: (c) => {
    const x = c.inputs[0]
    const [starts, ends] = [c.ints('starts') ?? numeric(c.inputs[1]), c.ints('ends') ?? numeric(c.inputs[2])]
    const axes = c.ints('axes') ?? (c.node.inputs[3] ? numeric(c.inputs[3]) : starts?.map((_, i) => i))
    const steps = c.node.inputs[4] ? numeric(c.inputs[4]) : starts?.map(() => 1)
    if (x === undefined || !starts || !ends || !axes || !steps) return undefined
    const picked = x.shape.map((n) => Array.from({ length: n }, (_, i) => i))
    axes.forEach((a, i) => {
      const axis = normalizeAxis(a, x.shape.length, c.node.name)
      const [n, step] = [x.shape[axis]!, steps[i]!]
      const bound = (v: number): number => Math.min(Math.max(v < 0 ? v + n : v, step < 0 ? -1 : 0), step < 0 ? n - 1 : n)
      const end = ends[i]! < -n && step < 0 ? -1 : bound(ends[i]!)
      picked[axis] = []
      for (let k = bound(starts[i]!); step > 0 ? k < end : k > end; k += step) picked[axis].push(k)
    })
    return pick(
      x,
      picked.map((p) => p.length),
      (index) => index.map((k, d) => picked[d]![k]!),
    )
  },
  Concat: (c) => {
    const parts = c.inputs
    if (parts.some((p) => p === undefined)) return undefined
    const axis = normalizeAxis(c.int('axis', 0), parts[0]!.shape.length, c.node.name)
    if (axis !== 0) return undefined
    const length = parts.reduce((n, p) => n + p!.shape[0]!, 0)
    return { dtype: parts[0]!.dtype, shape: [length, ...parts[0]!.shape.slice(1)], values: parts.flatMap((p) => p!.values) }
  },
  Split: (c) => {
    const x = c.inputs[0]
    const count = c.node.outputs.length
    const sizes =
      c.ints('split') ?? (c.node.inputs[1] ? numeric(c.inputs[1]) : x && Array.from({ length: count }, () => x.shape[0]! / count))
    if (x === undefined || x.shape.length !== 1 || sizes === undefined || sizes.some((s) => !Number.isInteger(s)))
      return undefined
    let at = 0
    return sizes.map((size) => ({ dtype: x.dtype, shape: [size], values: x.values.slice(at, (at += size)) }))
  },
  Unsqueeze: reshaped((c, shape) => {
    const axes = axesOf(c)
    if (axes === undefined) return undefined
    const rank = shape.length + axes.length
    const added = new Set(axes.map((a) => normalizeAxis(a, rank, c.node.name)))
    const rest = [...shape]
    return Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : rest.shift()!))
  }),
  Squeeze: reshaped((c, shape) => {
    const axes = axesOf(c)?.map((a) => normalizeAxis(a, shape.length, c.node.name))
    return shape.filter((d, i) => (axes === undefined ? d !== 1 : !axes.includes(i)))
  }),
  Reshape: reshaped((c, shape) => {
    const target = numeric(c.inputs[1])?.map((d, i) => (d === 0 && c.int('allowzero', 0) === 0 ? (shape[i] ?? 0) : d))
    const known = target?.filter((d) => d !== -1).reduce((p, d) => p * d, 1)
    return target?.map((d) => (d === -1 ? elementCount(shape) / known! : d))
  }),
  Flatten: reshaped((c, shape) => {
    const axis = c.int('axis', 1) < 0 ? c.int('axis', 1) + shape.length : c.int('axis', 1)
    return [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))]
  }),
  Transpose: (c) => {
    const x = c.inputs[0]
    if (x === undefined) return undefined
    const perm = c.ints('perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i)
    return pick(
      x,
      perm.map((p) => x.shape[p]!),
      (index) => x.shape.map((_, d) => index[perm.indexOf(d)]!),
    )
  },
  Expand: (c) => {
    const [x, target] = [c.inputs[0], numeric(c.inputs[1])]
    const shape = x && target && broadcastNumbers([x.shape, target])
    if (x === undefined || shape === undefined || elementCount(shape) > FOLD_LIMIT) return undefined
    return { ...x, shape, values: Array.from({ length: elementCount(shape) }, (_, i) => x.values[position(i, shape, x.shape)]!) }
  },
  ConstantOfShape: (c) => {
    const shape = numeric(c.inputs[0])
    if (shape === undefined || elementCount(shape) > FOLD_LIMIT) return undefined
    const fill = tensorOf(c.node) ?? { dtype: 'float32' as const, shape: [1], values: [0] }
    return { dtype: fill.dtype, shape, values: Array.from({ length: elementCount(shape) }, () => fill.values[0]!) }
  },
  Range: (c) => {
    const [start, limit, delta] = c.inputs.map((i) => numeric(i)?.[0])
    if (start === undefined || limit === undefined || !delta) return undefined
    const count = Math.max(0, Math.ceil((limit - start) / delta))
    if (count > FOLD_LIMIT) return undefined
    return { dtype: c.inputs[0]!.dtype, shape: [count], values: Array.from({ length: count }, (_, i) => start + i * delta) }
  },
  Add: elementwise(([a, b]) => addDims(a!, b!), same),
  Sub: elementwise(([a, b]) => subtractDims(a!, b!), same),
  Mul: elementwise(([a, b]) => multiplyDims(a!, b!), same),
  Div: elementwise(divide, same),
  Neg: elementwise(([a]) => multiplyDims(a!, -1), same),
  Min: elementwise((values) => values.reduce(minDims), same),
  Max: elementwise((values) => values.reduce(maxDims), same),
  Mod: onNumbers((a, b) => a - b * Math.floor(a / b)),
  Pow: onNumbers((a, b) => a ** b),
  Sqrt: onNumbers(Math.sqrt),
  Floor: onNumbers(Math.floor),
  Ceil: onNumbers(Math.ceil),
  Abs: onNumbers(Math.abs),
  Not: onNumbers((a) => 1 - a),
  And: onNumbers((a, b) => a & b),
  Or: onNumbers((a, b) => a | b),
  Equal: compare((order) => order === 0),
  Less: compare((order) => order < 0),
  LessOrEqual: compare((order) => order <= 0),
  Greater: compare((order) => order > 0),
  GreaterOrEqual: compare((order) => order >= 0),
  Where: elementwise(
    ([c, a, b]) => (typeof c === 'number' ? (c !== 0 ? a! : b!) : undefined),
    (inputs) => inputs[1]!.dtype,
  ),
  ReduceProd: reduce(multiplyDims, 1),
  ReduceSum: reduce(addDims, 0),
}

/**
 * The outputs of a node whose inputs are known, or undefined where they are not, or not small.
 * @param inputs what is known of the elements of each input
 * @param shapes shapes of the inputs, for `Shape` and `Size`
 */
export function foldNode(
  node: Node,
  inputs: readonly (Known | undefined)[],
  shapes: readonly (Shape | undefined)[],
): Known[] | undefined {
  const evaluate = node.domain === '' && Object.hasOwn(evaluations, node.op) ? evaluations[node.op] : undefined
  if (evaluate === undefined) return undefined
  const result = evaluate(new FoldContext(node, inputs, shapes))
  if (result === undefined) return undefined
  const outputs = Array.isArray(result) ? result : [result]
  return outputs.length === node.outputs.length && outputs.every((o) => o.values.length <= FOLD_LIMIT) ? outputs : undefined
}

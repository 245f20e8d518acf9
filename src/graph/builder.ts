/** @file Emits nodes with inferred types: `b.mul(x, 2)`. Only operators of the closed list can be emitted. */
import { ShapeError } from '../errors.js'
import { assertEmittable, type EmittableName } from './allowed-ops.js'
import { tensor } from './constants.js'
import { callOf, factorsOf, termsOf } from './dim/index.js'
import { dtypeToOnnx } from './dtypes.js'
import type { Graph } from './graph.js'
import { inferNode } from './infer/index.js'
import { broadcastShapes, normalizeAxis, productOfDims, resolveReshape, sameShape } from './shapes.js'
import {
  float,
  formatShape,
  int,
  ints,
  string,
  type Attributes,
  type Dim,
  type DType,
  type HostTensor,
  type Node,
  type Shape,
  type Value,
} from './types.js'

/** A value, or a number that becomes a scalar constant of the other operand's element type. */
export type Operand = Value | number

/** How a node is emitted. */
export interface EmitOptions {
  /** Domain of the operator; `''`, which is ai.onnx, where none is given. */
  readonly domain?: string
  /** Number of outputs, 1 by default. */
  readonly outputs?: number
  /** Name of the (first) output; made unique. */
  readonly name?: string
  /** Shapes where they are known better than inference can know them. */
  readonly shapes?: readonly Shape[]
}

/**
 * Emits nodes into a graph, with element types and shapes inferred.
 *
 * Every method that takes values appends nodes to {@link graph} and returns the result; nothing is computed before a session
 * runs the graph. Two operands are broadcast as ONNX does (NumPy's rules), and a plain number becomes a constant of the other
 * operand's element type. Only operators of {@link emittableOps} can be emitted.
 * @throws ShapeError where element types differ or shapes cannot be broadcast or multiplied
 * @example
 * const graph = new Graph('mean of squares')
 * const x = graph.addInput('x', 'float32', ['batch', 3])
 * const b = new GraphBuilder(graph)
 * graph.outputs = [b.reduceMean(b.mul(x, x), [1], false)] // [batch]
 */
export class GraphBuilder {
  private readonly constants = new Map<string, Value>()
  private readonly dims = new Map<string, Value>()
  private readonly shapeVectors = new Map<string, Value>()
  /** Prefix of the names of emitted values, for readable graphs. */
  private prefix = ''

  /** A builder that appends to a graph. */
  constructor(
    /** The graph that nodes are appended to. */
    readonly graph: Graph,
  ) {}

  /** Runs `body` with value names prefixed by `name/`. */
  scope<T>(name: string, body: () => T): T {
    const before = this.prefix
    this.prefix = `${before}${name}/`
    try {
      return body()
    } finally {
      this.prefix = before
    }
  }

  /** Emits a node and returns its outputs. A missing optional input is `undefined`. */
  emitAll(
    op: EmittableName,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: EmitOptions = {},
  ): Value[] {
    const domain = options.domain ?? ''
    assertEmittable(op, domain)
    const count = options.outputs ?? 1
    const types = inferNode(this.graph, op, inputs, attributes, count)
    const base = options.name ?? `${this.prefix}${op}`
    const outputs = types.map((type, i) =>
      this.graph.declare(this.graph.uniqueName(i === 0 ? base : `${base}_${i}`), type.dtype, options.shapes?.[i] ?? type.shape),
    )
    const names = inputs.map((v) => v?.name ?? '')
    while (names[names.length - 1] === '') names.pop()
    this.graph.nodes.push({ op, domain, name: outputs[0]!.name, inputs: names, outputs: outputs.map((o) => o.name), attributes })
    return outputs
  }

  /** Emits a node with one output. */
  emit(op: EmittableName, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, options: EmitOptions = {}): Value {
    return this.emitAll(op, inputs, attributes, options)[0]!
  }

  /**
   * Emits a node again, on other inputs.
   * @param shapes of its outputs where they are known; inferred unless given
   */
  emitAgain(
    { op, domain, attributes, outputs }: Node,
    inputs: readonly (Value | undefined)[],
    shapes?: readonly Shape[],
  ): Value[] {
    assertEmittable(op, domain)
    return this.emitAll(op as EmittableName, inputs, attributes, { domain, outputs: outputs.length, ...(shapes && { shapes }) })
  }

  // Constants

  /**
   * A tensor as an initializer of the graph.
   * @param name a hint; made unique
   */
  constant(host: HostTensor, name = `${this.prefix}constant`): Value {
    return this.graph.addInitializer(this.graph.uniqueName(name), host)
  }

  /** A scalar constant; the same number of the same type is one initializer. */
  scalar(value: number, dtype: DType = 'float32'): Value {
    return this.cached(
      `${dtype}:${Object.is(value, -0) ? '-0' : value}`,
      () => tensor(dtype, [], [value]),
      `scalar_${dtype}_${value}`,
    )
  }

  /** A 1-D int64 constant: axes, shapes, slice bounds. */
  int64s(values: readonly number[]): Value {
    return this.cached(`[${values.join(',')}]`, () => tensor('int64', [values.length], values), `ints_${values.join('_')}`)
  }

  private cached(key: string, make: () => HostTensor, name: string): Value {
    let value = this.constants.get(key)
    if (value === undefined || !this.graph.initializers.has(value.name)) {
      value = this.graph.addInitializer(this.graph.uniqueName(name), make())
      this.constants.set(key, value)
    }
    return value
  }

  /** A tensor of `shape` filled with one number. */
  full(shape: Shape, value: number, dtype: DType = 'float32'): Value {
    return this.emit(
      'ConstantOfShape',
      [this.shapeVector(shape)],
      { value: { type: 'tensor', value: tensor(dtype, [1], [value]) } },
      { shapes: [shape] },
    )
  }

  /** A tensor of `shape` filled with 0. */
  zeros(shape: Shape, dtype: DType = 'float32'): Value {
    return this.full(shape, 0, dtype)
  }

  private operands(a: Operand, b: Operand): [Value, Value] {
    if (typeof a !== 'number') return [a, typeof b === 'number' ? this.scalar(b, a.dtype) : b]
    if (typeof b === 'number') return [this.scalar(a), this.scalar(b)]
    return [this.scalar(a, b.dtype), b]
  }

  // Element-wise

  /** `a + b`, element by element. */
  add = (a: Operand, b: Operand): Value => this.emit('Add', this.operands(a, b))
  /** `a − b`, element by element. */
  sub = (a: Operand, b: Operand): Value => this.emit('Sub', this.operands(a, b))
  /** `a · b`, element by element. */
  mul = (a: Operand, b: Operand): Value => this.emit('Mul', this.operands(a, b))
  /** `a / b`, element by element; of integers the quotient cut off towards 0. */
  div = (a: Operand, b: Operand): Value => this.emit('Div', this.operands(a, b))
  /** `a` to the power `b`, element by element. */
  pow = (a: Operand, b: Operand): Value => this.emit('Pow', this.operands(a, b))
  /** The smaller of both, element by element. */
  min = (a: Operand, b: Operand): Value => this.emit('Min', this.operands(a, b))
  /** The larger of both, element by element. */
  max = (a: Operand, b: Operand): Value => this.emit('Max', this.operands(a, b))
  /** `a = b` as a boolean, element by element. */
  equal = (a: Operand, b: Operand): Value => this.emit('Equal', this.operands(a, b))
  /** `a < b` as a boolean, element by element. */
  less = (a: Operand, b: Operand): Value => this.emit('Less', this.operands(a, b))
  /** `a ≤ b` as a boolean, element by element. */
  lessOrEqual = (a: Operand, b: Operand): Value => this.emit('LessOrEqual', this.operands(a, b))
  /** `a > b` as a boolean, element by element. */
  greater = (a: Operand, b: Operand): Value => this.emit('Greater', this.operands(a, b))
  /** `a ≥ b` as a boolean, element by element. */
  greaterOrEqual = (a: Operand, b: Operand): Value => this.emit('GreaterOrEqual', this.operands(a, b))
  /** Both, of booleans. */
  and = (a: Value, b: Value): Value => this.emit('And', [a, b])
  /** Either, of booleans. */
  or = (a: Value, b: Value): Value => this.emit('Or', [a, b])
  /** The contrary, of booleans. */
  not = (x: Value): Value => this.emit('Not', [x])
  /** `−x` */
  neg = (x: Value): Value => this.emit('Neg', [x])
  /** `|x|` */
  abs = (x: Value): Value => this.emit('Abs', [x])
  /** −1, 0 or 1 by the sign of each element. */
  sign = (x: Value): Value => this.emit('Sign', [x])
  /** `eˣ` */
  exp = (x: Value): Value => this.emit('Exp', [x])
  /** The natural logarithm. */
  log = (x: Value): Value => this.emit('Log', [x])
  /** `√x` */
  sqrt = (x: Value): Value => this.emit('Sqrt', [x])
  /** `1 / x` */
  reciprocal = (x: Value): Value => this.emit('Reciprocal', [x])
  /** The sine of radians. */
  sin = (x: Value): Value => this.emit('Sin', [x])
  /** The cosine of radians. */
  cos = (x: Value): Value => this.emit('Cos', [x])
  /** The error function, `2/√π · ∫₀ˣ e^(−t²) dt`. */
  erf = (x: Value): Value => this.emit('Erf', [x])
  /** The hyperbolic tangent. */
  tanh = (x: Value): Value => this.emit('Tanh', [x])
  /** `1 / (1 + e^(−x))` */
  sigmoid = (x: Value): Value => this.emit('Sigmoid', [x])
  /** `max(x, 0)` */
  relu = (x: Value): Value => this.emit('Relu', [x])

  /** `a` where a boolean condition holds, else `b`; all three are broadcast. */
  where(condition: Value, a: Operand, b: Operand): Value {
    return this.emit('Where', [condition, ...this.operands(a, b)])
  }

  /** The same numbers as another element type; `x` itself where it has that type. */
  cast(x: Value, to: DType): Value {
    return x.dtype === to ? x : this.emit('Cast', [x], { to: int(dtypeToOnnx(to)) })
  }

  // Products

  /** Matrix product over the last two dimensions, `alpha * op(a) * op(b)`; the transposes cost no copy. */
  matmul(a: Value, b: Value, options: { transA?: boolean; transB?: boolean; alpha?: number } = {}): Value {
    const { transA = false, transB = false, alpha = 1 } = options
    if (!transA && !transB && alpha === 1) return this.emit('MatMul', [a, b])
    return this.emit(
      'FusedMatMul',
      [a, b],
      { ...(transA && { transA: int(1) }), ...(transB && { transB: int(1) }), ...(alpha !== 1 && { alpha: float(alpha) }) },
      { domain: 'com.microsoft' },
    )
  }

  /** `alpha * op(a) * op(b) + beta * c` on matrices. */
  gemm(
    a: Value,
    b: Value,
    options: { c?: Value | undefined; transA?: boolean; transB?: boolean; alpha?: number; beta?: number; name?: string } = {},
  ): Value {
    const { c, transA = false, transB = false, alpha = 1, beta = 1, name } = options
    return this.emit(
      'Gemm',
      [a, b, c],
      {
        ...(transA && { transA: int(1) }),
        ...(transB && { transB: int(1) }),
        ...(alpha !== 1 && { alpha: float(alpha) }),
        ...(beta !== 1 && { beta: float(beta) }),
      },
      name === undefined ? {} : { name },
    )
  }

  // Shape

  /** The run-time length of a symbolic dimension, as int64 [1], read from a graph input that has it. */
  dim(dim: Dim): Value {
    if (typeof dim === 'number') return this.int64s([dim])
    const known = this.dims.get(dim)
    if (known !== undefined) return known
    const value = this.readDim(dim)
    this.dims.set(dim, value)
    return value
  }

  private readDim(dim: string): Value {
    for (const input of this.graph.inputs) {
      const axis = input.shape?.indexOf(dim) ?? -1
      if (axis >= 0) return this.shapeOf(input, axis)
    }
    const factors = factorsOf(dim)
    if (factors.length > 1) return this.product(factors)
    for (const value of this.graph.values.values()) {
      const axis = value.shape?.indexOf(dim) ?? -1
      if (axis >= 0 && !this.graph.initializers.has(value.name)) return this.shapeOf(value, axis)
    }
    const computed = this.computeDim(dim)
    if (computed === undefined) throw new ShapeError(`internal: no value of graph "${this.graph.name}" has dimension "${dim}"`)
    return computed
  }

  private product(factors: readonly string[]): Value {
    return factors.map((factor) => this.dim(/^-?\d+$/.test(factor) ? Number(factor) : factor)).reduce((a, b) => this.mul(a, b))
  }

  /** A sum or a function of other lengths. */
  private computeDim(dim: string): Value | undefined {
    const terms = [...termsOf(dim)]
    const [first] = terms
    if (terms.length !== 1 || first![0] !== dim)
      return terms.map(([monomial, c]) => this.product([`${c}`, ...factorsOf(monomial)])).reduce((a, b) => this.add(a, b))
    const call = callOf(dim)
    const operands = (): Value[] => call!.operands.map((operand) => this.dim(operand))
    // Lengths are not negative, so that the quotient that is cut off is the one rounded down.
    if (call?.name === 'floor' || call?.name === 'quotient') return operands().reduce((a, b) => this.div(a, b))
    if (call?.name === 'min') return operands().reduce((a, b) => this.min(a, b))
    return call?.name === 'max' ? operands().reduce((a, b) => this.max(a, b)) : undefined
  }

  private shapeOf(x: Value, axis: number): Value {
    return this.emit('Shape', [x], { start: int(axis), end: int(axis + 1) })
  }

  /** A shape as an int64 vector, constant where every dimension is a number. */
  shapeVector(shape: Shape): Value {
    if (shape.every((d) => typeof d === 'number')) return this.int64s(shape)
    const key = shape.join(',')
    const known = this.shapeVectors.get(key)
    if (known !== undefined && this.graph.values.get(known.name) === known) return known
    const vector = this.concat(
      shape.map((d) => this.dim(d)),
      0,
    )
    this.shapeVectors.set(key, vector)
    return vector
  }

  /** Reshape to a symbolic shape, without run-time shape arithmetic where `0` and one `-1` suffice. */
  reshape(x: Value, target: Shape): Value {
    if (x.shape !== undefined && sameShape(x.shape, target)) return x
    const resolved = x.shape === undefined ? target : resolveReshape(x.shape, target, `Reshape(${x.name})`)
    if (x.shape !== undefined && sameShape(x.shape, resolved)) return x
    let open = 0
    const literal = resolved.map((d, i) => {
      if (typeof d === 'number') return d
      if (x.shape?.[i] === d) return 0
      open++
      return -1
    })
    // A literal 0 means "copy" to ONNX, so an empty dimension must go the long way.
    const isLiteral = open <= 1 && !resolved.includes(0)
    return this.emit('Reshape', [x, isLiteral ? this.int64s(literal) : this.shapeVector(resolved)], {}, { shapes: [resolved] })
  }

  /** Reshape to the shape that `like` has at the run. */
  reshapeLike(x: Value, like: Value): Value {
    if (like.shape !== undefined) return this.reshape(x, like.shape)
    return this.emit('Reshape', [x, this.emit('Shape', [like])])
  }

  /** Axes in another order: axis `i` of the result is axis `perm[i]` of `x`. `x` itself where the order is its own. */
  transpose(x: Value, perm: readonly number[]): Value {
    return perm.every((p, i) => p === i) ? x : this.emit('Transpose', [x], { perm: ints(perm) })
  }

  /** New axes of length 1, at these places of the result. */
  unsqueeze = (x: Value, axes: readonly number[]): Value => this.emit('Unsqueeze', [x, this.int64s(axes)])
  /** Without these axes, each of length 1. */
  squeeze = (x: Value, axes: readonly number[]): Value => this.emit('Squeeze', [x, this.int64s(axes)])

  /**
   * Broadcast to a shape; `x` itself where it has that shape.
   * @throws ShapeError where it cannot be broadcast
   */
  expand(x: Value, shape: Shape): Value {
    if (x.shape !== undefined && sameShape(x.shape, shape)) return x
    const result = x.shape === undefined ? shape : broadcastShapes(x.shape, shape, `Expand(${x.name})`)
    return this.emit('Expand', [x, this.shapeVector(shape)], {}, { shapes: [result] })
  }

  /** Tensors joined along an axis; the one given where it is alone. */
  concat(parts: readonly Value[], axis: number): Value {
    return parts.length === 1 ? parts[0]! : this.emit('Concat', parts, { axis: int(axis) })
  }

  /** A tensor cut along an axis into pieces of these lengths. */
  split(x: Value, sizes: readonly number[], axis: number): Value[] {
    return this.emitAll('Split', [x, this.int64s(sizes)], { axis: int(axis) }, { outputs: sizes.length })
  }

  /** `count` parts of `size` each; of one part the value itself. */
  splitEvenly(x: Value, count: number, size: number, axis: number): Value[] {
    return count === 1 ? [x] : this.split(x, Array<number>(count).fill(size), axis)
  }

  /** `x[start:end]` along one axis. */
  slice(x: Value, axis: number, start: number, end: number): Value {
    return this.emit('Slice', [x, this.int64s([start]), this.int64s([end]), this.int64s([axis])])
  }

  /** `data` at integer positions along an axis: [..., axis, ...] and indices of any shape to [..., ...indices, ...]. */
  gather = (data: Value, indices: Value, axis = 0): Value => this.emit('Gather', [data, indices], { axis: int(axis) })

  // Reductions

  private reduceOp(op: 'ReduceSum' | 'ReduceMean' | 'ReduceMax', x: Value, axes: readonly number[], keepdims: boolean): Value {
    return this.emit(op, [x, this.int64s(axes)], { keepdims: int(keepdims ? 1 : 0) })
  }

  /** Sum over axes, which stay with length 1 unless `keepdims` is false. */
  reduceSum = (x: Value, axes: readonly number[], keepdims = true): Value => this.reduceOp('ReduceSum', x, axes, keepdims)
  /** Mean over axes, which stay with length 1 unless `keepdims` is false. */
  reduceMean = (x: Value, axes: readonly number[], keepdims = true): Value => this.reduceOp('ReduceMean', x, axes, keepdims)
  /** Largest element over axes, which stay with length 1 unless `keepdims` is false. */
  reduceMax = (x: Value, axes: readonly number[], keepdims = true): Value => this.reduceOp('ReduceMax', x, axes, keepdims)

  /** Sum of everything, a scalar. */
  sumAll(x: Value): Value {
    return this.emit('ReduceSum', [x], { keepdims: int(0) })
  }

  /** `e^x / Σ e^x` along one axis. */
  softmax = (x: Value, axis = -1): Value => this.emit('Softmax', [x], { axis: int(axis) })

  /** Number of elements, as a plain product of dimensions. */
  elementCount(x: Value): Dim {
    if (x.shape === undefined) throw new ShapeError(`"${x.name}" has unknown rank`)
    return productOfDims(x.shape)
  }

  /** Axis counted from the front. */
  axis(x: Value, axis: number): number {
    if (x.shape === undefined) throw new ShapeError(`"${x.name}" has unknown rank ${formatShape(x.shape)}`)
    return normalizeAxis(axis, x.shape.length, x.name)
  }

  // Activations and normalisation: one fused operator forward, primitives backward

  /** Gaussian error linear unit, exact (`none`) or by `tanh` (Hendrycks and Gimpel, 2016). */
  gelu = (x: Value, approximate: 'none' | 'tanh' = 'none'): Value => this.emit('Gelu', [x], { approximate: string(approximate) })

  /**
   * Normalisation to mean 0 and variance 1 over the last axis (Ba et al., 2016), then `· scale + bias`.
   * @param epsilon added to the variance
   */
  layerNormalization(x: Value, scale: Value, bias: Value | undefined, epsilon: number): Value {
    return this.emit('LayerNormalization', [x, scale, bias], { axis: int(-1), epsilon: float(epsilon) })
  }

  /** Root-mean-square normalisation over the last axis (Zhang and Sennrich, 2019). */
  rmsNormalization(x: Value, scale: Value, epsilon: number): Value {
    return this.emit('SimplifiedLayerNormalization', [x, scale], { axis: int(-1), epsilon: float(epsilon), stash_type: int(1) })
  }
}

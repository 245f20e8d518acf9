/** @file Products with frozen matrices in 8-bit integers, forward and backward. */
import { fillOf } from '../graph/attributes.js'
import type { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { productOfDims } from '../graph/shapes.js'
import { int, type Initializer, type Node, type Value } from '../graph/types.js'
import type { FrozenMatrix, FrozenProduct } from './products.js'
import type { Emitter, EmitterTools } from './rewrite.js'

/** Smallest factor of a row, so that a row of zeros stays one. */
const TINY = 1e-30

/** Codes of a matrix x [rows, n] ≈ (codes − zero)·factor. */
interface RowCodes {
  /** uint8 [rows, n] */
  readonly codes: Value
  /** uint8, a scalar. */
  readonly zero: Value
  /** float32 [rows, 1]: what a step of a code stands for in each row. */
  readonly factor: Value
}

/**
 * Every product is y = ((x/f)·C)·s·f: f is the largest of each row of x by the codes there are, so that every token has a
 * scale of its own; C and s are the codes of the weight and their scale for each column of the product. The product the
 * other way round has codes of its own, with a scale for each of *its* columns: then no operand has to be scaled before.
 *
 * The runtime's operators know one scale for the whole left operand; `QuantizeLinear` along the rows, and a factor behind
 * the product, give each row its own.
 *
 * Gradients are multiplied like activations. What 8 bits cannot hold is a label's −1 beside thousands of small probabilities
 * in the gradient of the logits; the rule of the product takes it out (`autodiff/rules/row-terms.ts`): the label's row is
 * picked in float32, and the other probabilities have the codes to the largest of them for themselves.
 */
export class Int8Emitter implements Emitter {
  /** Codes by value: queries, keys and values read the same. */
  private readonly known = new Map<string, RowCodes>()
  private readonly b: GraphBuilder

  constructor(
    private readonly tools: EmitterTools,
    private readonly stored: (name: string) => Initializer,
  ) {
    this.b = tools.b
  }

  product({ name }: FrozenMatrix, { x, alpha, forward }: FrozenProduct): Value {
    const { b } = this
    const [codes, scales] = this.weight(name, forward)
    const [lead, columns] = [x.shape!.slice(0, -1), codes.shape![1]!]
    const rows = this.codesOf(x)
    const integers = b.emit(
      'MatMulIntegerToFloat',
      [rows.codes, codes, b.scalar(1), scales, rows.zero],
      {},
      { domain: 'com.microsoft', shapes: [[productOfDims(lead), columns]] },
    )
    const y = b.mul(integers, alpha === 1 ? rows.factor : b.mul(rows.factor, alpha))
    return b.reshape(y, [...lead, columns])
  }

  private weight(name: string, forward: boolean): [codes: Value, scales: Value] {
    const { codes, scales } = int8Names(name)[forward ? 'forward' : 'backward']
    return [codes, scales].map((tensor) => this.tools.initializer(tensor, () => this.stored(tensor))) as [Value, Value]
  }

  private codesOf(value: Value): RowCodes {
    const known = this.known.get(value.name)
    if (known !== undefined) return known
    const { b } = this
    const x = b.reshape(value, [productOfDims(value.shape!.slice(0, -1)), value.shape!.at(-1)!])
    const positive = neverNegative(b.graph, x.name)
    const largest = b.reduceMax(x, [-1])
    const size = positive ? largest : b.max(largest, b.neg(b.emit('ReduceMin', [x, b.int64s([-1])])))
    const [zero, steps] = positive ? [0, 255] : [128, 127]
    // Neither the extremes nor the codes of a row tell that a number in it is none; its sum does.
    const finite = b.mul(b.reduceSum(x, [-1]), 0)
    const perRow = b.add(b.max(b.mul(size, 1 / steps), TINY), finite)
    // The runtime gives a reduction over no rows the shape of what it reduces: shapes are given anew.
    const rows = x.shape![0]!
    const vector = b.emit('Reshape', [perRow, b.int64s([-1])], {}, { shapes: [[rows]] })
    const factor = b.emit('Reshape', [vector, b.int64s([-1, 1])], {}, { shapes: [[rows, 1]] })
    const codes = b.emit('QuantizeLinear', [x, vector, b.full([rows], zero, 'uint8')], { axis: int(0) }, { shapes: [x.shape!] })
    const result = { codes, zero: b.scalar(zero, 'uint8'), factor }
    this.known.set(value.name, result)
    return result
  }
}

/** Probabilities, some of them taken out: all 256 codes serve what has no sign. */
function neverNegative(graph: Graph, name: string): boolean {
  const producer = (value: string | undefined): Node | undefined => graph.nodes.findLast(({ outputs }) => outputs[0] === value)
  const node = producer(name)
  if (node?.domain !== '') return false
  if (node.op === 'Identity' || node.op === 'Reshape') return neverNegative(graph, node.inputs[0]!)
  if (node.op === 'ScatterElements') return (fillOf(producer(node.inputs[2])) ?? -1) >= 0 && neverNegative(graph, node.inputs[0]!)
  return node.op === 'Softmax' || node.op === 'Exp'
}

/** Names of the tensors that a matrix is stored as, for the product over its inputs and for that over its outputs. */
export const int8Names = (name: string): Record<'forward' | 'backward', { readonly codes: string; readonly scales: string }> => ({
  forward: { codes: `${name}/codes`, scales: `${name}/scales` },
  backward: { codes: `${name}/codes_transposed`, scales: `${name}/scales_transposed` },
})

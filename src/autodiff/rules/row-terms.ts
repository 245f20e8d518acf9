/** @file Products of a gradient that is a factor of each row, or a single number in it, without the array that it stands for. */
import type { GraphBuilder } from '../../graph/builder.js'
import { sameShape } from '../../graph/shapes.js'
import { int, isFileTensor, type Node, type Value } from '../../graph/types.js'

/** g = factor·x with factor [rows, 1], or a matrix of zeros with `values` [rows, 1] at the columns `at` [rows, 1]. */
type Term =
  | { readonly kind: 'rows'; readonly x: Value; readonly factor: Value | undefined }
  | { readonly kind: 'picks'; readonly at: Value; readonly values: Value }

/** The node that made a value; a gradient was emitted just now, so it is near the end. */
const producer = ({ graph }: GraphBuilder, { name }: Value): Node | undefined =>
  graph.nodes.findLast((node) => node.outputs.includes(name))

const integer = ({ attributes }: Node, name: string, fallback: number): number => {
  const attribute = attributes[name]
  return attribute?.type === 'int' ? attribute.value : fallback
}

/** A tensor of zeros, made for others to be added to it. */
function isZeros(b: GraphBuilder, value: Value): boolean {
  const node = producer(b, value)
  const fill = node?.attributes['value']
  if (node?.op !== 'ConstantOfShape') return false
  return fill?.type !== 'tensor' || (!isFileTensor(fill.value) && fill.value.data.every((x) => Number(x) === 0))
}

/** What a matrix is the sum of; all of its own shape, for what is broadcast is no row. */
function termsOf(b: GraphBuilder, g: Value): Term[] {
  const whole: Term[] = [{ kind: 'rows', x: g, factor: undefined }]
  const node = producer(b, g)
  if (node === undefined) return whole
  const inputs = node.inputs.map((name) => b.graph.value(name))
  const [x, y] = inputs as [Value, Value]
  const isWhole = ({ shape }: Value): boolean => shape !== undefined && sameShape(shape, g.shape!)
  const isColumn = ({ shape }: Value): boolean => shape?.length === 2 && shape[1] === 1 && shape[0] === g.shape![0]
  if (node.op === 'Add' && isWhole(x) && isWhole(y)) return [...termsOf(b, x), ...termsOf(b, y)]
  if (node.op === 'Mul' && isWhole(x) && isColumn(y)) return [{ kind: 'rows', x, factor: y }]
  if (node.op === 'Mul' && isWhole(y) && isColumn(x)) return [{ kind: 'rows', x: y, factor: x }]
  if (node.op !== 'ScatterElements' || !isZeros(b, x) || !inputs.slice(1).every(isColumn)) return whole
  const { reduction } = node.attributes
  const adds =
    reduction === undefined || (reduction.type === 'string' && (reduction.value === 'none' || reduction.value === 'add'))
  const along = integer(node, 'axis', 0)
  return adds && (along === 1 || along === -1) ? [{ kind: 'picks', at: y, values: inputs[2]! }] : whole
}

/**
 * g·op(W) for matrices. The gradient of a cross-entropy is r·(softmax − 1 at the label) in each row. Instead of an array
 * [rows, vocabulary] of it, softmax without the label is multiplied, r afterwards, and the label's part is a row of op(W):
 *
 *     (diag(r)·P + values at t)·op(W) = diag(r)·(P₀·op(W)) + (values + r·P[t])·op(W)[t],   P₀ = P with 0 at t
 *
 * It also is what makes an 8-bit product with P₀ sound. Beside the label's −1 all other probabilities would round to nothing;
 * and beside the probability of a label that is nearly certain so would the rest, which then *is* the gradient.
 *
 * @param product x·op(W)
 * @param transposed whether op(W) is Wᵀ
 * @param alpha what the product is multiplied by
 */
export function productOfGradient(
  b: GraphBuilder,
  g: Value,
  W: Value,
  { transposed, alpha, product }: { transposed: boolean; alpha: number; product: (x: Value) => Value },
): Value {
  if (g.shape?.length !== 2 || W.shape?.length !== 2) return product(g)
  const terms = termsOf(b, g)
  const picks = terms.filter((term) => term.kind === 'picks')
  const [pick] = picks
  if (pick === undefined || picks.length > 1) return product(g)
  const { at } = pick
  let { values } = pick
  const products = terms.flatMap((term) => {
    if (term.kind === 'picks') return []
    const { x, factor } = term
    const times = (y: Value): Value => (factor === undefined ? y : b.mul(y, factor))
    values = b.add(values, times(b.emit('GatherElements', [x, at], { axis: int(1) })))
    const others = b.emit('ScatterElements', [x, at, b.zeros(at.shape!, x.dtype)], { axis: int(1) }, { shapes: [x.shape!] })
    return [times(product(others))]
  })
  const outputs = b.squeeze(at, [1])
  const rows = transposed ? b.transpose(b.gather(W, outputs, 1), [1, 0]) : b.gather(W, outputs, 0)
  const picked = b.mul(rows, alpha === 1 ? values : b.mul(values, alpha))
  return products.reduce((sum, y) => b.add(sum, y), picked)
}

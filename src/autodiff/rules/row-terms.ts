/** @file Products of the gradient of a cross-entropy, without the array that it stands for. */
import type { GraphBuilder } from '../../graph/builder.js'
import { fillOf } from '../../graph/attributes.js'
import { sameShape } from '../../graph/shapes.js'
import { int, type Node, type Value } from '../../graph/types.js'

/** ±factor·x, the factor [rows, 1] or 1. */
interface Term {
  readonly x: Value
  readonly factor: Value | undefined
  readonly negative: boolean
}

/** Numbers [rows, 1] at the columns `at` [rows, 1] of a matrix of zeros. */
interface Pick {
  readonly at: Value
  readonly values: Value
}

/** A pick as a term of a sum. */
interface PickTerm extends Pick {
  readonly negative: boolean
}

/** ±a number for all columns of each row, [rows, 1]: the gradient of a row's mean. */
interface Spread {
  readonly values: Value
  readonly negative: boolean
}

/** What a gradient is the sum of. */
interface Terms {
  readonly products: readonly Term[]
  readonly picks: readonly PickTerm[]
  readonly spreads: readonly Spread[]
}

/** How far a gradient is looked into: a pick is at most a few operators behind it. */
const FAR = 12

/** A gradient was emitted just now, so the node that made it is near the end. */
const producer = ({ graph }: GraphBuilder, { name }: Value): Node | undefined =>
  graph.nodes.findLast((node) => node.outputs.includes(name))

/** One number in each row of zeros [rows, columns], as the gradient of picking it. */
function pickOf(b: GraphBuilder, node: Node, [rows]: readonly unknown[]): Pick | undefined {
  if (node.op !== 'ScatterElements') return undefined
  const [data, at, values] = node.inputs.map((name) => b.graph.value(name)) as [Value, Value, Value]
  const { axis, reduction } = node.attributes
  const along = axis?.type === 'int' && (axis.value === 1 || axis.value === -1)
  const adds =
    reduction === undefined || (reduction.type === 'string' && (reduction.value === 'none' || reduction.value === 'add'))
  const columns = [at, values].every(({ shape }) => shape?.length === 2 && shape[0] === rows && shape[1] === 1)
  return along && adds && columns && fillOf(producer(b, data)) === 0 ? { at, values } : undefined
}

/** Searches a gradient for picks, a limited number of operators far. */
class Search {
  private left = FAR

  constructor(
    private readonly b: GraphBuilder,
    private readonly shape: NonNullable<Value['shape']>,
  ) {}

  private isWhole = ({ shape }: Value): boolean => shape !== undefined && sameShape(shape, this.shape)

  private isColumn = ({ shape }: Value): boolean => shape?.length === 2 && shape[1] === 1 && shape[0] === this.shape[0]

  /** The node behind a value and its inputs, if all of those are there. */
  private behind(value: Value): { node: Node; inputs: Value[] } | undefined {
    const node = this.left-- > 0 ? producer(this.b, value) : undefined
    const inputs = node?.inputs.flatMap((name) => this.b.graph.values.get(name) ?? []) ?? []
    return node === undefined || inputs.length !== node.inputs.length ? undefined : { node, inputs }
  }

  /** The sum that a gradient is written as. */
  terms(g: Value, negative = false): Terms {
    const found = this.behind(g)
    const [x, y] = found?.inputs ?? []
    const { op } = found?.node ?? {}
    const none: Terms = { products: [], picks: [], spreads: [] }
    const product = (of: Value, factor?: Value): Terms => ({ ...none, products: [{ x: of, factor, negative }] })
    if (op === 'Neg') return this.terms(x!, !negative)
    if ((op === 'Add' || op === 'Sub') && this.isWhole(x!) && this.isWhole(y!)) {
      const [left, right] = [this.terms(x!, negative), this.terms(y!, negative !== (op === 'Sub'))]
      return {
        products: [...left.products, ...right.products],
        picks: [...left.picks, ...right.picks],
        spreads: [...left.spreads, ...right.spreads],
      }
    }
    if (op === 'Expand' && this.isColumn(x!)) return { ...none, spreads: [{ values: x!, negative }] }
    if (op === 'Mul' && this.isWhole(x!) && this.isColumn(y!)) return product(x!, y)
    if (op === 'Mul' && this.isWhole(y!) && this.isColumn(x!)) return product(y!, x)
    const pick = found && pickOf(this.b, found.node, this.shape)
    return pick === undefined ? product(g) : { ...none, picks: [{ ...pick, negative }] }
  }

  /** Where a gradient has a pick inside, behind operators that work on each number by itself. */
  hidden(g: Value): Value | undefined {
    const found = this.behind(g)
    if (found === undefined) return undefined
    const pick = pickOf(this.b, found.node, this.shape)
    if (pick !== undefined) return pick.at
    if (!['Add', 'Sub', 'Mul', 'Div', 'Neg'].includes(found.node.op)) return undefined
    for (const input of found.inputs) {
      const at = this.isWhole(input) ? this.hidden(input) : undefined
      if (at !== undefined) return at
    }
    return undefined
  }
}

/** A sum with one pick. */
interface SumWithPick {
  readonly products: readonly Term[]
  readonly spreads: readonly Spread[]
  readonly at: Value
  readonly values: Value | undefined
}

/** A sum with one pick: as it is written, or of a gradient that hides one, the whole of it. */
function withPick(b: GraphBuilder, g: Value): SumWithPick | undefined {
  const { products, picks, spreads } = new Search(b, g.shape!).terms(g)
  const [pick] = picks
  if (pick !== undefined && picks.length === 1 && products.length <= 1)
    return { products, spreads, at: pick.at, values: signed(b, pick.values, pick.negative) }
  const at = new Search(b, g.shape!).hidden(g)
  return at && { products: [{ x: g, factor: undefined, negative: false }], spreads: [], at, values: undefined }
}

const signed = (b: GraphBuilder, x: Value, negative: boolean): Value => (negative ? b.neg(x) : x)

/**
 * g·op(W). The gradient of a cross-entropy is r·(softmax − 1 at the label) in each row. Instead of an array
 * [rows, vocabulary] of it, softmax without the label is multiplied, r afterwards, and the label's part is a row of op(W):
 *
 *     (diag(r)·P + values at t)·op(W) = diag(r)·(P₀·op(W)) + (values + r·P[t])·op(W)[t],   P₀ = P with 0 at t
 *
 * What a smoothed label spreads over all columns, c·1ᵀ, is multiplied as (c)·(1ᵀ·op(W)): a product of one row.
 *
 * It also is what makes an 8-bit product with P₀ sound. Beside the label's −1 all other probabilities would round to nothing;
 * and beside the probability of a label that is nearly certain so would the rest, which then *is* the gradient. So where the
 * −1 hides in something else, as behind a soft cap, g itself is taken for P, with r = 1 and no values.
 *
 * @param g [rows, columns]; others are multiplied as they are
 * @param product x·op(W)
 * @param transposed whether op(W) is Wᵀ
 * @param alpha what the product is multiplied by
 * @param trained whether the gradient of W is asked for, which needs g whole anyway
 */
export function productOfGradient(
  b: GraphBuilder,
  g: Value,
  W: Value,
  options: { transposed: boolean; alpha: number; trained: boolean; product: (x: Value) => Value },
): Value {
  const { transposed, alpha, trained, product } = options
  const found = !trained && g.shape?.length === 2 && W.shape?.length === 2 ? withPick(b, g) : undefined
  if (found === undefined) return product(g)
  const { products, spreads, at } = found
  let { values } = found
  const parts = products.map(({ x, factor, negative }) => {
    const r = factor && signed(b, factor, negative)
    const times = (y: Value): Value => (r === undefined ? signed(b, y, negative) : b.mul(y, r))
    const picked = times(b.emit('GatherElements', [x, at], { axis: int(1) }))
    values = values === undefined ? picked : b.add(values, picked)
    const others = b.emit('ScatterElements', [x, at, b.zeros(at.shape!, x.dtype)], { axis: int(1) }, { shapes: [x.shape!] })
    return times(product(others))
  })
  for (const { values: column, negative } of spreads)
    parts.push(b.mul(product(b.full([1, g.shape![1]!], 1, g.dtype)), signed(b, column, negative)))
  const rows = rowsOf(b, W, b.squeeze(at, [1]), transposed)
  return parts.reduce((sum, y) => b.add(sum, y), b.mul(rows, alpha === 1 ? values! : b.mul(values!, alpha)))
}

/** Rows of op(W); of a weight in 16 bits they are looked up before they are widened, so that the whole need not be. */
function rowsOf(b: GraphBuilder, W: Value, at: Value, transposed: boolean): Value {
  const cast = b.graph.nodes.find(({ op, outputs }) => op === 'Cast' && outputs[0] === W.name)
  const stored = cast === undefined ? W : b.graph.value(cast.inputs[0]!)
  const rows = transposed ? b.transpose(b.gather(stored, at, 1), [1, 0]) : b.gather(stored, at, 0)
  return b.cast(rows, W.dtype)
}

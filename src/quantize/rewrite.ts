/** @file Products with frozen matrices on quantised weights: 8-bit integers in both directions, or 4-bit weights. */
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { int, type Initializer, type Node, type Value } from '../graph/types.js'
import type { FrozenMatrix, FrozenProduct } from './products.js'
import { INT4_BLOCK } from './pack.js'

const microsoft = { domain: 'com.microsoft' }

/** Smallest divisor of a row, so that a row of zeros stays one. */
const TINY = 1e-30

/** One pass over a graph: every product of a list of matrices is replaced, under the same output name. */
export class ProductRewriter {
  private readonly result: Graph
  private readonly b: GraphBuilder
  /** Rows divided by their largest element, shared by products of the same input (queries, keys and values). */
  private readonly normalized = new Map<string, { readonly x: Value; readonly largest: Value }>()

  constructor(graph: Graph) {
    this.result = graph.clone()
    this.b = new GraphBuilder(this.result)
  }

  /** @param emit the product x·op(W), without alpha's addend */
  private rewrite(replaced: ReadonlyMap<Node, (product: FrozenProduct) => Value>, products: readonly FrozenProduct[]): Graph {
    const { b, result } = this
    const byNode = new Map(products.map((p) => [p.node, p]))
    const nodes = result.nodes
    result.nodes = []
    for (const node of nodes) {
      const product = byNode.get(node)
      if (product === undefined) {
        result.nodes.push(node)
        continue
      }
      const name = node.outputs[0]!
      const old = result.value(name)
      result.values.delete(name)
      b.scope(`quantized/${name}`, () => {
        let y = replaced.get(node)!(product)
        if (product.addend !== undefined) {
          const { value, beta } = product.addend
          y = b.add(y, beta === 1 ? value : b.mul(value, beta))
        }
        b.emit('Identity', [y], {}, { name, ...(old.shape !== undefined && { shapes: [old.shape] }) })
      })
    }
    result.prune()
    return result
  }

  /** Each row divided by the largest absolute value in it: an 8-bit code then serves the row, not the batch. */
  private rows(x: Value): { x: Value; largest: Value } {
    const known = this.normalized.get(x.name)
    if (known !== undefined) return known
    const { b } = this
    const largest = b.max(b.reduceMax(b.abs(x), [-1]), TINY)
    const rows = { x: b.div(x, largest), largest }
    this.normalized.set(x.name, rows)
    return rows
  }

  private initializer(name: string, tensor: Initializer): Value {
    return this.result.values.get(name) ?? this.result.addInitializer(name, tensor)
  }

  /**
   * 8-bit products.
   *
   * Forward, y = (x/m)·C·s·m with m the largest of each row of x, C the codes and s the scale of each output: the
   * activations are quantised for each token.
   *
   * Backward, dx = ((dy·s)/m)·Cᵀ·m. Gradients of one row differ by more than 8 bits can tell: what the first product's
   * codes leave over is quantised again and multiplied too, which gives about 15 bits at the price of a second product.
   */
  int8(matrices: readonly FrozenMatrix[], stored: (name: string) => Initializer): Graph {
    const { b } = this
    const emit = new Map<Node, (product: FrozenProduct) => Value>()
    for (const matrix of matrices) {
      const { name, products } = matrix
      const scales = (): Value => this.initializer(`${name}/scales`, stored(`${name}/scales`))
      const forward = ({ x, alpha }: FrozenProduct): Value => {
        const rows = this.rows(x)
        const codes = this.initializer(`${name}/codes`, stored(`${name}/codes`))
        const y = b.emit('DynamicQuantizeMatMul', [rows.x, codes, scales()], {}, microsoft)
        return b.mul(y, alpha === 1 ? rows.largest : b.mul(rows.largest, alpha))
      }
      const backward = ({ x: dy, alpha }: FrozenProduct): Value => {
        const rows = this.rows(b.mul(dy, scales()))
        const codes = this.initializer(`${name}/codes_transposed`, stored(`${name}/codes_transposed`))
        const one = b.scalar(1)
        const [coarse, scale, zero] = b.emitAll('DynamicQuantizeLinear', [rows.x], {}, { outputs: 3 }) as [Value, Value, Value]
        const first = b.emit('MatMulIntegerToFloat', [coarse, codes, scale, one, zero], {}, microsoft)
        const rest = b.sub(rows.x, b.emit('DequantizeLinear', [coarse, scale, zero]))
        const second = b.emit('DynamicQuantizeMatMul', [rest, codes, one], {}, microsoft)
        return b.mul(b.add(first, second), alpha === 1 ? rows.largest : b.mul(rows.largest, alpha))
      }
      for (const product of products) emit.set(product.node, product.forward ? forward : backward)
    }
    return this.rewrite(emit, [...matrices.flatMap((m) => m.products)])
  }

  /**
   * 4-bit weights. Forward is `MatMulNBits`; backward multiplies by the weight that the codes stand for, widened for the
   * one product and forgotten, so that the gradient is that of the forward pass.
   */
  int4(matrices: readonly FrozenMatrix[], stored: (name: string) => Initializer): Graph {
    const { b } = this
    const emit = new Map<Node, (product: FrozenProduct) => Value>()
    for (const { name, products, inFeatures: K, outFeatures: N } of matrices) {
      const blocks = K / INT4_BLOCK
      const scales = stored(`${name}/scales`)
      const forward = ({ x, alpha }: FrozenProduct): Value => {
        const codes = this.initializer(`${name}/codes`, { ...stored(`${name}/codes`), shape: [N, blocks, INT4_BLOCK / 2] })
        const attributes = { K: int(K), N: int(N), bits: int(4), block_size: int(INT4_BLOCK), accuracy_level: int(4) }
        const y = b.emit('MatMulNBits', [x, codes, this.initializer(`${name}/scales`, scales)], attributes, microsoft)
        return alpha === 1 ? y : b.mul(y, alpha)
      }
      const backward = ({ x: dy, alpha }: FrozenProduct): Value => {
        const codes = this.initializer(`${name}/uint4`, { ...stored(`${name}/codes`), dtype: 'uint4', shape: [N, K] })
        const factors = this.initializer(`${name}/scales2d`, { ...scales, shape: [N, blocks] })
        const middle = this.initializer(`zero_points/${N}x${blocks}`, {
          dtype: 'uint4',
          shape: [N, blocks],
          data: new Uint8Array(Math.ceil((N * blocks) / 2)).fill(0x88),
        })
        const W = b.emit('DequantizeLinear', [codes, factors, middle], { axis: int(1), block_size: int(INT4_BLOCK) })
        return b.matmul(dy, W, { alpha })
      }
      for (const product of products) emit.set(product.node, product.forward ? forward : backward)
    }
    return this.rewrite(emit, [...matrices.flatMap((m) => m.products)])
  }
}

/** @file One pass over a graph that puts other nodes in the place of its products with frozen matrices. */
import type { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { rewrite, type Replacement } from '../graph/rewrite.js'
import type { Initializer, Node, Value } from '../graph/types.js'
import type { FrozenMatrix, FrozenProduct } from './products.js'

/** What a scheme emits into the graph, before the node whose value it stands for. */
export interface Emitter {
  /** alpha·x·op(W), without the addend. */
  product(matrix: FrozenMatrix, product: FrozenProduct): Value
  /** Rows of W [out, in] at some outputs, [count, in]; undefined: those of the weight itself will do. */
  rows?(matrix: FrozenMatrix, outputs: Value): Value
}

/** What an emitter works with. */
export interface EmitterTools {
  readonly b: GraphBuilder
  /** The tensor of a name as an initializer of the graph, added at the first call. */
  readonly initializer: (name: string, tensor: () => Initializer) => Value
}

/**
 * A graph of the same inputs and outputs in which the products of `matrices` are those of an emitter.
 * @param emitterOf called once, with the graph that is being built
 */
export function replaceProducts(
  graph: Graph,
  matrices: readonly FrozenMatrix[],
  emitterOf: (tools: EmitterTools) => Emitter,
): Graph {
  let made: Emitter | undefined
  const emitter = (b: GraphBuilder): Emitter =>
    (made ??= emitterOf({
      b,
      initializer: (name, tensor) => b.graph.values.get(name) ?? b.graph.addInitializer(name, tensor()),
    }))
  const replacements = new Map<Node, Replacement>()
  for (const matrix of matrices) {
    for (const product of matrix.products) replacements.set(product.node, ({ b }) => withAddend(b, emitter(b), matrix, product))
    for (const { node, outputs, transposed } of matrix.picks)
      replacements.set(node, ({ b }) => {
        const rows = emitter(b).rows?.(matrix, outputs)
        return rows !== undefined && transposed ? b.transpose(rows, [1, 0]) : rows
      })
  }
  return rewrite(graph, 'quantized', (node) => replacements.get(node))
}

function withAddend(b: GraphBuilder, emitter: Emitter, matrix: FrozenMatrix, product: FrozenProduct): Value {
  const y = emitter.product(matrix, product)
  if (product.addend === undefined) return y
  const { value, beta } = product.addend
  return b.add(y, beta === 1 ? value : b.mul(value, beta))
}

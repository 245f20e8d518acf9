/** @file One pass over a graph that puts other nodes in the place of its products with frozen matrices. */
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
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
  const result = graph.clone()
  const b = new GraphBuilder(result)
  const initializer = (name: string, tensor: () => Initializer): Value =>
    result.values.get(name) ?? result.addInitializer(name, tensor())
  const emitter = emitterOf({ b, initializer })
  const replacements = new Map<Node, () => Value>()
  for (const matrix of matrices) {
    for (const product of matrix.products) replacements.set(product.node, () => withAddend(b, emitter, matrix, product))
    if (emitter.rows === undefined) continue
    for (const { node, outputs, transposed } of matrix.picks)
      replacements.set(node, () => {
        const rows = emitter.rows!(matrix, outputs)
        return transposed ? b.transpose(rows, [1, 0]) : rows
      })
  }
  const nodes = result.nodes
  result.nodes = []
  for (const node of nodes) {
    const replacement = replacements.get(node)
    if (replacement === undefined) {
      result.nodes.push(node)
      continue
    }
    const name = node.outputs[0]!
    const { shape } = result.value(name)
    result.values.delete(name)
    b.scope(`quantized/${name}`, () =>
      b.emit('Identity', [replacement()], {}, { name, ...(shape !== undefined && { shapes: [shape] }) }),
    )
  }
  result.prune()
  return result
}

function withAddend(b: GraphBuilder, emitter: Emitter, matrix: FrozenMatrix, product: FrozenProduct): Value {
  const y = emitter.product(matrix, product)
  if (product.addend === undefined) return y
  const { value, beta } = product.addend
  return b.add(y, beta === 1 ? value : b.mul(value, beta))
}

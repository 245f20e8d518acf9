/** @file The products of a graph whose second operand is a frozen matrix: what a quantised base replaces. */
import { numberAttribute } from '../graph/attributes.js'
import type { Graph } from '../graph/graph.js'
import type { Initializer, Node, Value } from '../graph/types.js'
import { ancestry } from '../graph/walk.js'

/** y = alpha·x·op(W) + beta·c, from `MatMul`, `Gemm` or `FusedMatMul`. */
export interface FrozenProduct {
  readonly node: Node
  /** [.., reduction] */
  readonly x: Value
  /** op(W) is Wᵀ. */
  readonly transposed: boolean
  readonly alpha: number
  readonly addend: { readonly value: Value; readonly beta: number } | undefined
  /** Whether the product runs over the inputs of the layer, or over its outputs, as the backward pass does. */
  readonly forward: boolean
}

/** Rows of W [out, in] that the backward pass looks up: a `Gather` along the outputs. */
export interface FrozenPick {
  readonly node: Node
  /** Which outputs. */
  readonly outputs: Value
  /** The node gives them as columns, [in, count]. */
  readonly transposed: boolean
}

/** A frozen matrix and every product that reads it. */
export interface FrozenMatrix {
  /** Name of the initializer, without the cast that widens 16-bit weights. */
  readonly name: string
  readonly tensor: Initializer
  /** W is stored [out, in] if true, [in, out] if false. */
  readonly outputsFirst: boolean
  readonly inFeatures: number
  readonly outFeatures: number
  readonly products: readonly FrozenProduct[]
  readonly picks: readonly FrozenPick[]
}

/** The product that a node computes, or undefined if it is none that can be replaced. */
function productOf(graph: Graph, node: Node, forward: boolean): FrozenProduct | undefined {
  const gemm = node.op === 'Gemm'
  const fused = node.op === 'FusedMatMul'
  if (!gemm && !fused && !(node.op === 'MatMul' && node.domain === '')) return undefined
  if (
    numberAttribute(node, 'transA', 0) !== 0 ||
    numberAttribute(node, 'transBatchA', 0) !== 0 ||
    numberAttribute(node, 'transBatchB', 0) !== 0
  )
    return undefined
  const x = graph.value(node.inputs[0]!)
  if (x.dtype !== 'float32' || x.shape === undefined || x.shape.length < 2) return undefined
  const c = gemm ? node.inputs[2] : undefined
  return {
    node,
    x,
    transposed: numberAttribute(node, 'transB', 0) === 1,
    alpha: numberAttribute(node, 'alpha', 1),
    addend: c === undefined || c === '' ? undefined : { value: graph.value(c), beta: numberAttribute(node, 'beta', 1) },
    forward,
  }
}

/**
 * Every frozen matrix of at least `smallest` elements that is the second operand of a product of the forward pass, in
 * the order of the graph. Other readers of the weight (an embedding that shares it with the head) keep what they read.
 *
 * @param loss name of the output that tells forward from backward: what it depends on is forward
 */
export function frozenMatrices(graph: Graph, loss: string, smallest = 0): FrozenMatrix[] {
  const forward = ancestry(graph.nodes, [loss]).names
  /** Initializer behind a value, directly or behind the cast of a 16-bit weight. */
  const source = new Map<string, string>()
  for (const [name, tensor] of graph.initializers) if (tensor.shape.length === 2) source.set(name, name)
  for (const node of graph.nodes)
    if (node.op === 'Cast' && source.get(node.inputs[0]!) === node.inputs[0]) source.set(node.outputs[0]!, node.inputs[0]!)
  const products = new Map<string, FrozenProduct[]>()
  for (const node of graph.nodes) {
    const name = node.inputs.length > 1 ? source.get(node.inputs[1]!) : undefined
    const product = name === undefined ? undefined : productOf(graph, node, forward.has(node.outputs[0]!))
    if (product !== undefined) products.set(name!, [...(products.get(name!) ?? []), product])
  }
  return [...products].flatMap(([name, list]) => {
    const tensor = graph.initializers.get(name)!
    const first = list.find((p) => p.forward)
    const floating = tensor.dtype === 'float32' || tensor.dtype === 'float16' || tensor.dtype === 'bfloat16'
    const [rows, columns] = tensor.shape as [number, number]
    if (first === undefined || !floating || rows * columns < smallest) return []
    const outputsFirst = first.transposed
    // A matrix that one layer reads as it is and another transposed has no single scale for each output.
    if (list.some((p) => p.forward && p.transposed !== outputsFirst)) return []
    const [outFeatures, inFeatures] = outputsFirst ? [rows, columns] : [columns, rows]
    // Activations that the backward pass computes again are products over the inputs too.
    const products = list.map((p) => ({ ...p, forward: p.transposed === outputsFirst }))
    const picks = picksOf(graph, forward, source, name, outputsFirst)
    return [{ name, tensor, outputsFirst, inFeatures, outFeatures, products, picks }]
  })
}

/** The node that makes float32 of what a node picks from a table in 16 bits, for codes give float32; of others the node itself. */
function widened(graph: Graph, node: Node): Node {
  const readers = graph.nodes.filter(({ inputs }) => inputs.includes(node.outputs[0]!))
  const [first] = readers
  const widens = readers.length === 1 && first!.op === 'Cast' && graph.value(first!.outputs[0]!).dtype === 'float32'
  return widens ? first! : node
}

/**
 * Look-ups of the backward pass along the outputs of a matrix. Embeddings are none, though they read the same table: those
 * that are computed again for the backward pass are look-ups at the ids of a forward one.
 */
function picksOf(
  graph: Graph,
  forward: ReadonlySet<string>,
  source: ReadonlyMap<string, string>,
  name: string,
  outputsFirst: boolean,
): FrozenPick[] {
  const lookUps = graph.nodes.filter(({ op, inputs }) => op === 'Gather' && source.get(inputs[0]!) === name)
  const embedded = new Set(lookUps.filter(({ outputs }) => forward.has(outputs[0]!)).map(({ inputs }) => inputs[1]))
  return lookUps.flatMap((node) => {
    if (embedded.has(node.inputs[1]) || numberAttribute(node, 'axis', 0) !== (outputsFirst ? 0 : 1)) return []
    return [{ node: widened(graph, node), outputs: graph.value(node.inputs[1]!), transposed: !outputsFirst }]
  })
}

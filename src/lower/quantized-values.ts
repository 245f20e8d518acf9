/** @file What integers of a quantised graph mean: the real numbers they stand for, through which the gradient passes. */
import type { Graph } from '../graph/graph.js'
import type { Node, Value } from '../graph/types.js'

/** An integer product as `quantize_dynamic` writes it: integers → Cast → Mul by both scales. */
export interface ScaledProduct {
  /** MatMulInteger or ConvInteger. */
  readonly product: Node
  readonly scaleA: string
  readonly scaleB: string
}

/** One reader of a value, undefined if there are several. */
function onlyReaders(nodes: readonly Node[]): Map<string, Node | undefined> {
  const readers = new Map<string, Node | undefined>()
  for (const node of nodes) for (const input of new Set(node.inputs)) readers.set(input, readers.has(input) ? undefined : node)
  return readers
}

/** The scaled products of a graph, by the result of the last Mul. */
function scaledProducts(graph: Graph): Map<string, ScaledProduct> {
  const found = new Map<string, ScaledProduct>()
  const products = graph.nodes.filter(({ op, domain }) => domain === '' && (op === 'MatMulInteger' || op === 'ConvInteger'))
  if (products.length === 0) return found
  const readers = onlyReaders(graph.nodes)
  const producers = graph.producers()
  for (const product of products) {
    const cast = readers.get(product.outputs[0]!)
    const scaled = cast?.op === 'Cast' ? readers.get(cast.outputs[0]!) : undefined
    if (scaled?.op !== 'Mul') continue
    const scales = producers.get(scaled.inputs.find((name) => name !== cast!.outputs[0]) ?? '')
    if (scales?.op !== 'Mul') continue
    const [a, b] = scales.inputs as [string, string]
    // The scale of the activation comes first, unless that operand is the weight's constant.
    const dynamic = (name: string): boolean => producers.get(name)?.op === 'DynamicQuantizeLinear'
    const [scaleA, scaleB] = dynamic(b) && !dynamic(a) ? [b, a] : [a, b]
    found.set(scaled.outputs[0]!, { product, scaleA, scaleB })
  }
  return found
}

/** Of one lowering of one graph. */
export class QuantizedValues {
  /** Float values by the integers that stand for them, already as coarse as those. */
  readonly real = new Map<string, Value>()
  readonly scaledProducts: ReadonlyMap<string, ScaledProduct>

  constructor(source?: Graph) {
    this.scaledProducts = source === undefined ? new Map() : scaledProducts(source)
  }
}

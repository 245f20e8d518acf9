/** @file What a run of a graph has to compute: operations of its products, bytes of everything else. */
import type { BoundDims } from './bind-dims.js'
import type { Graph } from '../graph/graph.js'
import { integerAttribute } from '../graph/attributes.js'
import type { Node } from '../graph/types.js'

/**
 * Work that runs at a rate of its own: products of a large matrix in float32, 8 and 4 bits; batches of small ones, as in
 * attention; and the widening of 4-bit codes, an operation each.
 */
export type ProductKind = 'fp32' | 'int8' | 'int4' | 'batched' | 'widening'

export interface Work {
  /** Multiplications and additions of products that are not thin, by kind. */
  readonly operations: Readonly<Record<ProductKind, number>>
  /** Bytes that nodes other than products read and write. */
  readonly movedBytes: number
  readonly nodes: number
}

export const noOperations: Readonly<Record<ProductKind, number>> = { fp32: 0, int8: 0, int4: 0, batched: 0, widening: 0 }

/** A product over fewer inputs, or with fewer outputs, takes the time of its operands, not of its operations. */
const NARROW = 48

const floatProducts = new Set(['Gemm', 'MatMul', 'FusedMatMul'])
const kinds: Readonly<Record<string, ProductKind>> = {
  ...{ Conv: 'fp32', ConvTranspose: 'fp32', MatMulNBits: 'int4' },
  ...{ DynamicQuantizeMatMul: 'int8', MatMulIntegerToFloat: 'int8', MatMulInteger: 'int8' },
}

/** At which rate a node runs; undefined for one that moves memory, as a product with the thin matrices of LoRA does. */
function kindOf(graph: Graph, node: Node, dims: BoundDims): ProductKind | undefined {
  if (node.op === 'DequantizeLinear') return node.attributes['block_size'] === undefined ? undefined : 'widening'
  if (!floatProducts.has(node.op)) return kinds[node.op]
  const [x, y] = node.inputs.map((name) => graph.values.get(name)?.shape)
  if (x !== undefined && y !== undefined && x.length > 2 && y.length > 2) return 'batched'
  const sides = [
    reduction(graph, node, dims),
    ...(graph.value(node.outputs[0]!).shape ?? []).slice(-1).map((dim) => dims.of(dim)),
  ]
  return Math.min(...sides) < NARROW ? undefined : 'fp32'
}

/** Nodes that only give a value another shape, or compute on shapes. */
const free = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Identity', 'Flatten', 'Shape'])

/** Length that a product sums over. */
function reduction(graph: Graph, node: Node, dims: BoundDims): number {
  const K = node.attributes['K']
  if (node.op === 'MatMulNBits' && K?.type === 'int') return K.value
  const shape = graph.value(node.inputs[0]!).shape ?? []
  if (node.op === 'Conv' || node.op === 'ConvTranspose')
    return (graph.value(node.inputs[1]!).shape ?? []).slice(1).reduce<number>((size, dim) => size * dims.of(dim), 1)
  const dim = shape[integerAttribute(node, 'transA', 0) === 1 ? shape.length - 2 : shape.length - 1]
  return dim === undefined ? 1 : dims.of(dim)
}

/** @throws ShapeError if a length is not known */
export function workOf(graph: Graph, dims: BoundDims): Work {
  const operations: Record<ProductKind, number> = { ...noOperations }
  let movedBytes = 0
  let nodes = 0
  const bytes = (name: string): number => (name === '' ? 0 : (dims.bytes(graph.value(name)) ?? 0))
  for (const node of graph.nodes) {
    nodes++
    if (free.has(node.op)) continue
    const kind = kindOf(graph, node, dims)
    const elements = dims.elements(graph.value(node.outputs[0]!)) ?? 0
    if (kind === 'widening') operations.widening += elements
    else if (kind !== undefined) operations[kind] += 2 * reduction(graph, node, dims) * elements
    else {
      // A look-up reads the rows it gives, not the whole table.
      const read = node.op.startsWith('Gather') ? node.outputs : node.inputs
      movedBytes += [...read, ...node.outputs].reduce((sum, name) => sum + bytes(name), 0)
    }
  }
  return { operations, movedBytes, nodes }
}

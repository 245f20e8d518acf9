/** @file What a run of a graph has to compute: operations of its products, bytes of everything else. */
import type { BoundDims } from '../../graph/bind-dims.js'
import type { Graph } from '../../graph/graph.js'
import type { Node } from '../../graph/types.js'

/** Products run at rates of their own. */
export type ProductKind = 'fp32' | 'int8' | 'int4'

export interface Work {
  /** Multiplications and additions of products, by kind. */
  readonly operations: Readonly<Record<ProductKind, number>>
  /** Bytes that nodes other than products read and write. */
  readonly movedBytes: number
  readonly nodes: number
}

const kinds: Readonly<Record<string, ProductKind>> = {
  ...{ Gemm: 'fp32', MatMul: 'fp32', FusedMatMul: 'fp32', Conv: 'fp32', ConvTranspose: 'fp32' },
  ...{ DynamicQuantizeMatMul: 'int8', MatMulIntegerToFloat: 'int8', MatMulInteger: 'int8', MatMulNBits: 'int4' },
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
  const { transA } = node.attributes
  const dim = shape[transA?.type === 'int' && transA.value === 1 ? shape.length - 2 : shape.length - 1]
  return dim === undefined ? 1 : dims.of(dim)
}

/** @throws ShapeError if a length is not known */
export function workOf(graph: Graph, dims: BoundDims): Work {
  const operations: Record<ProductKind, number> = { fp32: 0, int8: 0, int4: 0 }
  let movedBytes = 0
  let nodes = 0
  const bytes = (name: string): number => (name === '' ? 0 : (dims.bytes(graph.value(name)) ?? 0))
  for (const node of graph.nodes) {
    const kind = kinds[node.op]
    if (kind !== undefined)
      operations[kind] += 2 * reduction(graph, node, dims) * (dims.elements(graph.value(node.outputs[0]!)) ?? 0)
    if (free.has(node.op)) continue
    nodes++
    if (kind === undefined) {
      // A look-up reads the rows it gives, not the whole table.
      const read = node.op.startsWith('Gather') ? node.outputs : node.inputs
      movedBytes += [...read, ...node.outputs].reduce((sum, name) => sum + bytes(name), 0)
    }
  }
  return { operations, movedBytes, nodes }
}

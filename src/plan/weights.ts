/** @file Bytes that the constants of a graph take once a session holds them. */
import { integerAttribute } from '../graph/attributes.js'
import { byteLength, isFloat, type DType, type Initializer } from '../graph/types.js'
import type { Graph } from '../graph/graph.js'

/** Operators that keep their second operand a second time, arranged for their own use, when it is a constant. */
const packing = new Set(['Gemm', 'MatMul', 'FusedMatMul', 'DynamicQuantizeMatMul', 'MatMulIntegerToFloat', 'MatMulNBits'])

/** Packed 4-bit codes carry their scales and the sums of their blocks: bytes by those of the codes alone. */
const INT4_PACKED = 1.5

const bytesOf = (dtype: DType, shape: readonly number[]): number => (dtype === 'string' ? 0 : byteLength({ dtype, shape }))

export interface WeightMemory {
  /** Constants that some node reads as they are stored: mapped from their file, or copied. */
  readonly plainBytes: number
  /** Copies arranged for products. */
  readonly packedBytes: number
}

/**
 * What ONNX Runtime keeps of the constants. A matrix that is the second operand of products is packed once for each way
 * it is read (as it is, transposed), and the stored one is dropped unless something else reads it too; the cast of a
 * 16-bit weight is computed when the session is created, and leaves a float32 matrix in its place.
 *
 * @param copies false if the session packs nothing and reads every matrix as it is stored
 */
export function weightMemory(graph: Graph, copies = true): WeightMemory {
  /** What is read: a constant, or the cast of one. */
  const sources = new Map<string, { readonly tensor: Initializer; readonly dtype: DType }>()
  for (const [name, tensor] of graph.initializers) sources.set(name, { tensor, dtype: tensor.dtype })
  const casts = new Set<string>()
  for (const node of graph.nodes) {
    const from = node.op === 'Cast' ? sources.get(node.inputs[0]!) : undefined
    if (from === undefined) continue
    casts.add(node.outputs[0]!)
    sources.set(node.outputs[0]!, { tensor: from.tensor, dtype: graph.value(node.outputs[0]!).dtype })
  }
  const packed = new Map<string, number>()
  const plain = new Set<string>()
  for (const node of graph.nodes)
    node.inputs.forEach((name, i) => {
      const source = sources.get(name)
      if (source === undefined || (node.op === 'Cast' && casts.has(node.outputs[0]!))) return
      const packs = copies && i === 1 && source.tensor.shape.length >= 2 && packing.has(node.op)
      const floating = isFloat(source.dtype)
      // Of what was packed nothing stays. Of a table that is looked up the system maps what lies around each row as well:
      // before long most of it.
      if (!packs) return void plain.add(name)
      // Nodes that read the same codes, as those that compute a product again do, share what is packed.
      const way = floating ? integerAttribute(node, 'transB', 0) : node.op
      const share = node.op === 'MatMulNBits' ? INT4_PACKED : 1
      packed.set(`${name}|${way}`, share * bytesOf(source.dtype, source.tensor.shape))
    })
  let plainBytes = 0
  for (const name of plain) {
    const { tensor, dtype } = sources.get(name)!
    plainBytes += bytesOf(dtype, tensor.shape)
  }
  return { plainBytes, packedBytes: [...packed.values()].reduce((sum, bytes) => sum + bytes, 0) }
}

/** @file A graph in 16 bits as one that computes in float32 on the same weights. */
import type { Graph } from '../graph/graph.js'
import { int, type Attributes, type DType, type HostTensor, type Node, type Value } from '../graph/types.js'
import { toFloat32 } from '../formats/safetensors.js'

const FLOAT = 1
const isHalf = (dtype: DType): boolean => dtype === 'float16' || dtype === 'bfloat16'
const HALF_NUMBERS = new Set([10, 16])

/**
 * Gradients underflow in float16, and the processor computes in float32 anyway: 16-bit weights stay as they are, are
 * cast where they are read (`name/float32`), and everything else is float32.
 */
export function widen(graph: Graph): Graph {
  const halves = [...graph.values.values()].filter(({ dtype }) => isHalf(dtype))
  if (halves.length === 0) return graph
  const result = graph.clone()
  const wide = (value: Value): Value => (isHalf(value.dtype) ? { ...value, dtype: 'float32' } : value)
  result.inputs = graph.inputs.map(wide)
  result.outputs = graph.outputs.map(wide)
  for (const value of halves) if (!graph.initializers.has(value.name)) result.values.set(value.name, wide(value))
  result.nodes = graph.nodes.map((node) => ({ ...node, attributes: wideAttributes(node) }))
  const casts: Node[] = []
  for (const { name, shape } of halves) {
    if (!graph.initializers.has(name)) continue
    const cast = result.declare(result.uniqueName(`${name}/float32`), 'float32', shape)
    result.replaceUses(graph.value(name), cast)
    casts.push({ op: 'Cast', domain: '', name: cast.name, inputs: [name], outputs: [cast.name], attributes: { to: int(FLOAT) } })
  }
  result.nodes = [...casts, ...result.nodes]
  return result
}

/** Casts to 16 bits become casts to float32; 16-bit tensors in attributes are widened. */
function wideAttributes(node: Node): Attributes {
  return Object.fromEntries(
    Object.entries(node.attributes).map(([name, attribute]) => {
      if (attribute.type === 'tensor' && isHalf(attribute.value.dtype) && !('file' in attribute.value)) {
        const { shape } = attribute.value
        const value: HostTensor = { dtype: 'float32', shape, data: toFloat32(attribute.value) }
        return [name, { type: 'tensor', value }]
      }
      const isType = attribute.type === 'int' && (name === 'to' || name === 'dtype' || name === 'output_dtype')
      return [name, isType && HALF_NUMBERS.has(attribute.value) ? int(FLOAT) : attribute]
    }),
  )
}

/** @file A graph in 16 bits as one that computes in float32 on the same weights. */
import { dtypeToOnnx } from '../graph/dtypes.js'
import type { Graph } from '../graph/graph.js'
import { int, type DType, type Node, type Value } from '../graph/types.js'
import { widenAttributes } from '../graph/widen-attributes.js'

const isHalf = (dtype: DType): boolean => dtype === 'float16' || dtype === 'bfloat16'

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
  result.nodes = graph.nodes.map((node) => ({ ...node, attributes: widenAttributes(node.attributes, isHalf) }))
  const casts: Node[] = []
  for (const { name, shape } of halves) {
    if (!graph.initializers.has(name)) continue
    const cast = result.declare(result.uniqueName(`${name}/float32`), 'float32', shape)
    result.replaceUses(graph.value(name), cast)
    casts.push({
      op: 'Cast',
      domain: '',
      name: cast.name,
      inputs: [name],
      outputs: [cast.name],
      attributes: { to: int(dtypeToOnnx('float32')) },
    })
  }
  result.nodes = [...casts, ...result.nodes]
  return result
}

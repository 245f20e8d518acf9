/** @file A graph for a GPU whose shaders know no 16-bit floats: the same work in float32. */
import { dtypeToOnnx } from '../../graph/dtypes.js'
import type { Graph } from '../../graph/graph.js'
import { int, type DType } from '../../graph/types.js'
import { widenAttributes } from '../../graph/widen-attributes.js'

/** How the names of the casts begin that no such GPU can compute: they are given to the CPU by name. */
export const FLOAT16_BORDER = 'device/float16/'

/** Whether any value of a graph is in float16. */
export const hasFloat16 = (graph: Graph): boolean => [...graph.values.values()].some(({ dtype }) => dtype === 'float16')

/**
 * The graph with every float16 value inside it in float32. Weights stay in float16 where they lie, behind a Cast each
 * that the runtime computes once, on the CPU, when the session is made. Inputs and outputs keep their element types.
 *
 * A WebGPU adapter without the feature `shader-f16` refuses each kernel on float16, and only when it is run.
 * @returns a changed clone, or the graph itself where nothing in it is float16
 */
export function withoutFloat16(graph: Graph): Graph {
  if (!hasFloat16(graph)) return graph
  const result = graph.clone()
  result.nodes = []
  const twins = new Map<string, string>()
  const isHalf = (name: string): boolean => graph.values.get(name)?.dtype === 'float16'
  const cast = (from: string, to: string, dtype: DType): void => {
    const attributes = { to: int(dtypeToOnnx(dtype)) }
    result.nodes.push({ op: 'Cast', domain: '', name: FLOAT16_BORDER + to, inputs: [from], outputs: [to], attributes })
  }
  const twinOf = (name: string): string => {
    const twin = result.declare(result.uniqueName(`${name}/float32`), 'float32', graph.value(name).shape).name
    twins.set(name, twin)
    return twin
  }
  const given = [...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()]
  for (const name of given) if (isHalf(name)) cast(name, twinOf(name), 'float32')

  const results = new Set(graph.outputs.map(({ name }) => name))
  const narrow: string[] = []
  for (const node of graph.nodes) {
    if (node.op === 'Constant' && isHalf(node.outputs[0]!)) {
      result.nodes.push(node)
      cast(node.outputs[0]!, twinOf(node.outputs[0]!), 'float32')
      continue
    }
    const outputs = node.outputs.map((name) => {
      if (!isHalf(name)) return name
      if (!results.has(name)) {
        result.values.set(name, { ...graph.value(name), dtype: 'float32' })
        return name
      }
      narrow.push(name)
      return twinOf(name)
    })
    const inputs = node.inputs.map((name) => twins.get(name) ?? name)
    const attributes = widenAttributes(node.attributes, (dtype) => dtype === 'float16')
    result.nodes.push({ ...node, inputs, outputs, attributes })
  }
  for (const name of narrow) cast(twins.get(name)!, name, 'float16')
  result.prune()
  return result
}

/** @file Which constants of a graph lie in files. */
import type { Graph } from './graph.js'
import { isFileTensor, type FileTensor } from './types.js'

/** Every tensor of the graph that lies in a file: initializers, and attributes of nodes. Sub-graphs are not opened. */
export function fileTensors(graph: Graph): FileTensor[] {
  const attributes = graph.nodes.flatMap((node) => Object.values(node.attributes))
  const held = attributes.flatMap((attribute) => (attribute.type === 'tensor' ? [attribute.value] : []))
  return [...graph.initializers.values(), ...held].filter(isFileTensor)
}

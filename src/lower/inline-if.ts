/** @file `If` on a constant condition: its branch takes its place. */
import type { Replacement } from '../graph/infer-graph.js'
import type { InferState } from '../graph/infer-graph.js'
import type { Node } from '../graph/types.js'
import { decodeSubgraph } from '../onnx/decode.js'

/**
 * The nodes of the branch that is taken, its inner names made unique; undefined where the condition is not constant.
 * A branch reads values of the graph around it by name.
 */
export function inlineIf(node: Node, state: InferState): Replacement | undefined {
  const condition = state.numbers(node.inputs[0])?.[0]
  const attribute = node.attributes[condition === 1 ? 'then_branch' : 'else_branch']
  if (condition === undefined || attribute?.type !== 'opaque') return undefined
  const branch = decodeSubgraph(attribute.value, node.name)
  const own = new Set([...branch.initializers.keys(), ...branch.nodes.flatMap((n) => n.outputs)])
  const inner = (name: string): string => (name !== '' && own.has(name) ? `${node.name}/${name}` : name)
  return {
    nodes: branch.nodes.map((n) => ({ ...n, inputs: n.inputs.map(inner), outputs: n.outputs.map(inner) })),
    initializers: new Map([...branch.initializers].map(([name, tensor]) => [inner(name), tensor])),
    outputs: branch.outputs.map(inner),
  }
}

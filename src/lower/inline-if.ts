/** @file `If` on a constant condition: its branch takes its place. */
import type { InferState, Replacement } from '../graph/infer-graph.js'
import type { Node } from '../graph/types.js'
import { inlineSubgraph } from '../onnx/inline.js'

/** The nodes of the branch that is taken; undefined where the condition is not constant. */
export function inlineIf(node: Node, state: InferState, folder: string | undefined): Replacement | undefined {
  const condition = state.numbers(node.inputs[0])?.[0]
  const attribute = node.attributes[condition === 1 ? 'then_branch' : 'else_branch']
  return condition === undefined || attribute?.type !== 'opaque' ? undefined : inlineSubgraph(attribute.value, node, folder)
}

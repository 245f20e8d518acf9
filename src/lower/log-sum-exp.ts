/** @file The normaliser of a softmax by way of the softmax itself, which the backward pass needs anyway. */
import { integerAttribute } from '../graph/attributes.js'
import { GraphBuilder } from '../graph/builder.js'
import { numbersOf } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import { after } from '../graph/sequence.js'
import { isFloat, type Node, type Value } from '../graph/types.js'

/** Over the last axis alone of a matrix, which stays with length 1. */
function overRows(graph: Graph, node: Node): boolean {
  const x = graph.value(node.inputs[0]!)
  const axes = numbersOf(graph.initializers.get(node.inputs[1] ?? ''))
  const lastAxis = axes?.length === 1 && (axes[0] === -1 || axes[0] === 1)
  return x.shape?.length === 2 && isFloat(x.dtype) && lastAxis && integerAttribute(node, 'keepdims', 1) === 1
}

/**
 * Replaces ln Σ eˣ over the rows of a matrix by max x − ln max p with p = softmax x: the largest probability is
 * e^max / Σ eˣ, and at least one over the length of the row, so its logarithm loses nothing.
 *
 * The runtime computes `ReduceLogSumExp` number by number; softmax and maximum are vectorised, and the gradient of the
 * normaliser *is* that softmax. So the loss over a vocabulary costs one array [rows, vocabulary], written over the logits,
 * instead of log-probabilities, their exponentials and the places of the labels.
 *
 * @returns a changed clone, or the graph itself where there is nothing to replace
 */
export function lowerLogSumExp(graph: Graph): Graph {
  const replaced = new Set(graph.nodes.filter((node) => node.op === 'ReduceLogSumExp' && overRows(graph, node)))
  if (replaced.size === 0) return graph
  const result = graph.clone()
  const b = new GraphBuilder(result)
  /** The softmax of a value, made where its normaliser is. */
  const softmaxes = new Map<string, Value>()
  const nodes = result.nodes
  result.nodes = []
  for (const node of nodes) {
    const source = node.inputs[0] ?? ''
    const known = softmaxes.get(source)
    if (node.op === 'Softmax' && known !== undefined && isLastAxis(node, known))
      result.nodes.push({ ...node, op: 'Identity', inputs: [known.name], attributes: {} })
    else if (replaced.has(node)) {
      const name = node.outputs[0]!
      result.values.delete(name)
      softmaxes.set(
        source,
        b.scope(node.name, () => normalizer(b, result.value(source), name)),
      )
    } else result.nodes.push(node)
  }
  return result
}

/** Emits the normaliser under a name. @returns the softmax, for those who read it after that and may write over it */
function normalizer(b: GraphBuilder, x: Value, name: string): Value {
  const probabilities = b.softmax(x)
  const largest = b.log(b.reduceMax(probabilities, [-1]))
  const value = b.emit('Sub', [b.reduceMax(x, [-1]), largest], {}, { name })
  return after(b, probabilities, value)
}

const isLastAxis = (node: Node, { shape }: Value): boolean => {
  const axis = integerAttribute(node, 'axis', -1)
  return axis === -1 || axis === (shape?.length ?? 0) - 1
}

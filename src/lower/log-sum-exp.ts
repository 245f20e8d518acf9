/** @file The normaliser of a softmax by way of the softmax itself, which the backward pass needs anyway. */
import type { Graph } from '../graph/graph.js'
import { inTable, rewrite, type Replacement, type RewriteContext } from '../graph/rewrite.js'
import { after } from '../graph/sequence.js'
import { isFloat, type Value } from '../graph/types.js'

/** Over the last axis alone of a matrix, which stays with length 1. */
function overRows(c: RewriteContext): boolean {
  const x = c.input(0)
  const axes = c.constant(1)
  const lastAxis = axes?.length === 1 && (axes[0] === -1 || axes[0] === 1)
  return x.shape?.length === 2 && isFloat(x.dtype) && lastAxis && c.int('keepdims', 1) === 1
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
  /** The softmax of a value, made where its normaliser is. */
  const softmaxes = new Map<string, Value>()
  const normalizer: Replacement = (c) => {
    if (!overRows(c)) return undefined
    const { b } = c
    const x = c.input(0)
    const probabilities = b.softmax(x)
    const largest = b.log(b.reduceMax(probabilities, [-1]))
    const value = b.sub(b.reduceMax(x, [-1]), largest)
    // For those who read it after that, and may write over it.
    softmaxes.set(x.name, after(b, probabilities, value))
    return value
  }
  const softmax: Replacement = (c) => {
    const known = softmaxes.get(c.input(0).name)
    return known !== undefined && c.axis(-1) === c.rank() - 1 ? known : undefined
  }
  return rewrite(graph, 'normalizer', inTable({ ReduceLogSumExp: normalizer, Softmax: softmax }))
}

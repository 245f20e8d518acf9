/** @file Gradients of Softmax and LogSoftmax along one axis. */
import { UnsupportedOpError } from '../../errors.js'
import { integerAttribute } from '../../graph/attributes.js'
import type { GraphBuilder } from '../../graph/builder.js'
import type { Node, Value } from '../../graph/types.js'
import { rule, type RuleContext } from '../rule.js'

/** Whether a node is the plain product of its inputs, the second transposed or not. */
function isProduct(node: Node, { transB }: { transB: boolean }): boolean {
  const flag = (name: string): boolean => integerAttribute(node, name, 0) === 1
  if (node.op === 'MatMul') return !transB
  return node.op === 'FusedMatMul' && flag('transB') === transB && !flag('transA') && node.attributes['alpha'] === undefined
}

/** The axis; before opset 13 the operator flattened to a matrix there, which is another function. */
function softmaxAxis(c: RuleContext): number {
  const opset = c.b.graph.opsets.get('') ?? 0
  if (opset < 13)
    throw new UnsupportedOpError(`${c.where}: opset ${opset} flattens from its axis on; convert the model to opset 13 or later`)
  return c.axis(-1)
}

/** d softmax x = y·(dx − Σ y·dx), so dx = y·(g − Σ g·y) */
export const softmax = rule('Softmax', (c) => {
  const { b } = c
  const [y, g] = [c.y[0]!, c.gradient()]
  const axis = softmaxAxis(c)
  const sum = (axis === c.rank(y) - 1 ? attentionRowSum(b, y, g) : undefined) ?? b.reduceSum(b.mul(g, y), [axis])
  return [b.mul(y, b.sub(g, sum))]
})

/**
 * Σ g·y over the last axis where y are the weights of an attention, out = y·v, and g = dout·vᵀ:
 * Σₖ gᵢₖ·yᵢₖ = Σₖ Σₑ doutᵢₑ·vₖₑ·yᵢₖ = Σₑ doutᵢₑ·outᵢₑ (Dao et al., 2022). That sums over the head's size instead of
 * the sequence, and spares two passes over the largest array of the model.
 *
 * @returns undefined where y and g are something else
 */
function attentionRowSum(b: GraphBuilder, y: Value, g: Value): Value | undefined {
  const { nodes } = b.graph
  // g was emitted just now, so its producer is near the end; weights and gradient may be seen through reshapes.
  const producer = (name: string): Node | undefined => nodes.findLast((node) => node.outputs.includes(name))
  let made = producer(g.name)
  while (made?.op === 'Reshape') made = producer(made.inputs[0]!)
  if (made === undefined || !isProduct(made, { transB: true })) return undefined
  const [dout, v] = made.inputs as [string, string]
  const weights = new Set([y.name])
  for (const node of nodes) if (node.op === 'Reshape' && weights.has(node.inputs[0]!)) weights.add(node.outputs[0]!)
  const forward = nodes.find((node) => isProduct(node, { transB: false }) && weights.has(node.inputs[0]!) && node.inputs[1] === v)
  if (forward === undefined) return undefined
  const out = b.graph.value(forward.outputs[0]!)
  const summed = b.reduceSum(b.mul(b.graph.value(dout), out), [out.shape!.length - 1])
  return b.reshape(summed, [...y.shape!.slice(0, -1), 1])
}

/** d log softmax x = dx − Σ eʸ·dx, so dx = g − eʸ·Σ g */
export const logSoftmax = rule('LogSoftmax', (c) => {
  const { b } = c
  const g = c.gradient()
  return [b.sub(g, b.mul(b.exp(c.y[0]!), b.reduceSum(g, [softmaxAxis(c)])))]
})

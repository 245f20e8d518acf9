/** @file Gradients of Softmax and LogSoftmax along one axis. */
import { UnsupportedOpError } from '../../errors.js'
import { rule, type RuleContext } from '../rule.js'

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
  return [b.mul(y, b.sub(g, b.reduceSum(b.mul(g, y), [softmaxAxis(c)])))]
})

/** d log softmax x = dx − Σ eʸ·dx, so dx = g − eʸ·Σ g */
export const logSoftmax = rule('LogSoftmax', (c) => {
  const { b } = c
  const g = c.gradient()
  return [b.sub(g, b.mul(b.exp(c.y[0]!), b.reduceSum(g, [softmaxAxis(c)])))]
})

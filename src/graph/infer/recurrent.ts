/** @file Output types and shapes of LSTM, GRU and RNN. */
import { ShapeError } from '../../errors.js'
import type { InferContext, Inference } from './context.js'
import { gateCount, readRecurrence, type RecurrentOp } from '../recurrent.js'
import { equalDims } from '../shapes.js'
import type { Dim, Shape } from '../types.js'

function checked(shape: Shape, expected: readonly (Dim | undefined)[], what: string, c: InferContext): void {
  const fits = shape.length === expected.length
  if (!fits) throw new ShapeError(`${c.where}: ${what} has rank ${shape.length}, ${expected.length} is expected`)
  expected.forEach((dim, i) => {
    if (dim !== undefined)
      equalDims(
        shape[i]!,
        dim,
        `${c.where}: ${what} is [${shape.join(', ')}], [${expected.map((d) => d ?? '?').join(', ')}] is expected`,
      )
  })
}

/**
 * Y [sequence, directions, batch, hidden], Y_h and, of LSTM, Y_c [directions, batch, hidden]; with `layout` 1
 * Y [batch, sequence, directions, hidden] and states [batch, directions, hidden].
 */
const recurrent =
  (op: RecurrentOp): Inference =>
  (c) => {
    const { directions, batchFirst } = readRecurrence({ op, name: c.where, attributes: c.attributes })
    const x = c.shape(0)
    const gates = gateCount[op]
    const hidden = c.shape(2)[2]
    if (x.length !== 3 || c.shape(2).length !== 3 || typeof hidden !== 'number')
      throw new ShapeError(`${c.where}: X and R must be of rank 3, and the hidden size of R a number`)
    const [sequence, batch] = batchFirst ? [x[1]!, x[0]!] : [x[0]!, x[1]!]
    const count = directions.length
    checked(c.shape(1), [count, gates * hidden, x[2]], 'W', c)
    checked(c.shape(2), [count, gates * hidden, hidden], 'R', c)
    if (c.inputs[3] !== undefined) checked(c.shape(3), [count, 2 * gates * hidden], 'B', c)
    if (c.inputs[4] !== undefined) checked(c.shape(4), [batch], 'sequence_lens', c)
    const state = batchFirst ? [batch, count, hidden] : [count, batch, hidden]
    if (c.inputs[5] !== undefined) checked(c.shape(5), state, 'initial_h', c)
    if (op === 'LSTM' && c.inputs[6] !== undefined) checked(c.shape(6), state, 'initial_c', c)
    if (op === 'LSTM' && c.inputs[7] !== undefined) checked(c.shape(7), [count, 3 * hidden], 'P', c)
    const states = batchFirst ? [batch, sequence, count, hidden] : [sequence, count, batch, hidden]
    return [states, state, state].slice(0, c.outputCount).map((shape) => ({ dtype: c.dtype(0), shape }))
  }

export const recurrences = {
  LSTM: recurrent('LSTM'),
  GRU: recurrent('GRU'),
  RNN: recurrent('RNN'),
} satisfies Readonly<Record<string, Inference>>

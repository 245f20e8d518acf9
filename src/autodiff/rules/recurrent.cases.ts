/** @file Gradient cases of recurrent layers: every input, every output, every attribute. */
import { activationAttributes, gateCount, readRecurrence, type RecurrentOp } from '../../graph/recurrent.js'
import { float, int, string, type Attributes, type Dim, type Shape } from '../../graph/types.js'
import type { GradientCase, InputSpec } from '../../testing/gradcheck.js'
import { runRecurrence } from '../../testing/recurrent.js'

const dims: Readonly<Record<string, number>> = { steps: 4, batch: 2 }

interface Layer {
  readonly attributes?: Attributes
  readonly bias?: boolean
  /** Number of steps of each row. */
  readonly lengths?: readonly number[]
  /** Whether it starts from states that are given. */
  readonly states?: boolean
  readonly peepholes?: boolean
  /** Which of Y, Y_h and Y_c are read. */
  readonly read?: readonly number[]
  readonly sequence?: Dim
  readonly batch?: Dim
  readonly hidden?: number
}

const activations = (...list: readonly (readonly [string, number?, number?])[]): Attributes =>
  activationAttributes(list.map(([name, alpha = 0, beta = 0]) => ({ name: name as 'Tanh', alpha, beta })))

function layer(op: RecurrentOp, name: string, options: Layer = {}): GradientCase {
  const { attributes = {}, bias, lengths, states, peepholes, sequence = 3, batch = 2, hidden = 2 } = options
  const input = 3
  const recurrence = readRecurrence({ op, name, attributes })
  const count = recurrence.directions.length
  const gates = gateCount[op]
  const read = options.read ?? (op === 'LSTM' ? [0, 1, 2] : [0, 1])
  const state: Shape = [count, batch, hidden]
  const inputs: Record<string, Shape | InputSpec> = {
    x: [sequence, batch, input],
    w: [count, gates * hidden, input],
    r: [count, gates * hidden, hidden],
    ...(bias && { b: [count, 2 * gates * hidden] }),
    ...(lengths && { lengths: { shape: [batch], dtype: 'int32', values: lengths } }),
    ...(states && { h: state, ...(op === 'LSTM' && { c: state }) }),
    ...(peepholes && { p: [count, 3 * hidden] }),
  }
  const size = (dim: Dim): number => (typeof dim === 'number' ? dim : dims[dim]!)
  return {
    name: `${op} ${name}`,
    dims,
    inputs,
    build: (v, { x, w, r, b, lengths: ends, h, c, p }) => {
      const all = v.emitAll(op, [x, w, r, b, ends, h, ...(op === 'LSTM' ? [c, p] : [])], { hidden_size: int(hidden), ...attributes }, { outputs: op === 'LSTM' ? 3 : 2 }) // prettier-ignore
      return read.map((index) => all[index]!)
    },
    forward: ({ x, w, r, b, lengths: ends, h, c, p }) => {
      const all = runRecurrence(
        recurrence,
        { x: x!, w: w!, r: r!, b, lengths: ends, h, c, p },
        { sequence: size(sequence), batch: size(batch), input, hidden },
      )
      return read.map((index) => all[index]!)
    },
  }
}

const both: Attributes = { direction: string('bidirectional') }
const reverse: Attributes = { direction: string('reverse') }
const everything: Layer = { bias: true, states: true, sequence: 4, batch: 3, lengths: [3, 1, 4] }
const early: Attributes = { linear_before_reset: int(0) }
const late: Attributes = { linear_before_reset: int(1) }

export const recurrentCases: readonly GradientCase[] = [
  layer('LSTM', 'without bias'),
  layer('LSTM', 'of one step', { sequence: 1, bias: true, states: true }),
  layer('LSTM', 'of an unknown length', { sequence: 'steps', batch: 'batch', bias: true, states: true }),
  layer('LSTM', 'in reverse, of an unknown length', { attributes: reverse, sequence: 'steps', batch: 'batch', bias: true, states: true }), // prettier-ignore
  layer('LSTM', 'in both directions', { attributes: both, sequence: 'steps', bias: true, states: true }),
  layer('LSTM', 'of which the states alone are read', { read: [0], bias: true }),
  layer('LSTM', 'of which the last state alone is read', { read: [1], attributes: both, bias: true, states: true }),
  layer('LSTM', 'of which the last cell alone is read', { read: [2], bias: true, states: true }),
  layer('LSTM', 'of rows that end early', everything),
  layer('LSTM', 'in reverse, of rows that end early', { ...everything, attributes: reverse }),
  layer('LSTM', 'in both directions, of rows that end early, with peepholes', {
    ...everything,
    attributes: both,
    peepholes: true,
  }),
  layer('LSTM', 'with peepholes', { peepholes: true, bias: true }),
  layer('LSTM', 'with peepholes, of an unknown length', { ...{ peepholes: true, bias: true, states: true }, sequence: 'steps' }),
  layer('LSTM', 'with coupled gates, of an unknown length', { attributes: { input_forget: int(1), ...both }, sequence: 'steps' }),
  layer('LSTM', 'with coupled gates', { attributes: { input_forget: int(1) }, bias: true, states: true }),
  layer('LSTM', 'with coupled gates and peepholes', { attributes: { input_forget: int(1) }, states: true, peepholes: true }),
  layer('LSTM', 'clipped', { attributes: { clip: float(0.25) }, bias: true, states: true, peepholes: true, sequence: 4 }),
  layer('LSTM', 'with other activations', {
    attributes: activations(['HardSigmoid', 0.3, 0.4], ['Elu', 0.7], ['Softsign']),
    bias: true,
    states: true,
  }),
  layer('LSTM', 'with activations of each direction', {
    attributes: {
      ...both,
      ...activations(['Sigmoid'], ['LeakyRelu', 0.1], ['ScaledTanh', 1.5, 0.6], ['Tanh'], ['Softplus'], ['Affine', 0.5, 0.2]),
    },
    bias: true,
    peepholes: true,
  }),
  layer('LSTM', 'with gates that may be 0', {
    attributes: activations(['ThresholdedRelu', 0.1], ['Relu'], ['Tanh']),
    bias: true,
  }),
  layer('GRU', 'without bias'),
  layer('GRU', 'of one step', { sequence: 1, bias: true, states: true }),
  layer('GRU', 'of an unknown length', { sequence: 'steps', batch: 'batch', bias: true, states: true, attributes: early }),
  layer('GRU', 'of rows that end early', { ...everything, attributes: early }),
  layer('GRU', 'in both directions, of rows that end early', { ...everything, attributes: { ...both, ...early } }),
  layer('GRU', 'with a late reset', { attributes: late, bias: true, states: true }),
  layer('GRU', 'with a late reset, in both directions, of an unknown length', {
    attributes: { ...both, ...late },
    sequence: 'steps',
    batch: 'batch',
    bias: true,
    states: true,
  }),
  layer('GRU', 'with a late reset, of rows that end early', { ...everything, attributes: { ...both, ...late } }),
  layer('GRU', 'of which the last state alone is read', { read: [1], attributes: { ...reverse, ...late }, bias: true }),
  layer('GRU', 'in both directions', { attributes: both, bias: true, states: true }),
  layer('GRU', 'with a late reset, in both directions', { attributes: { ...both, ...late }, bias: true, states: true }),
  layer('GRU', 'of which the states alone are read', { read: [0], states: true }),
  layer('GRU', 'clipped', { attributes: { clip: float(0.25), ...late }, bias: true, states: true }),
  layer('GRU', 'clipped, with an early reset', { attributes: { clip: float(0.25) }, bias: true, states: true }),
  layer('GRU', 'with a reset that may be 0', { attributes: { ...late, ...activations(['Relu'], ['Softplus']) }, bias: true }),
  layer('RNN', 'without bias'),
  layer('RNN', 'of an unknown length', { sequence: 'steps', batch: 'batch', bias: true, states: true }),
  layer('RNN', 'in both directions, of rows that end early', { ...everything, attributes: both }),
  layer('RNN', 'in both directions', { attributes: both, bias: true, states: true }),
  layer('RNN', 'with Relu', { attributes: activations(['Relu']), bias: true, states: true }),
  layer('RNN', 'clipped, in reverse', { attributes: { ...reverse, clip: float(0.3) }, bias: true, states: true }),
]

/** @file LSTM, GRU and RNN in the one form that the runtime computes and the gradient reads: sequence first, all outputs named. */
import { int, type Attributes } from '../graph/types.js'
import { activationAttributes, readRecurrence, type RecurrentOp } from '../graph/recurrent.js'
import type { LowerContext, Lowering, LoweringTable } from './context.js'

/** Inputs that are states, [directions, batch, hidden] with sequence first. */
const STATES = [5, 6]

/**
 * The gradient reads the states of all steps and ends of the cells, which cost nothing: the runtime has computed them. ONNX
 * Runtime has no kernels for `layout` 1, and its own defaults for the constants of some activations.
 */
const canonical =
  (op: RecurrentOp): Lowering =>
  (c: LowerContext) => {
    const { b, node } = c
    const { directions, batchFirst } = readRecurrence(node)
    const swap = [1, 0, 2]
    const inputs = node.inputs.map((_, i) => {
      const value = c.optional(i)
      return batchFirst && value !== undefined && (i === 0 || STATES.includes(i)) ? b.transpose(value, swap) : value
    })
    const { activations: _, activation_alpha: __, activation_beta: ___, layout: ____, ...kept } = node.attributes
    const hidden = c.shape(c.input(2))[2] as number
    const attributes: Attributes = {
      ...kept,
      ...activationAttributes(directions.flatMap(({ activations }) => activations)),
      hidden_size: int(hidden),
    }
    const outputs = b.emitAll(op, inputs, attributes, { outputs: op === 'LSTM' ? 3 : 2 })
    // Names and notes of the node say which module it is.
    const { metadata } = node
    b.graph.nodes.push({ ...b.graph.nodes.pop()!, name: node.name, ...(metadata !== undefined && { metadata }) })
    return batchFirst ? outputs.map((y, i) => b.transpose(y, i === 0 ? [2, 0, 1, 3] : swap)) : outputs
  }

export const recurrentLowerings: LoweringTable = {
  LSTM: canonical('LSTM'),
  GRU: canonical('GRU'),
  RNN: canonical('RNN'),
}

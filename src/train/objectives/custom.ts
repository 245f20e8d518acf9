/** @file Losses of the user's own: built by a function, or an output of the model itself. */
import type { Model } from '../../model/model.js'
import { causalLmEncoding } from '../../data/encoding.js'
import { inputTensor, positionAxis, taskEncoding } from '../../data/task-encoding.js'
import { InvalidOptionError } from '../../errors.js'
import type { GraphBuilder } from '../../graph/builder.js'
import type { Graph } from '../../graph/graph.js'
import { formatShape, type DType, type Shape, type Value } from '../../graph/types.js'
import { attachLoss } from '../../losses/attach.js'
import type { Objective, ObjectiveGraph } from '../objective.js'
import { noScores } from './scores.js'

/**
 * An input of the graph by name: one of the model's own, or a new one that the rows bring as a field of that name.
 * @param dtype `float32` by default
 * @param shape first the rows, then numbers or names: `['batch', 3]`. `['batch']` by default
 */
export type LossInputs = (name: string, dtype?: DType, shape?: Shape) => Value

/** What a loss function builds. */
export interface BuiltLoss {
  /** Summed over what is counted, a scalar. */
  readonly loss: Value
  /** What it is summed over, a scalar: the divisor of the mean. */
  readonly count: Value
}

/**
 * Builds a loss onto a model's graph.
 * @param b emits nodes: `b.mul(x, y)`, `b.sumAll(x)`
 * @param outputs the model's outputs by name: `logits`, `last_hidden_state`, …
 * @param inputs inputs by name; new ones are fields of the rows
 * @example
 * // Mean absolute error, with rows {"text", "target": 0.3}
 * const loss: LossFunction = (b, { logits }, inputs) => {
 *   const target = b.unsqueeze(inputs('target'), [1]) // [batch, 1], as the logits
 *   return { loss: b.sumAll(b.abs(b.sub(logits!, target))), count: b.cast(b.squeeze(b.dim('batch'), [0]), 'float32') }
 * }
 */
export type LossFunction = (b: GraphBuilder, outputs: Readonly<Record<string, Value>>, inputs: LossInputs) => BuiltLoss

function applyLoss(graph: Graph, build: LossFunction): ObjectiveGraph & { readonly added: readonly Value[] } {
  const added: Value[] = []
  let count: Value | undefined
  const outputs = Object.fromEntries(graph.outputs.map((output) => [output.name, output]))
  const built = attachLoss(graph, (b, result) => {
    const given = build(b, outputs, (name, dtype = 'float32', shape = ['batch']) => {
      const known = result.inputs.find((input) => input.name === name)
      if (known !== undefined) return known
      const input = result.addInput(name, dtype, shape)
      added.push(input)
      return input
    })
    for (const [name, value] of Object.entries({ loss: given.loss, count: given.count }))
      if (value.shape !== undefined && !value.shape.every((dim) => dim === 1))
        throw new InvalidOptionError(
          `the loss function's ${name} "${value.name}" has shape ${formatShape(value.shape)}; expected a scalar: sum it with b.sumAll`,
        )
    count = b.sumAll(given.count)
    return b.sumAll(given.loss)
  })
  return { ...built, count: count!, outputs: [], added }
}

/**
 * A loss that a function builds. The rows give the model's inputs, by text or by name, and a field for each input that
 * the function adds; a language model's rows are read as ever, with `labels` beside them.
 */
export function customLoss(model: Model, build: LossFunction): Objective {
  return {
    name: 'custom',
    divisible: false,
    causal: model.task.name === 'causal-lm',
    encoding(options) {
      if (model.task.name === 'causal-lm') return causalLmEncoding(options)
      const { added } = applyLoss(model.build({ mode: 'full', positions: Math.min(1, model.maxPositions) || 1 }).graph, build)
      const positions = positionAxis(options.inputs)
      return taskEncoding(options, (row) => ({
        fields: Object.fromEntries(added.map((input) => [input.name, inputTensor(row, input, positions)])),
        tokens: 1,
      }))
    },
    attach: ({ graph }) => applyLoss(graph, build),
    scores: noScores,
  }
}

/**
 * A loss that the model computes itself: an output that is a scalar, the mean over the rows of a run, or holds a number
 * a row. Labels that it needs are inputs of the model, and so fields of the rows.
 * @throws InvalidOptionError if the model has no such output
 */
export function outputLoss(model: Model, name: string): Objective {
  const { graph } = model.build({ mode: 'full', positions: 1 })
  const found = graph.outputs.find((output) => output.name === name)
  const known = graph.outputs.map((output) => `"${output.name}" ${formatShape(output.shape)}`).join(', ')
  if (found === undefined) throw new InvalidOptionError(`the model has no output "${name}"; it has ${known}`)
  const perRow = found.shape?.length === 1 && found.shape[0] !== 1
  if (!perRow && !(found.shape ?? [0]).every((dim) => dim === 1))
    throw new InvalidOptionError(`output "${name}" ${formatShape(found.shape)} is no loss: expected a scalar or one number a row`)
  return {
    ...customLoss(model, (b, outputs) => {
      const output = b.cast(outputs[name]!, 'float32')
      const rows = b.squeeze(b.cast(rowCount(b), 'float32'), [0])
      const sum = b.sumAll(output)
      return { loss: perRow ? sum : b.mul(sum, rows), count: rows }
    }),
    name: `output:${name}`,
  }
}

/** Rows of a run, int64 [1]: the first axis of the model's first input. */
function rowCount(b: GraphBuilder): Value {
  const input = b.graph.inputs.find(({ shape }) => (shape?.length ?? 0) > 0)
  if (input === undefined) throw new InvalidOptionError('the model has no input with an axis of rows')
  return b.dim(input.shape![0]!)
}

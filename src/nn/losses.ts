/** @file The losses that `trainModule` knows by name, and those of the user's own. */
import { InvalidDataError, InvalidOptionError, ShapeError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { formatShape, type HostTensor, type Value } from '../graph/types.js'
import { crossEntropyLoss } from '../losses/cross-entropy.js'
import { binaryCrossEntropy, squaredError } from '../losses/element-wise.js'
import { BATCH } from './build.js'

/** Builds the mean loss of a batch, a scalar, from the model's output and the labels. */
export type LossFunction = (b: GraphBuilder, output: Value, labels: Value) => Value

/**
 * `crossEntropy`: output [.., classes], labels int64 [..], -100 does not count. `mse`, `binaryCrossEntropy`: output and
 * labels float32 of one shape. Each is the mean, as PyTorch's.
 */
export type LossChoice = 'crossEntropy' | 'mse' | 'binaryCrossEntropy' | LossFunction

/** Name of the input that takes the labels. */
export const LABELS_INPUT = 'labels'

/**
 * Builds a loss onto the graph of a model.
 * @param labels those of a batch, for their type and shape
 */
export function attachModuleLoss(
  graph: Graph,
  output: Value,
  choice: LossChoice,
  labels: HostTensor,
): { graph: Graph; loss: Value } {
  const expect = (dtype: HostTensor['dtype']): void => {
    if (labels.dtype !== dtype)
      throw new InvalidDataError(
        `the loss "${String(choice)}" takes labels of type ${dtype}, got ${labels.dtype} ${formatShape(labels.shape)}`,
      )
  }
  if (choice === 'crossEntropy') {
    expect('int64')
    return crossEntropyLoss(graph, output)
  }
  if (choice === 'mse' || choice === 'binaryCrossEntropy') {
    expect('float32')
    const summed = (choice === 'mse' ? squaredError : binaryCrossEntropy)(graph, output)
    const b = new GraphBuilder(summed.graph)
    return { graph: summed.graph, loss: b.div(summed.loss, b.reshape(b.cast(b.dim(output.shape![0]!), 'float32'), [])) }
  }
  if (typeof choice !== 'function')
    throw new InvalidOptionError(
      `loss must be "crossEntropy", "mse", "binaryCrossEntropy" or a function, got "${String(choice)}"`,
    )
  const result = graph.clone()
  const b = new GraphBuilder(result)
  const loss = b.scope('loss', () =>
    choice(b, output, result.addInput(LABELS_INPUT, labels.dtype, [BATCH, ...labels.shape.slice(1)])),
  )
  if (loss.shape === undefined || loss.shape.some((d) => d !== 1))
    throw new ShapeError(`the loss function must give a scalar, got ${formatShape(loss.shape)}`)
  return { graph: result, loss }
}

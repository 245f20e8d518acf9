/** @file From an adapted model to the graph of one micro-batch: loss and the gradient of everything trainable. */
import { differentiate } from '../autodiff/differentiate.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'

/** Name of the output that holds the loss, summed over labelled tokens. */
export const LOSS_OUTPUT = 'loss'
/** Name of the output that holds every gradient, flattened and joined in the order of the parameters. */
export const GRADIENT_OUTPUT = 'gradient'

/**
 * Differentiates the loss by the parameters and joins the gradients into one vector, so that accumulation, clipping
 * and the optimizer need not know the model.
 */
export function gradientGraph(graph: Graph, loss: Value, parameters: readonly Value[]): Graph {
  const { graph: result, gradients } = differentiate(graph, loss, parameters)
  const b = new GraphBuilder(result)
  const flat = parameters.map((p) => {
    const gradient = gradients.get(p.name)!
    return b.emit('Reshape', [gradient, b.int64s([-1])])
  })
  result.outputs = [
    b.emit('Identity', [loss], {}, { name: LOSS_OUTPUT }),
    flat.length === 1
      ? b.emit('Identity', [flat[0]!], {}, { name: GRADIENT_OUTPUT })
      : b.emit('Concat', flat, { axis: { type: 'int', value: 0 } }, { name: GRADIENT_OUTPUT }),
  ]
  result.prune()
  return result
}

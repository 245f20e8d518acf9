/** @file From an adapted model to the graph of one micro-batch: loss and the gradient of everything trainable. */
import { differentiate } from '../autodiff/differentiate.js'
import { InvalidOptionError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'
import { ancestry } from '../graph/walk.js'
import type { ObjectiveGraph } from './objective.js'

/** Name of the output that holds the loss, summed over labelled tokens. */
export const LOSS_OUTPUT = 'loss'
/** Name of the output that holds what the loss is summed over, where the batch does not tell. */
export const COUNT_OUTPUT = 'count'
/** Name of the output that holds every gradient, flattened and joined in the order of the parameters. */
export const GRADIENT_OUTPUT = 'gradient'

/** Scalars by name, see {@link ObjectiveGraph.sums}. */
export type Sums = Readonly<Record<string, Value>>

/**
 * Differentiates the loss by the parameters and joins the gradients into one vector (the last output), so that accumulation, clipping
 * and the optimizer need not know the model. What the loss does not depend on has gradient 0.
 * @throws InvalidOptionError if the loss depends on nothing that is trained
 */
export function gradientGraph(graph: Graph, loss: Value, parameters: readonly Value[], count?: Value, sums: Sums = {}): Graph {
  const reached = ancestry(graph.nodes, [loss.name]).names
  if (!parameters.some(({ name }) => reached.has(name)))
    throw new InvalidOptionError('the loss depends on nothing that is trained; choose other target modules')
  const { graph: result, gradients } = differentiate(
    graph,
    loss,
    parameters.filter(({ name }) => reached.has(name)),
  )
  const b = new GraphBuilder(result)
  result.outputs = [
    named(b, loss, LOSS_OUTPUT),
    ...countOutput(b, count),
    ...sumOutputs(b, sums),
    joinGradients(b, parameters, gradients, GRADIENT_OUTPUT),
  ]
  result.prune()
  return result
}

/** Gradients of parameters by their names, flattened and joined in the order of the parameters; 0 where there is none. @param name of the result */
export function joinGradients(
  b: GraphBuilder,
  parameters: readonly Value[],
  gradients: ReadonlyMap<string, Value>,
  name: string,
): Value {
  const flat = parameters.map((p) => {
    const gradient = gradients.get(p.name)
    // A pooler that the task does not read: torch leaves such parameters alone.
    return b.emit('Reshape', [gradient ?? b.mul(p, 0), b.int64s([-1])])
  })
  return flat.length === 1
    ? b.emit('Identity', [flat[0]!], {}, { name })
    : b.emit('Concat', flat, { axis: { type: 'int', value: 0 } }, { name })
}

/** The graph of an evaluation: the loss, what it counts, and what the scores read. */
export function lossGraph({ graph, loss, count, outputs, sums = {} }: ObjectiveGraph): Graph {
  const result = graph.clone()
  const b = new GraphBuilder(result)
  result.outputs = [named(b, loss, LOSS_OUTPUT), ...countOutput(b, count), ...sumOutputs(b, sums), ...outputs]
  result.prune()
  return result
}

/** A value under the name of an output. @throws InvalidModelError if the graph has another of that name */
const named = (b: GraphBuilder, value: Value, name: string): Value =>
  value.name === name ? value : b.emit('Identity', [value], {}, { name })

const countOutput = (b: GraphBuilder, count: Value | undefined): Value[] =>
  count === undefined ? [] : [named(b, b.cast(count, 'float32'), COUNT_OUTPUT)]

const sumOutputs = (b: GraphBuilder, sums: Sums): Value[] =>
  Object.entries(sums).map(([name, value]) => named(b, value, `sum/${name}`))

/** @file Stochastic gradient descent as a graph, on one flat vector of parameters, any length. */
import { GraphBuilder } from '../graph/builder.js'
import { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'

export interface SgdOptions {
  /** 0 for none. */
  readonly momentum: number
  readonly weightDecay: number
  /** Looks ahead along the momentum (Nesterov, 1983). */
  readonly nesterov: boolean
}

/**
 * Builds the update graph of SGD as torch.optim.SGD computes it: g ← g + λp, v ← μv + g, p ← p − η·v (η·(g + μv) with
 * Nesterov's). The velocity starts at zero, so its first value is the gradient.
 *
 * Inputs, float32: `parameters`, `gradient`, `moment1` [n]; `gradient_scale` []; `learning_rate` [1].
 * Outputs: `new_parameters`, `new_moment1` [n].
 */
export function sgdGraph(options: SgdOptions): Graph {
  const graph = new Graph('sgd')
  const b = new GraphBuilder(graph)
  const vector = (name: string): Value => graph.addInput(name, 'float32', ['n'])
  const parameters = vector('parameters')
  const raw = vector('gradient')
  const velocity = vector('moment1')
  const scale = graph.addInput('gradient_scale', 'float32', [])
  const rate = graph.addInput('learning_rate', 'float32', [1])

  const scaled = b.mul(raw, scale)
  const g = options.weightDecay === 0 ? scaled : b.add(scaled, b.mul(parameters, options.weightDecay))
  const v = b.add(b.mul(velocity, options.momentum), g)
  const direction = options.nesterov ? b.add(g, b.mul(v, options.momentum)) : v
  graph.outputs = [
    b.emit('Identity', [b.sub(parameters, b.mul(rate, direction))], {}, { name: 'new_parameters' }),
    b.emit('Identity', [v], {}, { name: 'new_moment1' }),
  ]
  return graph
}

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
  /** Largest global norm of the gradient; Infinity clips nothing. */
  readonly maxGradNorm: number
}

/**
 * Builds the update graph of SGD as torch.optim.SGD computes it: g ← g + λp, v ← μv + g, p ← p − η·v (η·(g + μv) with
 * Nesterov's). The velocity starts at zero, so its first value is the gradient.
 *
 * Inputs, float32: `parameters`, `gradient`, `moment1` [n]; `gradient_scale` []; `learning_rate` [1].
 * Outputs: `new_parameters`, `new_moment1` [n], `gradient_norm` [] before clipping.
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

  const norm = b.mul(b.sqrt(b.emit('ReduceSumSquare', [raw], { keepdims: { type: 'int', value: 0 } })), scale)
  const clip = Number.isFinite(options.maxGradNorm) ? b.min(b.div(options.maxGradNorm, b.add(norm, 1e-6)), 1) : undefined
  const clipped = b.mul(raw, clip === undefined ? scale : b.mul(scale, clip))
  const g = options.weightDecay === 0 ? clipped : b.add(clipped, b.mul(parameters, options.weightDecay))
  const v = b.add(b.mul(velocity, options.momentum), g)
  const direction = options.nesterov ? b.add(g, b.mul(v, options.momentum)) : v
  graph.outputs = [
    b.emit('Identity', [b.sub(parameters, b.mul(rate, direction))], {}, { name: 'new_parameters' }),
    b.emit('Identity', [v], {}, { name: 'new_moment1' }),
    b.emit('Identity', [norm], {}, { name: 'gradient_norm' }),
  ]
  return graph
}

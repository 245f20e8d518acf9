/** @file AdamW as a graph, on one flat vector of parameters, any length. */
import { GraphBuilder } from '../graph/builder.js'
import { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'

/**
 * Whose AdamW: `adamw` is torch's, `adamw_hf` the one that transformers had before (and microsoft/LoRA has): epsilon is added
 * before the bias of the second moment is corrected, and weights decay after the step.
 */
export type AdamWName = 'adamw' | 'adamw_hf'

export const adamWNames: readonly AdamWName[] = ['adamw', 'adamw_hf']

export interface AdamWOptions {
  /** `adamw` by default. */
  readonly name?: AdamWName
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  /** Whether the weight decay of each parameter is told apart, by an input of its own; no by default. */
  readonly decayPerParameter?: boolean
}

/** Input of the update graph with a factor of the weight decay for each parameter, [n]. */
export const DECAY_FACTORS = 'decay_factors'

/**
 * Builds the update graph: AdamW with decoupled weight decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW computes it, or as
 * transformers did.
 *
 * Inputs, float32: `parameters`, `gradient`, `moment1`, `moment2` [n]; `gradient_scale` [] (one over the number of
 * tokens, for the gradient is of a sum, times what clipping leaves); `learning_rate` [1], or [n] for a rate of each parameter; `bias_correction1`, `bias_correction2` [] =
 * 1 − βᵗ, computed in float64 outside; with `decayPerParameter` also `decay_factors` [n].
 * Outputs: `new_parameters`, `new_moment1`, `new_moment2` [n].
 *
 * The graph does not know the model: one vector holds every trainable tensor, or a piece of it.
 */
export function adamWGraph(options: AdamWOptions): Graph {
  const graph = new Graph('adamw')
  const b = new GraphBuilder(graph)
  const vector = (name: string): Value => graph.addInput(name, 'float32', ['n'])
  const scalar = (name: string): Value => graph.addInput(name, 'float32', [])
  const parameters = vector('parameters')
  const raw = vector('gradient')
  const moment1 = vector('moment1')
  const moment2 = vector('moment2')
  const gradientScale = scalar('gradient_scale')
  const learningRate = graph.addInput('learning_rate', 'float32', ['k'])
  const correction1 = scalar('bias_correction1')
  const correction2 = scalar('bias_correction2')

  const g = b.mul(raw, gradientScale)
  // m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g²
  const m = b.add(b.mul(moment1, options.beta1), b.mul(g, 1 - options.beta1))
  const v = b.add(b.mul(moment2, options.beta2), b.mul(b.mul(g, g), 1 - options.beta2))
  const rate = { ...learningRate, shape: [1] }
  const factors = options.decayPerParameter === true ? vector(DECAY_FACTORS) : undefined
  // p(1 − lr·λ)
  const decayed = (p: Value): Value => {
    if (options.weightDecay === 0) return p
    const decay = b.mul(rate, options.weightDecay)
    return b.mul(p, b.sub(1, factors === undefined ? decay : b.mul(decay, factors)))
  }
  const steps: Record<AdamWName, () => Value> = {
    // p ← p(1 − lr·λ) − lr/c₁ · m / (√v/√c₂ + ε)
    adamw() {
      const denominator = b.add(b.div(b.sqrt(v), b.sqrt(correction2)), options.epsilon)
      return b.sub(decayed(parameters), b.mul(b.div(rate, correction1), b.div(m, denominator)))
    },
    // p ← (p − lr·√c₂/c₁ · m / (√v + ε))(1 − lr·λ)
    adamw_hf() {
      const size = b.div(b.mul(rate, b.sqrt(correction2)), correction1)
      return decayed(b.sub(parameters, b.mul(size, b.div(m, b.add(b.sqrt(v), options.epsilon)))))
    },
  }
  const p = steps[options.name ?? 'adamw']()

  graph.outputs = [
    b.emit('Identity', [p], {}, { name: 'new_parameters' }),
    b.emit('Identity', [m], {}, { name: 'new_moment1' }),
    b.emit('Identity', [v], {}, { name: 'new_moment2' }),
  ]
  return graph
}

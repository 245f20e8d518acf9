/** @file The AdamW graph against torch's clip_grad_norm_ and AdamW, written down in float64. */
import { describe, expect, it } from 'vitest'
import { float32 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { Random } from '../util/rng.js'
import { FlatOptimizer } from './flat-optimizer.js'
import { adamWGraph, DECAY_FACTORS, type AdamWOptions } from './adamw.js'

const N = 7
/** What the decay of each parameter is multiplied by, where they differ. */
const factors = [1, 0, 0.5, 1, 0, 1, 1]
const STEPS = 12

interface ReferenceOptions extends AdamWOptions {
  readonly maxGradNorm: number
}

/** torch.nn.utils.clip_grad_norm_, and AdamW of torch.optim or of earlier transformers, written down in float64. */
class Reference {
  m = new Float64Array(N)
  v = new Float64Array(N)
  t = 0
  constructor(
    readonly p: Float64Array,
    readonly o: ReferenceOptions,
  ) {}

  step(mean: readonly number[], rate: number | readonly number[]): number {
    const norm = Math.hypot(...mean)
    const clip = Math.min(1, this.o.maxGradNorm / (norm + 1e-6))
    this.t++
    for (let i = 0; i < N; i++) {
      const lr = typeof rate === 'number' ? rate : rate[i]!
      const g = mean[i]! * clip
      const decay = 1 - lr * this.o.weightDecay * (this.o.decayPerParameter === true ? factors[i]! : 1)
      const hf = this.o.name === 'adamw_hf'
      if (!hf) this.p[i]! *= decay
      this.m[i] = this.o.beta1 * this.m[i]! + (1 - this.o.beta1) * g
      this.v[i] = this.o.beta2 * this.v[i]! + (1 - this.o.beta2) * g * g
      const mHat = this.m[i]! / (1 - this.o.beta1 ** this.t)
      const vHat = this.v[i]! / (1 - this.o.beta2 ** this.t)
      const correction = 1 - this.o.beta2 ** this.t
      this.p[i]! -= (lr * mHat) / (Math.sqrt(vHat) + this.o.epsilon / (hf ? Math.sqrt(correction) : 1))
      if (hf) this.p[i]! *= decay
    }
    return norm
  }
}

const base: ReferenceOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: Infinity }

describe('adamWGraph', () => {
  it.each<[string, Partial<ReferenceOptions>, boolean, number?]>([
    ['plain', {}, false],
    ['decay', { weightDecay: 0.3 }, false],
    ['clipping', { maxGradNorm: 0.25 }, false],
    ['a bound that is never reached', { maxGradNorm: 1e6 }, false],
    [
      'everything, and a rate of each parameter',
      { weightDecay: 0.1, maxGradNorm: 0.5, beta1: 0.8, beta2: 0.95, epsilon: 1e-3 },
      true,
    ],
    ['of transformers', { name: 'adamw_hf', epsilon: 1e-2 }, false],
    [
      'in pieces, with everything',
      { weightDecay: 0.1, maxGradNorm: 0.5, beta1: 0.8, beta2: 0.95, epsilon: 1e-3, decayPerParameter: true },
      true,
      3,
    ],
    ['in pieces of one', { maxGradNorm: 0.25 }, false, 1],
    [
      'of transformers, with everything',
      { name: 'adamw_hf', weightDecay: 0.3, epsilon: 1e-3, maxGradNorm: 0.5, beta2: 0.98 },
      true,
    ],
    ['decay of some parameters', { weightDecay: 0.3, decayPerParameter: true }, false],
    ['of transformers, with decay of some parameters', { name: 'adamw_hf', weightDecay: 0.3, decayPerParameter: true }, false],
  ])('equals float64 AdamW over 12 steps: %s', async (_name, given, ratePerParameter, pieceLength = N) => {
    const options = { ...base, ...given }
    const random = new Random(3)
    const draw = (): number[] => Array.from({ length: N }, () => Math.fround(random.normal()))
    const start = draw()
    const reference = new Reference(Float64Array.from(start), options)
    const parameters = Float32Array.from(start)
    const optimizer = await FlatOptimizer.create(nodeRuntime({ threads: 1 }), adamWGraph(options), {
      ...{ count: N, betas: [options.beta1, options.beta2], maxGradNorm: options.maxGradNorm, pieceLength },
      ...(options.decayPerParameter === true && { constants: { [DECAY_FACTORS]: Float32Array.from(factors) } }),
    })
    for (let t = 1; t <= STEPS; t++) {
      const sum = draw()
      const tokens = 1 + random.integer(9)
      const rate = 0.01 / t
      const rates = ratePerParameter ? Float32Array.from({ length: N }, (_, i) => rate * (i + 1)) : rate
      const update = { parameters, gradient: Float32Array.from(sum), scale: 1 / tokens, learningRate: rates }
      const { norm, applied } = await optimizer.update(update)
      const expected = reference.step(
        sum.map((x) => x / tokens),
        typeof rates === 'number' ? rates : Array.from(rates),
      )
      expect(applied).toBe(true)
      expect(norm).toBeCloseTo(expected, 5)
      const { moment1: m, moment2: v } = optimizer.state.moments
      for (let i = 0; i < N; i++) {
        expect(Math.abs(parameters[i]! - reference.p[i]!)).toBeLessThan(1e-6 * (1 + Math.abs(reference.p[i]!)))
        expect(Math.abs(m![i]! - reference.m[i]!)).toBeLessThan(1e-6)
        expect(Math.abs(v![i]! - reference.v[i]!)).toBeLessThan(1e-6)
      }
    }
    expect(optimizer.state.updates).toBe(STEPS)
    await optimizer.release()
  })

  it.each([N, 3])('changes nothing where one parameter would leave the range, in pieces of %i', async (pieceLength) => {
    const optimizer = await FlatOptimizer.create(nodeRuntime({ threads: 1 }), adamWGraph(base), {
      ...{ count: N, betas: [0.9, 0.999], maxGradNorm: Infinity, pieceLength },
    })
    const [parameters, gradient] = [new Float32Array(N).fill(2), new Float32Array(N).fill(1)]
    // The last of them, so that pieces before it are fine.
    const learningRate = new Float32Array(N).fill(0.1)
    learningRate[N - 1] = 3e38
    parameters[N - 1] = -3e38
    const before = parameters.slice()
    expect(await optimizer.update({ parameters, gradient, scale: 1, learningRate })).toEqual({
      norm: Math.sqrt(N),
      applied: false,
    })
    expect(parameters).toEqual(before)
    expect(optimizer.state).toEqual({ moments: { moment1: new Float32Array(N), moment2: new Float32Array(N) }, updates: 0 })
    gradient[0] = NaN
    expect(await optimizer.update({ parameters, gradient, scale: 1, learningRate: 0.1 })).toEqual({ norm: NaN, applied: false })
    expect(parameters).toEqual(before)
    await optimizer.release()
  })

  it('decays without a gradient, and decay is not clipped or adapted', async () => {
    const session = await nodeRuntime({ threads: 1 }).createSession(adamWGraph({ ...base, weightDecay: 0.5 }))
    const zero = (): HostTensor => float32([2], new Float32Array(2))
    const scalar = (value: number): HostTensor => float32([], Float32Array.of(value))
    const { new_parameters: p } = await session.run({
      parameters: float32([2], Float32Array.of(2, -4)),
      ...{ gradient: zero(), moment1: zero(), moment2: zero() },
      learning_rate: float32([1], Float32Array.of(0.1)),
      ...{ gradient_scale: scalar(1), bias_correction1: scalar(0.1), bias_correction2: scalar(0.001) },
    })
    await session.release()
    expect(Array.from(p!.data as Float32Array)).toEqual([2 * 0.95, -4 * 0.95].map(Math.fround))
  })
})

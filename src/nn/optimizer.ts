/** @file The optimizers of `trainModule`: one flat vector, updated by a graph. */
import { InvalidOptionError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import { adamWGraph } from '../optim/adamw.js'
import { sgdGraph } from '../optim/sgd.js'
import type { Runtime, Session } from '../runtime/runtime.js'
import type { Parameter } from './parameter.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** torch.optim.AdamW, with its defaults but for the weight decay, which is 0. */
export interface AdamWChoice {
  /** Tells the optimizers apart. */
  readonly name: 'adamw'
  /** Decay of the two moments; 0.9 and 0.999 where they are not given. */
  readonly betas?: readonly [number, number]
  /** Added to the root of the second moment; 1e-8 where it is not given. */
  readonly epsilon?: number
  /** Decay of the parameters by a step, times the learning rate; 0 where it is not given. */
  readonly weightDecay?: number
}

/** torch.optim.SGD, with its defaults. */
export interface SgdChoice {
  /** Tells the optimizers apart. */
  readonly name: 'sgd'
  /** Decay of the running gradient; 0 where it is not given. */
  readonly momentum?: number
  /** Nesterov's momentum. */
  readonly nesterov?: boolean
  /** Added to the gradient, times the parameters; 0 where it is not given. */
  readonly weightDecay?: number
}

/** An optimizer and its constants. */
export type OptimizerChoice = AdamWChoice | SgdChoice

const optimizerKeys = {
  adamw: { ...{ name: true, betas: true, epsilon: true, weightDecay: true } } satisfies OptionKeys<AdamWChoice>,
  sgd: { ...{ name: true, momentum: true, nesterov: true, weightDecay: true } } satisfies OptionKeys<SgdChoice>,
} as const

const inRange = (what: string, value: number, low: number, high: number): number => {
  if (!(value >= low && value < high))
    throw new InvalidOptionError(`optimizer: ${what} must be at least ${low} and less than ${high}, got ${value}`)
  return value
}

/** Parameters as one vector, and the state that the optimizer keeps for them. */
export class Optimizer {
  private updates = 0
  private moments: Record<string, Float32Array>

  private constructor(
    private readonly session: Session,
    private readonly parameters: readonly Parameter[],
    private readonly betas: readonly [number, number],
    moments: readonly string[],
    private readonly count: number,
  ) {
    this.moments = Object.fromEntries(moments.map((name) => [name, new Float32Array(count)]))
  }

  static async create(
    runtime: Runtime,
    parameters: readonly Parameter[],
    choice: OptimizerChoice,
    maxGradNorm: number,
  ): Promise<Optimizer> {
    if (Object.hasOwn(optimizerKeys, choice.name)) checkKeys(choice, optimizerKeys[choice.name], `optimizer ${choice.name}`)
    const count = parameters.reduce((sum, p) => sum + p.size, 0)
    const weightDecay = inRange('weightDecay', choice.weightDecay ?? 0, 0, Infinity)
    if (choice.name === 'sgd') {
      const momentum = inRange('momentum', choice.momentum ?? 0, 0, 1)
      const graph = sgdGraph({ momentum, nesterov: choice.nesterov ?? false, weightDecay, maxGradNorm })
      return new Optimizer(await runtime.createSession(graph), parameters, [0, 0], ['moment1'], count)
    }
    if (choice.name !== 'adamw')
      throw new InvalidOptionError(`optimizer must be "adamw" or "sgd", got "${String((choice as { name: unknown }).name)}"`)
    const [beta1, beta2] = choice.betas ?? [0.9, 0.999]
    inRange('betas[0]', beta1, 0, 1)
    inRange('betas[1]', beta2, 0, 1)
    const graph = adamWGraph({ beta1, beta2, epsilon: choice.epsilon ?? 1e-8, weightDecay, maxGradNorm })
    return new Optimizer(await runtime.createSession(graph), parameters, [beta1, beta2], ['moment1', 'moment2'], count)
  }

  /**
   * One update of the parameters, in place.
   * @param gradient of the mean loss, in the order of the parameters
   * @returns the gradient's norm before clipping, and whether everything was finite; if not, nothing changes
   */
  async step(gradient: Float32Array, learningRate: number): Promise<{ norm: number; applied: boolean }> {
    const n = [this.count]
    const flat = new Float32Array(this.count)
    let offset = 0
    for (const p of this.parameters) {
      flat.set(p.data, offset)
      offset += p.size
    }
    const scalar = (value: number): HostTensor => float32([], Float32Array.of(value))
    const t = this.updates + 1
    const results = await this.session.run({
      parameters: float32(n, flat),
      gradient: float32(n, gradient),
      ...Object.fromEntries(Object.entries(this.moments).map(([name, data]) => [name, float32(n, data)])),
      gradient_scale: scalar(1),
      learning_rate: float32([1], Float32Array.of(learningRate)),
      bias_correction1: scalar(1 - this.betas[0] ** t),
      bias_correction2: scalar(1 - this.betas[1] ** t),
    })
    const norm = Number(results['gradient_norm']!.data[0])
    const updated = results['new_parameters']!.data as Float32Array
    if (!Number.isFinite(norm) || !updated.every(Number.isFinite)) return { norm, applied: false }
    offset = 0
    for (const p of this.parameters) {
      p.data.set(updated.subarray(offset, offset + p.size))
      offset += p.size
    }
    this.moments = Object.fromEntries(
      Object.keys(this.moments).map((name) => [name, results[`new_${name}`]!.data as Float32Array]),
    )
    this.updates = t
    return { norm, applied: true }
  }

  release(): Promise<void> {
    return this.session.release()
  }
}

/** @file The optimizers of `trainModule`: one flat vector, updated by a graph. */
import { InvalidOptionError } from '../errors.js'
import { adamWGraph } from '../optim/adamw.js'
import { FlatOptimizer, type UpdateResult } from '../optim/flat-optimizer.js'
import { sgdGraph } from '../optim/sgd.js'
import type { Runtime } from '../runtime/runtime.js'
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

/** The parameters of a network as one vector, and their optimizer. */
export class Optimizer {
  private constructor(
    private readonly optimizer: FlatOptimizer,
    private readonly parameters: readonly Parameter[],
    private readonly count: number,
  ) {}

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
      const graph = sgdGraph({ momentum, nesterov: choice.nesterov ?? false, weightDecay })
      const optimizer = await FlatOptimizer.create(runtime, graph, { count, betas: [0, 0], maxGradNorm })
      return new Optimizer(optimizer, parameters, count)
    }
    if (choice.name !== 'adamw')
      throw new InvalidOptionError(`optimizer must be "adamw" or "sgd", got "${String((choice as { name: unknown }).name)}"`)
    const [beta1, beta2] = choice.betas ?? [0.9, 0.999]
    inRange('betas[0]', beta1, 0, 1)
    inRange('betas[1]', beta2, 0, 1)
    const graph = adamWGraph({ beta1, beta2, epsilon: choice.epsilon ?? 1e-8, weightDecay })
    const optimizer = await FlatOptimizer.create(runtime, graph, { count, betas: [beta1, beta2], maxGradNorm })
    return new Optimizer(optimizer, parameters, count)
  }

  /**
   * One update of the parameters, in place.
   * @param gradient of the mean loss, in the order of the parameters
   * @returns the gradient's norm before clipping, and whether everything was finite; if not, nothing changes
   */
  async step(gradient: Float32Array, learningRate: number): Promise<UpdateResult> {
    const flat = new Float32Array(this.count)
    this.pieces((data, offset) => flat.set(data, offset))
    const result = await this.optimizer.update({ parameters: flat, gradient, scale: 1, learningRate })
    if (result.applied) this.pieces((data, offset) => data.set(flat.subarray(offset, offset + data.length)))
    return result
  }

  /** Each parameter's numbers, and where they stand in the vector. */
  private pieces(each: (data: Float32Array, offset: number) => void): void {
    let offset = 0
    for (const { data, size } of this.parameters) {
      each(data, offset)
      offset += size
    }
  }

  release(): Promise<void> {
    return this.optimizer.release()
  }
}

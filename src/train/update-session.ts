/** @file The update of a run: clipping and AdamW on the vector of what is trained. */
import type { ParameterVector } from '../adapter/parameter-vector.js'
import { InvalidOptionError } from '../errors.js'
import { elementCount } from '../graph/types.js'
import { adamWGraph, DECAY_FACTORS, type AdamWOptions } from '../optim/adamw.js'
import { FlatOptimizer, type OptimizerState, type UpdateResult } from '../optim/flat-optimizer.js'
import type { Trainee } from './trainee.js'

/** How parameters are updated, and which of them otherwise. */
export interface UpdateOptions extends Omit<AdamWOptions, 'decayPerParameter'> {
  /** Whether the moments are corrected for their beginning at zero; yes by default. */
  readonly biasCorrection?: boolean
  /** Parts of names: parameters whose name has one of them do not decay. */
  readonly noDecay?: readonly string[] | undefined
  /** Largest global norm of the gradient; Infinity clips nothing. */
  readonly maxGradNorm: number
  /** What the learning rate is multiplied by for each parameter; 1 unless given. */
  readonly rateFactors?: Float32Array | undefined
}

/** Clipping and AdamW on the flat parameter vector. */
export class UpdateSession {
  private constructor(
    private readonly optimizer: FlatOptimizer,
    private readonly parameters: ParameterVector,
    private readonly rateFactors: Float32Array | undefined,
  ) {}

  /** @throws InvalidOptionError for a part of a name that no parameter has */
  static async create({ parameters, model }: Trainee, options: UpdateOptions): Promise<UpdateSession> {
    const { noDecay, biasCorrection = true, maxGradNorm, rateFactors } = options
    const factors = noDecay && decayFactors(parameters, noDecay)
    const graph = adamWGraph({ ...options, decayPerParameter: factors !== undefined })
    // 1 − 0ᵗ corrects nothing.
    const betas = biasCorrection ? ([options.beta1, options.beta2] as const) : ([0, 0] as const)
    const optimizer = await FlatOptimizer.create(model.environment.runtime, graph, {
      ...{ count: parameters.count, betas, maxGradNorm },
      constants: factors && { [DECAY_FACTORS]: factors },
    })
    return new UpdateSession(optimizer, parameters, rateFactors)
  }

  get state(): OptimizerState {
    return this.optimizer.state
  }

  /**
   * One update in place, unless something is not finite: then nothing changes.
   * @param gradient of the summed loss
   * @param scale one over the number of labelled tokens
   */
  run(gradient: Float32Array, scale: number, learningRate: number): Promise<UpdateResult> {
    const { data } = this.parameters
    const rates = this.rateFactors?.map((factor) => factor * learningRate) ?? learningRate
    return this.optimizer.update({ parameters: data, gradient, scale, learningRate: rates })
  }

  release(): Promise<void> {
    return this.optimizer.release()
  }
}

/** 0 for parameters that do not decay, 1 for others. */
function decayFactors({ specs, count }: ParameterVector, noDecay: readonly string[]): Float32Array {
  const unknown = noDecay.find((part) => !specs.some(({ name }) => name.includes(part)))
  if (unknown !== undefined)
    throw new InvalidOptionError(
      `noDecay (--no-decay) names "${unknown}", but no trained parameter has that in its name; they are called as "${specs[0]?.name}" is`,
    )
  const factors = new Float32Array(count)
  let offset = 0
  for (const { name, shape } of specs) {
    const end = offset + elementCount(shape)
    if (!noDecay.some((part) => name.includes(part))) factors.fill(1, offset, end)
    offset = end
  }
  return factors
}

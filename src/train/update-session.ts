/** @file The update of a run: clipping and AdamW on the vector of what is trained. */
import type { ParameterVector } from '../adapter/parameter-vector.js'
import { adamWGraph, type AdamWOptions } from '../optim/adamw.js'
import { FlatOptimizer, type OptimizerState, type UpdateResult } from '../optim/flat-optimizer.js'
import type { Trainee } from './trainee.js'

/** Clipping and AdamW on the flat parameter vector. */
export class UpdateSession {
  private constructor(
    private readonly optimizer: FlatOptimizer,
    private readonly parameters: ParameterVector,
    private readonly rateFactors: Float32Array | undefined,
  ) {}

  /** @param rateFactors what the learning rate is multiplied by for each parameter; 1 unless given */
  static async create(trainee: Trainee, options: AdamWOptions, rateFactors?: Float32Array): Promise<UpdateSession> {
    const { parameters, model } = trainee
    const betas = [options.beta1, options.beta2] as const
    const optimizer = await FlatOptimizer.create(model.environment.runtime, adamWGraph(options), betas, parameters.count)
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
    return this.optimizer.update({ parameters: data, gradient, scale, learningRate: rates }, (updated) => data.set(updated))
  }

  release(): Promise<void> {
    return this.optimizer.release()
  }
}

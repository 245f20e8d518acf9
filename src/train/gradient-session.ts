/** @file Loss and gradients of micro-batches. */
import { tensor } from '../graph/constants.js'
import { DROPOUT_SEED, mix32 } from '../graph/dropout.js'
import type { ParameterVector } from '../adapter/parameter-vector.js'
import type { Batch } from '../data/batch.js'
import { only } from '../runtime/feeds.js'
import { Total, type CompiledStep, type LossResult } from './compiled-step.js'
import { compileWithPreliminary, withPreliminary, type LossSession, type Share } from './loss-session.js'
import type { LossSessionOptions } from './step-graph.js'
import type { Trainee } from './trainee.js'

/** Seed of the dropout masks of a micro-batch: all 53 bits of the run's seed count. */
export const dropoutSeedOf = (seed: number, microBatch: number): number =>
  mix32(mix32(seed) ^ mix32(~Math.floor(seed / 2 ** 32)) ^ Math.imul(microBatch + 1, 0x9e3779b1))

export interface GradientResult extends LossResult {
  /** Gradient of that sum, in the order of the parameters. */
  readonly gradient: Float32Array
}

/** Loss and gradient of micro-batches. */
export class GradientSession {
  private constructor(
    private readonly compiled: CompiledStep,
    private readonly parameters: ParameterVector,
    private readonly first: LossSession | undefined,
  ) {}

  static async create(trainee: Trainee, options: LossSessionOptions): Promise<GradientSession> {
    const { compiled, first } = await compileWithPreliminary(trainee, options, true)
    return new GradientSession(compiled, trainee.parameters, first)
  }

  /** The batch with what its loss must know of all its rows; one that has it stays as it is. */
  prepare(batch: Batch, share?: Share): Promise<Batch> {
    return withPreliminary(batch, this.compiled.objective, this.first, share)
  }

  /**
   * Sums over the sub-batches of the batch, one run of the graph each; a batch without rows adds up to zeros.
   * @param dropoutSeed another number for each micro-batch of a run, see `dropoutSeedOf`
   */
  async run(batch: Batch, dropoutSeed = 0): Promise<GradientResult> {
    const { objective } = this.compiled
    const whole = await this.prepare(batch)
    const prepared = objective.learned?.(whole, dropoutSeed) ?? whole
    const total = new Total(this.compiled, prepared)
    let gradient: Float32Array | undefined
    let seed = mix32(dropoutSeed)
    const { session, inputs, others } = this.compiled
    for (const { feeds: run } of this.compiled.subBatches(prepared)) {
      const feeds = {
        ...run,
        ...Object.fromEntries(this.parameters.tensors),
        [DROPOUT_SEED]: tensor('uint32', [1], [seed]),
      }
      const results = await session.run(only(feeds, inputs))
      total.add(results)
      const addend = results[others[0]!]!.data as Float32Array
      if (gradient === undefined) gradient = addend
      else for (let i = 0; i < gradient.length; i++) gradient[i]! += addend[i]!
      // Each sub-batch draws its own masks.
      seed = mix32(seed + 1)
    }
    return { ...total.result(), gradient: gradient ?? new Float32Array(this.parameters.count) }
  }

  async release(): Promise<void> {
    await Promise.all([this.compiled.session.release(), this.first?.release()])
  }
}

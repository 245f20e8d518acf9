/** @file The loss of batches, without gradients. */
import type { ParameterVector } from '../adapter/parameter-vector.js'
import type { Batch } from '../data/batch.js'
import { only } from '../runtime/feeds.js'
import { compileStep, Total, type CompiledStep, type LossResult } from './compiled-step.js'
import type { Objective, Scores } from './objective.js'
import type { LossSessionOptions } from './step-graph.js'
import type { Trainee } from './trainee.js'

/** Loss alone, for evaluation. */
export class LossSession {
  private constructor(
    private readonly compiled: CompiledStep,
    private readonly parameters: ParameterVector,
  ) {}

  static async create(trainee: Trainee, options: LossSessionOptions): Promise<LossSession> {
    return new LossSession(await compileStep(trainee, options, false), trainee.parameters)
  }

  get objective(): Objective {
    return this.compiled.objective
  }

  /** Names of the objective's further sums. */
  get sums(): readonly string[] {
    return this.compiled.sums.map(([name]) => name)
  }

  /** @param scores told the outputs of every run */
  async run(batch: Batch, scores?: Pick<Scores, 'add'>): Promise<LossResult> {
    const total = new Total(this.compiled, batch)
    const { session, inputs, others } = this.compiled
    for (const { feeds: run } of this.compiled.subBatches(batch)) {
      const results = await session.run(only({ ...run, ...Object.fromEntries(this.parameters.tensors) }, inputs))
      total.add(results)
      scores?.add(Object.fromEntries(others.map((name) => [name, results[name]!])), run)
    }
    return total.result()
  }

  release(): Promise<void> {
    return this.compiled.session.release()
  }
}

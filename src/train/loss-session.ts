/** @file The loss of batches, without gradients. */
import type { ParameterVector } from '../adapter/parameter-vector.js'
import type { Batch } from '../data/batch.js'
import { only } from '../runtime/feeds.js'
import { compileStep, Total, type CompiledStep, type LossResult } from './compiled-step.js'
import type { Objective, Scores } from './objective.js'
import type { LossSessionOptions } from './step-graph.js'
import type { Trainee } from './trainee.js'

/** How the rows of a batch are run: alone, or a part of them in each of several processes, whose results are added up. */
export type Share = (batch: Batch, run: (part: Batch) => Promise<LossResult>) => Promise<LossResult>

const alone: Share = (batch, run) => run(batch)

/** A step, after the session of what its objective must know of a batch first; undefined where it needs nothing. */
export async function compileWithPreliminary(
  trainee: Trainee,
  options: LossSessionOptions,
  training: boolean,
): Promise<{ readonly compiled: CompiledStep; readonly first: LossSession | undefined }> {
  const { preliminary } = options.objective
  const first = preliminary && (await LossSession.create(trainee, { ...options, objective: preliminary.objective }))
  try {
    return { compiled: await compileStep(trainee, options, training), first }
  } catch (error) {
    await first?.release()
    throw error
  }
}

/** Loss alone, for evaluation, and for what a loss must know first. */
export class LossSession {
  private constructor(
    private readonly compiled: CompiledStep,
    private readonly parameters: ParameterVector,
    private readonly first: LossSession | undefined,
  ) {}

  static async create(trainee: Trainee, options: LossSessionOptions): Promise<LossSession> {
    const { compiled, first } = await compileWithPreliminary(trainee, options, false)
    return new LossSession(compiled, trainee.parameters, first)
  }

  get objective(): Objective {
    return this.compiled.objective
  }

  /** Names of the objective's further sums. */
  get sums(): readonly string[] {
    return this.compiled.sums.map(([name]) => name)
  }

  /** The batch with what its loss must know of all its rows; one that has it stays as it is. */
  prepare(batch: Batch, share: Share = alone): Promise<Batch> {
    return withPreliminary(batch, this.objective, this.first, share)
  }

  /** @param scores told the outputs of every run */
  async run(batch: Batch, scores?: Pick<Scores, 'add'>): Promise<LossResult> {
    const prepared = await this.prepare(batch)
    const total = new Total(this.compiled, prepared)
    const { session, inputs, others } = this.compiled
    for (const { feeds: run } of this.compiled.subBatches(prepared)) {
      const results = await session.run(only({ ...run, ...Object.fromEntries(this.parameters.tensors) }, inputs))
      total.add(results)
      scores?.add(Object.fromEntries(others.map((name) => [name, results[name]!])), run)
    }
    return total.result()
  }

  async release(): Promise<void> {
    await Promise.all([this.compiled.session.release(), this.first?.release()])
  }
}

/** @param session of the objective's preliminary */
export async function withPreliminary(
  batch: Batch,
  { preliminary }: Objective,
  session: LossSession | undefined,
  share: Share = alone,
): Promise<Batch> {
  const rows = preliminary?.rowsOf(batch)
  if (rows === undefined) return batch
  return preliminary!.told(batch, await share(rows, (part) => session!.run(part)))
}

/** @file A step graph compiled: what it is fed for a batch, and what its runs add up to. */
import type { HostTensor } from '../graph/types.js'
import { createModelSession, packsWeights } from '../base/quantized-base.js'
import type { Batch } from '../data/batch.js'
import type { Session } from '../runtime/runtime.js'
import type { Objective } from './objective.js'
import { stepGraph, type LossSessionOptions, type StepGraph } from './step-graph.js'
import type { Trainee } from './trainee.js'

/** A step graph in the runtime, and the names of what it takes and gives. */
export interface CompiledStep {
  readonly session: Session
  readonly inputs: ReadonlySet<string>
  readonly objective: Objective
  /** Names of the results: a model may have an output of its own called `loss`. */
  readonly loss: string
  readonly count: string | undefined
  /** Names of the objective's sums, and of the results that hold them. */
  readonly sums: readonly (readonly [name: string, output: string])[]
  /** Beside loss and count: the gradient, or what the scores read. */
  readonly others: readonly string[]
  /** What the runs that a batch takes see. */
  readonly subBatches: StepGraph['subBatches']
}

export interface LossResult {
  /** Sum over what is counted. */
  readonly loss: number
  /** What the loss is summed over: labelled units, or what a loss of the user's own counts. */
  readonly count: number
  /** The objective's further sums, by name. */
  readonly sums: Readonly<Record<string, number>>
}

export async function compileStep(trainee: Trainee, options: LossSessionOptions, training: boolean): Promise<CompiledStep> {
  const { graph: final, built, subBatches } = stepGraph(trainee, options, training)
  const { environment } = trainee.model
  const session = await createModelSession(environment, final, { disablePrepacking: !packsWeights(final, environment.base) })
  const [loss, ...rest] = final.outputs.map(({ name }) => name)
  const count = built.count && rest.shift()
  const sums = Object.keys(built.sums ?? {}).map((name) => [name, rest.shift()!] as const)
  return {
    session,
    inputs: new Set(final.inputs.map((i) => i.name)),
    objective: options.objective,
    loss: loss!,
    count,
    sums,
    others: rest,
    subBatches,
  }
}

type Results = Readonly<Record<string, HostTensor>>

/** What runs add up to. */
export class Total {
  private loss = 0
  private count = 0
  private readonly sums: Record<string, number>

  constructor(
    private readonly compiled: CompiledStep,
    private readonly batch: Batch,
  ) {
    this.sums = Object.fromEntries(compiled.sums.map(([name]) => [name, 0]))
  }

  add(results: Results): void {
    const { loss, count, sums } = this.compiled
    const number = (name: string): number => Number(results[name]!.data[0])
    this.loss += number(loss)
    if (count !== undefined) this.count += number(count)
    for (const [name, output] of sums) this.sums[name]! += number(output)
  }

  result(): LossResult {
    const { loss, sums, batch } = this
    return { loss, count: this.compiled.count === undefined ? batch.tokens : this.count, sums }
  }
}

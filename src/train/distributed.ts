/** @file Training over several processes: each has its shard of every batch, and process 0 updates for all. */
import { mix32 } from '../adapters/dropout.js'
import type { Parameters } from '../core/parameters.js'
import type { Batch } from '../data/batch.js'
import type { Dataset } from '../data/dataset.js'
import { broadcastText, gatherTexts, sumOver, type Communicator } from '../distributed/communicator.js'
import { InvalidOptionError } from '../errors.js'
import { fingerprintDifference } from './fingerprint.js'
import type { Objective } from './objective.js'
import type { ResolvedTrainOptions } from './options.js'
import type { RunState } from './run-state.js'
import type { GradientResult, GradientSession, LossResult, UpdateResult, UpdateSession } from './session.js'
import { batchShard } from './shard.js'

/** What the trainer asks of sessions, alone or in company. */
export type Gradients = Pick<GradientSession, 'run' | 'release'>
export type Update = Pick<UpdateSession, 'run' | 'state' | 'release'>

/** @throws InvalidOptionError if the loss of a batch is not the sum of those of its shards */
export function checkDivisible({ size }: Communicator, { divisible, name }: Objective): void {
  if (size === 1 || divisible) return
  throw new InvalidOptionError(
    `the objective "${name}" looks at a batch as a whole, so its rows cannot be shared by ${size} processes; train in one process`,
  )
}

/** The options of a process: only process 0 touches the output folder, and it reads what a run resumes from. */
export function optionsOfRank(options: ResolvedTrainOptions): ResolvedTrainOptions {
  if (options.communicator.rank === 0) return options
  const { out: _, ...rest } = options
  return { ...rest, checkpointEvery: 0, resume: false }
}

/**
 * Makes sure that all processes run the same, on the same files: otherwise one would wait where the others never come.
 * @throws InvalidOptionError in every process, naming what differs
 */
export async function checkSameRun(
  communicator: Communicator,
  fingerprint: string,
  { evalEvery, evalBatchSize, earlyStopping, onNan }: ResolvedTrainOptions,
  totalSteps: number,
  evalDataset: Dataset | undefined,
): Promise<void> {
  const course = { totalSteps, evalEvery, evalBatchSize, earlyStopping, onNan, evalData: evalDataset?.fingerprint }
  const all = await gatherTexts(communicator, JSON.stringify({ ...(JSON.parse(fingerprint) as object), ...course }))
  const other = all.findIndex((text) => text !== all[0])
  if (other < 0) return
  const difference = fingerprintDifference(all[0]!, all[other]!, ['in process 0', `in process ${other}`])
  throw new InvalidOptionError(
    `the processes do not run the same (${difference}). Give all ${all.length} of them the same options, model and data.`,
  )
}

/** Gives all processes the parameters of process 0, frozen ones included, and its place in the run. */
export async function shareStart(communicator: Communicator, state: RunState, parameters: Parameters): Promise<RunState> {
  if (communicator.size === 1) return state
  await communicator.broadcast(new Float32Array(parameters.data.buffer), 0)
  return JSON.parse(await broadcastText(communicator, JSON.stringify(state), 0)) as RunState
}

/** Adds up what the processes have found, each for its shard. */
export async function sumOfShards({ loss, count, sums }: LossResult, communicator: Communicator): Promise<LossResult> {
  const names = Object.keys(sums)
  const [totalLoss, totalCount, ...rest] = await sumOver(communicator, [loss, count, ...Object.values(sums)])
  return { loss: totalLoss!, count: totalCount!, sums: Object.fromEntries(names.map((name, i) => [name, rest[i]!])) }
}

export const shareGradients = (communicator: Communicator, session: GradientSession): Gradients =>
  communicator.size === 1 ? session : new DistributedGradients(session, communicator)

export const shareUpdate = (communicator: Communicator, session: UpdateSession, parameters: Parameters): Update =>
  communicator.size === 1 ? session : new DistributedUpdate(session, parameters, communicator)

/** Loss and gradient of a batch whose rows all processes share. */
class DistributedGradients implements Gradients {
  constructor(
    private readonly session: Gradients,
    private readonly communicator: Communicator,
  ) {}

  /** As in one process, but for the masks of dropout, of which each shard draws its own. */
  async run(batch: Batch, dropoutSeed = 0): Promise<GradientResult> {
    const { communicator } = this
    const seed = mix32(dropoutSeed ^ Math.imul(communicator.rank, 0x9e3779b1))
    const { gradient, ...here } = await this.session.run(batchShard(batch, communicator), seed)
    await communicator.allReduceSum(gradient)
    return { ...(await sumOfShards(here, communicator)), gradient }
  }

  release(): Promise<void> {
    return this.session.release()
  }
}

/**
 * The update that process 0 makes. The others take its result rather than compute their own: the last bits of a norm
 * depend on the number of threads and the kind of processor, and copies of the parameters would drift apart.
 */
class DistributedUpdate implements Update {
  constructor(
    private readonly session: Update,
    private readonly parameters: Parameters,
    private readonly communicator: Communicator,
  ) {}

  /** The optimizer's state, which process 0 alone keeps up. */
  get state(): Update['state'] {
    return this.session.state
  }

  async run(gradient: Float32Array, scale: number, learningRate: number): Promise<UpdateResult> {
    const { communicator } = this
    const verdict = new Float64Array(2)
    if (communicator.rank === 0) {
      const { norm, applied } = await this.session.run(gradient, scale, learningRate)
      verdict.set([norm, Number(applied)])
    }
    await communicator.broadcast(verdict, 0)
    const [norm, applied] = [verdict[0]!, verdict[1] === 1]
    if (applied) await communicator.broadcast(this.parameters.data, 0)
    return { norm, applied }
  }

  release(): Promise<void> {
    return this.session.release()
  }
}

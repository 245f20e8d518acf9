/** @file Training over several processes: each has its shard of every batch, and process 0 updates for all. */
import { mix32 } from '../graph/dropout.js'
import type { ParameterVector } from '../adapter/parameter-vector.js'
import type { Batch } from '../data/batch.js'
import type { Dataset } from '../data/dataset.js'
import { anyOf, broadcastText, gatherTexts, sumOver, type Communicator } from '../distributed/communicator.js'
import { InvalidOptionError, PeerError, messageOf } from '../errors.js'
import { START } from './fingerprint.js'
import { fingerprintDifference } from './fingerprint-difference.js'
import type { Objective } from './objective.js'
import { optionsWhere, type ResolvedTrainOptions } from './option-table.js'
import type { RunState } from './run-state.js'
import type { UpdateResult } from '../optim/flat-optimizer.js'
import type { UpdateSession } from './update-session.js'
import type { GradientResult, GradientSession } from './gradient-session.js'
import type { LossResult } from './compiled-step.js'
import type { Share } from './loss-session.js'
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

/** Errors that every process of the job knows of. */
const agreed = new WeakSet<object>()

/** Whether all processes end for this error, each with its own word for it, so that they can still meet. */
export const isAgreed = (error: unknown): boolean => typeof error === 'object' && error !== null && agreed.has(error)

/**
 * Does something in each process that may fail in some of them: then it fails in all, and none waits for one that has left.
 * @throws the error of the first process that failed, there; PeerError with its message in all others
 */
export async function together<T>(communicator: Communicator, task: () => Promise<T>): Promise<T> {
  const { rank, size } = communicator
  if (size === 1) return task()
  let outcome: { readonly result: T } | { readonly error: unknown }
  try {
    outcome = { result: await task() }
  } catch (error) {
    outcome = { error }
  }
  if (!(await anyOf(communicator, 'error' in outcome))) return (outcome as { readonly result: T }).result
  const message = 'error' in outcome ? messageOf(outcome.error) : undefined
  const texts = await gatherTexts(communicator, message === undefined ? '' : `:${message}`)
  const first = texts.findIndex((text) => text !== '')
  const error = 'error' in outcome && rank === first ? outcome.error : new PeerError(`process ${first} of ${size} failed: ${texts[first]!.slice(1)}`) // prettier-ignore
  if (typeof error === 'object' && error !== null) agreed.add(error)
  throw error
}

/**
 * Makes sure that all processes run the same, on the same files: otherwise one would wait where the others never come.
 * @throws InvalidOptionError in every process, naming what differs
 */
export async function checkSameRun(
  communicator: Communicator,
  fingerprint: string,
  options: ResolvedTrainOptions,
  totalSteps: number,
  evalDataset: Dataset | undefined,
): Promise<void> {
  if (communicator.size === 1) return
  const evalData = await together(communicator, async () => evalDataset?.fingerprint())
  const course = Object.fromEntries(optionsWhere(({ changes }) => changes === 'course').map((name) => [name, options[name]]))
  const entries = { totalSteps, evalData, saves: options.out !== undefined }
  // What process 0 begins with counts.
  const { [START]: _, ...same } = JSON.parse(fingerprint) as Record<string, unknown>
  const all = await gatherTexts(communicator, JSON.stringify({ ...same, ...course, ...entries }))
  const other = all.findIndex((text) => text !== all[0])
  if (other < 0) return
  const difference = fingerprintDifference(all[0]!, all[other]!, ['in process 0', `in process ${other}`])
  throw new InvalidOptionError(
    `the processes do not run the same (${difference}). Give all ${all.length} of them the same options, model and data.`,
  )
}

/** Where a run begins: its place, and the parameters of the best evaluation so far where it keeps them. */
export interface Start {
  readonly state: RunState
  readonly best: Float32Array | undefined
}

/** Gives all processes the parameters of process 0, frozen ones included, and its place in the run. */
export async function shareStart(communicator: Communicator, start: Start, parameters: ParameterVector): Promise<Start> {
  if (communicator.size === 1) return start
  await communicator.broadcast(new Float32Array(parameters.data.buffer), 0)
  const place = JSON.stringify({ state: start.state, hasBest: start.best !== undefined })
  const { state, hasBest } = JSON.parse(await broadcastText(communicator, place, 0)) as { state: RunState; hasBest: boolean }
  const best = hasBest ? (start.best ?? new Float32Array(parameters.count)) : undefined
  if (best !== undefined) await communicator.broadcast(best, 0)
  return { state, best }
}

/** Adds up what the processes have found, each for its shard. */
export async function sumOfShards({ loss, count, sums }: LossResult, communicator: Communicator): Promise<LossResult> {
  const names = Object.keys(sums)
  const [totalLoss, totalCount, ...rest] = await sumOver(communicator, [loss, count, ...Object.values(sums)])
  return { loss: totalLoss!, count: totalCount!, sums: Object.fromEntries(names.map((name, i) => [name, rest[i]!])) }
}

/** Runs a batch whose rows all processes share; each gets what they add up to. */
export const sharedBy =
  (communicator: Communicator): Share =>
  async (batch, run) =>
    sumOfShards(await together(communicator, () => run(batchShard(batch, communicator))), communicator)

export const shareGradients = (communicator: Communicator, session: GradientSession): Gradients =>
  communicator.size === 1 ? session : new DistributedGradients(session, communicator)

export const shareUpdate = (communicator: Communicator, session: UpdateSession, parameters: ParameterVector): Update =>
  communicator.size === 1 ? session : new DistributedUpdate(session, parameters, communicator)

/** Loss and gradient of a batch whose rows all processes share. */
class DistributedGradients implements Gradients {
  constructor(
    private readonly session: Gradients & Pick<GradientSession, 'prepare'>,
    private readonly communicator: Communicator,
  ) {}

  /** As in one process, but for the masks of dropout, of which each shard draws its own. */
  async run(batch: Batch, dropoutSeed = 0): Promise<GradientResult> {
    const { communicator } = this
    const seed = mix32(dropoutSeed ^ Math.imul(communicator.rank, 0x9e3779b1))
    const whole = await this.session.prepare(batch, sharedBy(communicator))
    const { gradient, ...here } = await together(communicator, () => this.session.run(batchShard(whole, communicator), seed))
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
    private readonly parameters: ParameterVector,
    private readonly communicator: Communicator,
  ) {}

  /** The optimizer's state, which process 0 alone keeps up. */
  get state(): Update['state'] {
    return this.session.state
  }

  async run(gradient: Float32Array, scale: number, learningRate: number): Promise<UpdateResult> {
    const { communicator } = this
    const verdict = new Float64Array(2)
    await together(communicator, async () => {
      if (communicator.rank !== 0) return
      const { norm, applied } = await this.session.run(gradient, scale, learningRate)
      verdict.set([norm, Number(applied)])
    })
    await communicator.broadcast(verdict, 0)
    const [norm, applied] = [verdict[0]!, verdict[1] === 1]
    if (applied) await communicator.broadcast(this.parameters.data, 0)
    return { norm, applied }
  }

  release(): Promise<void> {
    return this.session.release()
  }
}

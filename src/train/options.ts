/** @file Options of a training run, their defaults and their checks. */
import { soloCommunicator, type Communicator } from '../distributed/communicator.js'
import { InvalidOptionError } from '../errors.js'
import { objectiveOptionKeys, type ObjectiveOptions } from './objectives/index.js'
import { scheduleNames, type ScheduleName } from '../optim/schedule.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { snapshot } from '../util/snapshot.js'

/** Options of a training run; `lowrank train --help` names the same. */
export interface TrainOptions extends ObjectiveOptions {
  /** Files of rows: JSONL, CSV, TSV or Parquet. */
  readonly data: string | readonly string[]
  /** Files of rows to evaluate on: after each epoch, or every `evalEvery` steps. */
  readonly evalData?: string | readonly string[]
  /**
   * Folder for checkpoints, log and the trained adapter; nothing is written without it. One run at a time writes there. A
   * folder that holds a finished adapter, checkpoints or a model is refused, see `resume` and `overwrite`.
   */
  readonly out?: string
  /**
   * Write into `out` even if it holds the result of an earlier run, whose adapter, checkpoints and log are removed before
   * the first step, or a model. The folder of the base model itself is refused all the same.
   */
  readonly overwrite?: boolean
  /** Passes over the data, 1 unless said; parts of a pass are fine. */
  readonly epochs?: number
  /** Number of updates, however many passes that takes; goes before `epochs`. */
  readonly steps?: number
  /** Rows in one micro-batch; of several processes, in that of each. */
  readonly batchSize?: number
  /** Micro-batches in one update; weighted by their labelled tokens. */
  readonly gradAccum?: number
  /** Of AdamW; 2e-4 where it is not given. */
  readonly learningRate?: number
  /** How the learning rate changes over the steps; `constant` where it is not given. */
  readonly schedule?: ScheduleName
  /** LoRA+ (Hayou et al., 2024): learning rate of B by that of A, at least 1; the same for both unless said. */
  readonly loraPlusLrRatio?: number
  /** Learning rate of adapted embeddings with LoRA+; 1e-6 unless said. */
  readonly loraPlusLrEmbedding?: number
  /** Steps of warm-up if 1 or more, a share of all steps if below 1. */
  readonly warmup?: number
  /** Decoupled weight decay (Loshchilov and Hutter, 2019); 0 where it is not given. */
  readonly weightDecay?: number
  /** Largest global norm of the gradient; 0 clips nothing. */
  readonly maxGradNorm?: number
  /** Decay of the first moment; 0.9 where it is not given. */
  readonly beta1?: number
  /** Decay of the second moment; 0.999 where it is not given. */
  readonly beta2?: number
  /** Added to the root of the second moment; 1e-8 where it is not given. */
  readonly epsilon?: number
  /** Longest row in tokens; longer ones are cut. The model's positions unless said, with a warning. */
  readonly maxLength?: number
  /** Whether each pass has an order of its own; yes unless it is false. */
  readonly shuffle?: boolean
  /** Of the order of rows and of dropout; 0 where it is not given. */
  readonly seed?: number
  /** Rows of similar length share a batch: less padding. */
  readonly groupByLength?: boolean
  /** Several examples share a row of up to `maxLength` tokens, without seeing each other. */
  readonly packing?: boolean
  /** A row without a token to learn: `refuse` it with an error, or `skip` it with a warning. */
  readonly unlabelled?: 'refuse' | 'skip'
  /**
   * Compute the activations inside each block again in the backward pass rather than keep them: less memory for about a
   * third more time; the results are the same.
   */
  readonly recompute?: boolean
  /** Steps between evaluations; at the end of each epoch unless said, and always after the last step. */
  readonly evalEvery?: number
  /** Rows in one batch of an evaluation; `batchSize` where it is not given. */
  readonly evalBatchSize?: number
  /**
   * Stop after this many evaluations without a lower loss. What the best evaluation was of is kept: it lies in `out` at the
   * end, and the adapter holds it.
   */
  readonly earlyStopping?: number
  /** Steps between checkpoints, with one more at the end; 0 writes none. */
  readonly checkpointEvery?: number
  /** How many checkpoints to keep. */
  readonly saveTotalLimit?: number
  /** Continue from the newest checkpoint of `out`; from the beginning if it holds none. */
  readonly resume?: boolean
  /** What to do when loss or gradient is not finite: `stop` with an error, or `skip` the update. */
  readonly onNan?: 'stop' | 'skip'
  /** Whether an adapter's `out` gets a model card (README.md); yes unless said. */
  readonly modelCard?: boolean
  /** What the model card says of the licence: an identifier of the hub's list, `apache-2.0`. */
  readonly license?: string
  /** Ends the run after the current step, with a checkpoint if there is `out`; `done` says so and what was saved. */
  readonly signal?: AbortSignal
  /**
   * The processes that train together (`nodeMpi`), all with the same options: each works on its share of a batch of
   * `size · batchSize` rows, and process 0 alone writes. Just this process unless said.
   */
  readonly communicator?: Communicator
}

/** Options that stay undefined where they are not given. */
type WithoutDefault =
  | 'evalData'
  | 'out'
  | 'steps'
  | 'loraPlusLrRatio'
  | 'loraPlusLrEmbedding'
  | 'maxLength'
  | 'evalEvery'
  | 'earlyStopping'
  | 'license'
  | 'signal'
  | keyof ObjectiveOptions

export type ResolvedTrainOptions = Required<Omit<TrainOptions, WithoutDefault>> & Pick<TrainOptions, WithoutDefault>

/** Consecutive skipped updates after which `onNan: 'skip'` gives up: the run has diverged. */
export const MAX_SKIPPED_IN_A_ROW = 20

const trainOptionKeys = {
  ...{ data: true, evalData: true, out: true, epochs: true, steps: true, batchSize: true, gradAccum: true, learningRate: true },
  ...{ schedule: true, warmup: true, weightDecay: true, maxGradNorm: true, beta1: true, beta2: true, epsilon: true },
  ...{ maxLength: true, shuffle: true, seed: true, groupByLength: true, packing: true, unlabelled: true, evalEvery: true },
  ...{ overwrite: true, recompute: true, loraPlusLrRatio: true, loraPlusLrEmbedding: true },
  ...{ evalBatchSize: true, earlyStopping: true, checkpointEvery: true, saveTotalLimit: true, resume: true, onNan: true },
  ...{ modelCard: true, license: true },
  ...{ signal: true, communicator: true },
  ...objectiveOptionKeys,
} satisfies OptionKeys<TrainOptions>

/** Fills in the defaults. @param where the function they were given to @throws InvalidOptionError naming the option that is unknown, out of range or contradicts another */
export function resolveTrainOptions(options: TrainOptions, where = 'train'): ResolvedTrainOptions {
  checkKeys(options, trainOptionKeys, where)
  const given = Object.fromEntries(
    Object.entries(snapshot(options)).filter(([, value]) => value !== undefined),
  ) as unknown as TrainOptions
  const resolved: ResolvedTrainOptions = {
    epochs: 1,
    batchSize: 8,
    gradAccum: 1,
    learningRate: 2e-4,
    schedule: 'constant',
    warmup: 0,
    weightDecay: 0,
    maxGradNorm: 1,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    shuffle: true,
    seed: 0,
    groupByLength: false,
    packing: false,
    unlabelled: 'refuse',
    recompute: false,
    evalBatchSize: options.batchSize ?? 8,
    checkpointEvery: 0,
    saveTotalLimit: 2,
    resume: false,
    overwrite: false,
    onNan: 'stop',
    modelCard: true,
    communicator: soloCommunicator,
    ...given,
  }
  const check = (name: keyof TrainOptions, fits: (value: number) => boolean, expected: string): void => {
    const value = resolved[name]
    if (value !== undefined && !(typeof value === 'number' && fits(value)))
      throw new InvalidOptionError(`${name} must be ${expected}, got ${String(value)}`)
  }
  const whole = (low: number) => (v: number) => Number.isInteger(v) && v >= low
  const counts = [
    'steps',
    'batchSize',
    'gradAccum',
    'maxLength',
    'evalEvery',
    'evalBatchSize',
    'earlyStopping',
    'saveTotalLimit',
  ] as const
  for (const name of counts) check(name, whole(1), 'a whole number of at least 1')
  check('checkpointEvery', whole(0), 'a whole number of at least 0')
  check('seed', (v) => Number.isSafeInteger(v) && v >= 0, 'a whole number of at least 0 and at most 53 bits')
  check('epochs', (v) => v > 0 && Number.isFinite(v), 'above 0')
  check('learningRate', (v) => v >= 0 && Number.isFinite(v), 'a finite number of at least 0')
  check(
    'warmup',
    (v) => (v >= 0 && v < 1) || whole(1)(v),
    'a share of all steps (at least 0, below 1) or a whole number of steps',
  )
  check('loraPlusLrRatio', (v) => v >= 1 && Number.isFinite(v), 'a finite number of at least 1')
  check('loraPlusLrEmbedding', (v) => v >= 0 && Number.isFinite(v), 'a finite number of at least 0')
  check('weightDecay', (v) => v >= 0 && Number.isFinite(v), 'a finite number of at least 0')
  check('maxGradNorm', (v) => v >= 0, 'at least 0')
  for (const name of ['beta1', 'beta2'] as const) check(name, (v) => v >= 0 && v < 1, 'at least 0 and below 1')
  check('epsilon', (v) => v > 0, 'above 0')
  if (!scheduleNames.includes(resolved.schedule))
    throw new InvalidOptionError(`schedule must be one of ${scheduleNames.join(', ')}, got "${resolved.schedule}"`)
  if (resolved.onNan !== 'stop' && resolved.onNan !== 'skip')
    throw new InvalidOptionError(`onNan must be "stop" or "skip", got "${String(resolved.onNan)}"`)
  if (resolved.unlabelled !== 'refuse' && resolved.unlabelled !== 'skip')
    throw new InvalidOptionError(`unlabelled must be "refuse" or "skip", got "${String(resolved.unlabelled)}"`)
  if (resolved.data === undefined || resolved.data.length === 0)
    throw new InvalidOptionError('data must name at least one file of rows')
  if (resolved.packing && resolved.groupByLength)
    throw new InvalidOptionError('packing and groupByLength exclude each other: packed rows are all of one length')
  if (resolved.earlyStopping !== undefined && resolved.evalData === undefined)
    throw new InvalidOptionError('earlyStopping needs evalData')
  if (resolved.overwrite && resolved.out === undefined)
    throw new InvalidOptionError('overwrite is about the output folder: give out')
  if ((resolved.resume || resolved.checkpointEvery > 0) && resolved.out === undefined)
    throw new InvalidOptionError('checkpoints and resume need an output folder: give out')
  return resolved
}

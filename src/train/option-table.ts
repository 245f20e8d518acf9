/** @file Options of a training run: everything there is to say of each but its type and what the run does with it. */
import { soloCommunicator } from '../distributed/communicator.js'
import { InvalidOptionError } from '../errors.js'
import { adamWNames } from '../optim/adamw.js'
import { scheduleNames, type SchedulePoints } from '../optim/schedule.js'
import { columns } from '../data/column-names.js'
import { rowData } from '../data/row-data.js'
import type { RowReading } from '../data/row-reading.js'
import {
  abortSignal,
  atLeast,
  callback,
  choice,
  having,
  kind,
  number,
  seed,
  text,
  toggle,
  whole,
  type Kind,
} from '../util/option-kinds.js'
import { trackerNames, type TrackerName } from '../tracking/names.js'
import { isObject } from '../util/json.js'
import { resolveOptions, type OptionTable, type Resolved } from '../util/option-table.js'
import { objectiveOptionTable } from './objectives/options.js'
import { metricsForBest } from './best.js'
import type { TrainOptions } from './options.js'
import { presetNames } from './preset-names.js'
import { withPreset, type PresetModel } from './presets.js'
import type { RunColumns } from './run-columns.js'

/** One tracker, or several. */
const trackers: Kind<TrackerName | readonly TrackerName[], 'names'> = kind(
  'names',
  `name trackers: ${trackerNames.join(', ')}`,
  (value) => [value].flat().every((each) => (trackerNames as readonly unknown[]).includes(each)),
)

const isStep = (text: string): boolean => /^\d+$/.test(text) && Number.isSafeInteger(Number(text))

const schedulePoints: Kind<SchedulePoints, 'mapping'> = kind(
  'mapping',
  'have whole steps from 0 on and factors of at least 0, at least one',
  (value) =>
    isObject(value) &&
    Object.keys(value).length > 0 &&
    Object.entries(value).every(([step, factor]) => isStep(step) && Number.isFinite(factor) && (factor as number) >= 0),
)

const partsOfNames: Kind<readonly string[], 'names'> = kind(
  'names',
  'be a list of parts of names, at least one',
  (value) => Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string' && each !== ''),
)

type Rows = Partial<OptionTable<TrainOptions, RunColumns>>

/** Of all rows of fields. */
export const columnsOption = {
  columns: {
    is: columns,
    flag: { name: 'columns', value: 'FIELD=COLUMN,…' },
    help: 'Columns of the data to read fields from: prompt=question,completion=answer reads the prompt from the column "question".',
    ...{ group: 'source', changes: 'entry', card: true },
  },
} as const satisfies Rows

/** Of rows that lie in files. */
export const headerOption = {
  header: {
    is: toggle,
    default: true,
    flag: { name: 'no-header', negates: true },
    help: 'CSV and TSV files have no line with the names of their columns: the first line is a row, and columns are called 1, 2, …',
    ...{ group: 'source', changes: 'entry', card: true },
  },
} as const satisfies Rows

/** How rows are read of what they lie in. */
export const readingOptions = { ...columnsOption, ...headerOption } as const satisfies OptionTable<RowReading, RunColumns>

/** Which rows are set aside to evaluate on. */
export const splitOptions = {
  valSplit: {
    is: number('be a share of the rows above 0 and below 1', (value) => value > 0 && value < 1, 0),
    flag: { name: 'val-split', value: 'SHARE' },
    help: 'Share of the rows that is set aside to evaluate on, chosen by the seed; in place of rows of their own.',
    ...{ group: 'source', changes: 'entry', card: true },
  },
  valSplitBy: {
    is: text,
    flag: { name: 'val-split-by', value: 'COLUMN' },
    help: 'With `valSplit`: rows with the same value in this column stay together, on one side.',
    ...{ group: 'source', changes: 'entry', card: true },
  },
} as const satisfies Rows

/** Files that are read and written. */
export const fileOptions = {
  data: {
    is: rowData,
    required: true,
    flag: { name: 'data', value: 'FILE…' },
    help: 'Rows to train on: JSONL, JSON, CSV, TSV or Parquet, each also as .gz; a folder with train and valid files; or hf:owner/name[:config][@split] from the hub.',
    ...{ group: 'source', changes: 'entry', card: false },
  },
  out: {
    is: text,
    flag: { name: 'out', value: 'DIR', required: true },
    help: 'Folder for the adapter, checkpoints, log and report.',
    ...{ group: 'output', changes: 'nothing', card: false },
  },
  evalData: {
    is: rowData,
    flag: { name: 'eval-data', value: 'FILE…' },
    help: 'Rows to evaluate on during training; the valid file of a folder of data by default.',
    ...{ group: 'source', changes: 'entry', card: false },
  },
  ...readingOptions,
  ...splitOptions,
} as const satisfies Rows

/** Options that go together. */
export const presetOption = {
  preset: {
    is: choice(presetNames),
    flag: 'preset',
    help: 'Settings that go together, for a first look (quick), the best result (quality), long rows (long-context) or a small machine (small-memory); what is given goes before them. The run says what it sets and why.',
    ...{ group: 'learning', changes: 'nothing', card: true },
  },
} as const satisfies Rows

export const rateOptions = {
  learningRate: {
    is: atLeast(0),
    default: 2e-4,
    flag: 'lr',
    help: 'Learning rate.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  schedule: {
    is: choice(scheduleNames),
    default: 'constant',
    flag: 'schedule',
    help: 'Course of the learning rate.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  schedulePoints: {
    is: schedulePoints,
    flag: { name: 'schedule-points', value: '0=FACTOR,STEP=FACTOR,…' },
    help: 'Of schedule piecewise: what the learning rate is multiplied by at some steps, with lines between them: 0=0,500=1,9000=0.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  scheduleStep: {
    is: choice(['update', 'micro-batch']),
    default: 'update',
    flag: 'schedule-step',
    help: 'What the schedule and `warmup` count: updates, or the micro-batches in them.',
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  warmup: {
    is: number(
      'be a share of all steps (at least 0, below 1) or a whole number of steps',
      (value) => (value >= 0 && value < 1) || (Number.isInteger(value) && value >= 1),
      0,
    ),
    default: 0,
    flag: { name: 'warmup', value: 'N | ratio' },
    help: 'Steps of warm-up, or a share of all steps if below 1.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
} as const satisfies Rows

/** How long the run is, and how large its steps. */
export const lengthOptions = {
  epochs: {
    is: number('be above 0', (value) => value > 0 && Number.isFinite(value)),
    default: 1,
    flag: { name: 'epochs', value: 'N', default: null },
    help: 'Passes over the data; 1 by default.',
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  steps: {
    is: whole(1),
    flag: 'steps',
    help: 'Updates; goes before `epochs`.',
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  batchSize: {
    is: whole(1),
    default: 8,
    flag: 'batch-size',
    help: 'Rows in one micro-batch.',
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  gradAccum: {
    is: whole(1),
    default: 1,
    flag: 'grad-accum',
    help: 'Micro-batches in one update, weighted by their tokens.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  lossMean: {
    is: choice(['update', 'micro-batch']),
    default: 'update',
    flag: 'loss-mean',
    help: 'What the loss is a mean over: all tokens of an update, or those of each micro-batch, whose means then count alike.',
    ...{ group: 'learning', changes: 'entry', card: true },
  },
} as const satisfies Rows

export const maxLengthOption = {
  maxLength: {
    is: whole(1),
    flag: 'max-length',
    help: "Longest row in tokens; longer ones are cut. The model's positions by default.",
    ...{ group: 'source', changes: 'numbers', card: true },
  },
} as const satisfies Rows

export const optimizerOptions = {
  optimizer: {
    is: choice(adamWNames),
    default: 'adamw',
    flag: 'optimizer',
    help: 'AdamW as torch has it, or as transformers had it (adamw_hf): epsilon before the bias correction, decay after the step.',
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  biasCorrection: {
    is: toggle,
    default: true,
    flag: { name: 'no-bias-correction', negates: true },
    help: "AdamW's moments are taken as they are, not corrected for their beginning at zero.",
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  weightDecay: {
    is: atLeast(0),
    default: 0,
    flag: 'weight-decay',
    help: 'Decoupled weight decay.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  noDecay: {
    is: partsOfNames,
    flag: { name: 'no-decay', value: 'A,B' },
    help: 'Parts of names: what is trained and has one of them in its name does not decay: bias,norm.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  maxGradNorm: {
    is: number('be at least 0', (value) => value >= 0, 0),
    default: 1,
    flag: 'max-grad-norm',
    help: 'Largest global norm of the gradient; 0 clips nothing.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  beta1: {
    is: number('be at least 0 and below 1', (value) => value >= 0 && value < 1, 0),
    default: 0.9,
    flag: 'adam-beta1',
    help: 'Decay of the first moment.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  beta2: {
    is: number('be at least 0 and below 1', (value) => value >= 0 && value < 1, 0),
    default: 0.999,
    flag: 'adam-beta2',
    help: 'Decay of the second moment.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  epsilon: {
    is: number('be above 0', (value) => value > 0, 0),
    default: 1e-8,
    flag: 'adam-epsilon',
    help: 'Added to the denominator.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
} as const satisfies Rows

/** What keeps a small data set from being learned by heart. */
export const regularizationOptions = {
  modelDropout: {
    is: toggle,
    default: false,
    flag: 'model-dropout',
    help: "Drop values inside the model while it learns, as its config.json says and Python's Trainer does (BERT, RoBERTa, DistilBERT, DeBERTa).",
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  classifierDropout: {
    is: number('be a probability in [0, 1)', (value) => value >= 0 && value < 1, 0),
    flag: 'classifier-dropout',
    help: "With `modelDropout`: probability of dropping an element of what the head reads; config.json's by default.",
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  rDrop: {
    is: number('be a finite number above 0', (value) => value > 0 && Number.isFinite(value), 0),
    flag: 'r-drop',
    help: 'R-Drop, of classifiers of sequences: weight of the divergence between two passes over each row.',
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  cutoff: {
    is: number('be a share above 0 and below 1', (value) => value > 0 && value < 1, 0),
    flag: 'cutoff',
    help: "With `rDrop`: share of the second pass' tokens that become the unknown one.",
    ...{ group: 'learning', changes: 'entry', card: true },
  },
} as const satisfies Rows

export const loraPlusOptions = {
  loraPlusLrRatio: {
    is: atLeast(1),
    flag: 'lora-plus-ratio',
    help: 'LoRA+: learning rate of B by that of A.',
    ...{ group: 'learning', changes: 'entry', card: true },
  },
  loraPlusLrEmbedding: {
    is: atLeast(0),
    flag: null,
    help: 'Learning rate of adapted embeddings with LoRA+; 1e-6 by default.',
    ...{ group: 'learning', changes: 'entry', card: true },
  },
} as const satisfies Rows

/** How rows become batches. */
export const batchingOptions = {
  shuffle: {
    is: toggle,
    default: true,
    flag: { name: 'no-shuffle', negates: true },
    help: 'Take the rows in the order of the file.',
    ...{ group: 'source', changes: 'numbers', card: true },
  },
  seed: {
    is: seed,
    default: 0,
    flag: { name: 'seed', common: true },
    help: 'Seed of everything random.',
    ...{ group: 'learning', changes: 'numbers', card: true },
  },
  groupByLength: {
    is: toggle,
    default: false,
    flag: 'group-by-length',
    help: 'Put rows of similar length into a batch: less padding.',
    ...{ group: 'source', changes: 'numbers', card: true },
  },
  packing: {
    is: toggle,
    default: false,
    flag: 'packing',
    help: 'Put several examples into a row; they do not see each other.',
    ...{ group: 'source', changes: 'numbers', card: true },
  },
} as const satisfies Rows

export const unlabelledOption = {
  unlabelled: {
    is: choice(['refuse', 'skip']),
    default: 'refuse',
    flag: 'unlabelled',
    help: 'What to do with a row that has nothing to learn: refuse it with an error, or skip it.',
    ...{ group: 'source', changes: 'numbers', card: true },
  },
} as const satisfies Rows

/** How the run is watched, ends and is kept. */
export const courseOptions = {
  recompute: {
    is: toggle,
    default: false,
    flag: 'recompute',
    help: 'Compute activations again in the backward pass rather than keep them: less memory, more time, the same results.',
    ...{ group: 'hardware', changes: 'nothing', card: false },
  },
  evalEvery: {
    is: whole(1),
    flag: 'eval-every',
    help: 'Steps between evaluations; at the end of each epoch by default.',
    ...{ group: 'evaluation', changes: 'course', card: false },
  },
  evalBatchSize: {
    is: whole(1),
    defaultsTo: 'batchSize',
    flag: 'eval-batch-size',
    help: 'Rows in one batch of evaluation; `batchSize` by default.',
    ...{ group: 'evaluation', changes: 'course', card: false },
  },
  earlyStopping: {
    is: whole(1),
    flag: 'early-stopping',
    help: 'Stop after N evaluations that are no better than the best one before; turns on `keepBest`.',
    ...{ group: 'evaluation', changes: 'course', card: true },
  },
  keepBest: {
    is: toggle,
    flag: 'keep-best',
    help: 'The result is what the best evaluation was of, not the last step; each evaluation that is the best so far is followed by a checkpoint.',
    ...{ group: 'evaluation', changes: 'course', card: true },
  },
  metricForBest: {
    is: choice(metricsForBest),
    default: 'loss',
    flag: 'metric-for-best',
    help: 'What the best evaluation is told by: the loss, or a metric of the task.',
    ...{ group: 'evaluation', changes: 'course', card: true },
  },
  greaterIsBetter: {
    is: toggle,
    flag: 'greater-is-better',
    help: 'More of `metricForBest` is better; by default, less of loss and perplexity and more of everything else.',
    ...{ group: 'evaluation', changes: 'course', card: true },
  },
  evalAtStart: {
    is: toggle,
    default: false,
    flag: 'eval-at-start',
    help: 'Evaluate before the first step too.',
    ...{ group: 'evaluation', changes: 'course', card: false },
  },
  onNan: {
    is: choice(['stop', 'skip']),
    default: 'stop',
    flag: 'on-nan',
    help: 'What to do when loss or gradient is not finite: stop, or skip the update.',
    ...{ group: 'learning', changes: 'course', card: false },
  },
  checkpointEvery: {
    is: whole(0),
    default: 0,
    flag: 'checkpoint-every',
    help: 'Steps between checkpoints; 0 writes none (but Ctrl-C, errors and `keepBest` do).',
    ...{ group: 'output', changes: 'course', card: false },
  },
  saveTotalLimit: {
    is: whole(1),
    default: 2,
    flag: 'save-total-limit',
    help: 'Checkpoints to keep.',
    ...{ group: 'output', changes: 'nothing', card: false },
  },
  modelCard: {
    is: toggle,
    default: true,
    flag: { name: 'no-model-card', negates: true },
    help: 'Write no README.md into `out`.',
    ...{ group: 'output', changes: 'nothing', card: false },
  },
  license: {
    is: text,
    flag: { name: 'license', value: 'ID' },
    help: "Licence that the model card names, by the hub's identifiers: apache-2.0.",
    ...{ group: 'output', changes: 'nothing', card: false },
  },
  resume: {
    is: toggle,
    default: false,
    flag: 'resume',
    help: 'Continue from the newest checkpoint in `out`.',
    ...{ group: 'output', changes: 'nothing', card: false },
  },
  overwrite: {
    is: toggle,
    default: false,
    flag: 'overwrite',
    help: 'Write into `out` although it holds a finished adapter, checkpoints or a model; what an earlier run left there is removed. Never into the base model.',
    ...{ group: 'output', changes: 'nothing', card: false },
  },
} as const satisfies Rows

/** Texts that the run writes on its way. */
export const sampleOptions = {
  samplePrompts: {
    is: text,
    flag: { name: 'sample-prompts', value: 'FILE' },
    help: 'Prompts to write texts for on the way: one a line, or rows with "prompt" or "messages" (JSONL, CSV, Parquet).',
    ...{ group: 'evaluation', changes: 'course', card: false },
  },
  sampleSteps: {
    is: whole(1),
    flag: 'sample-steps',
    help: 'Steps between texts; at the end of each epoch by default, and always after the last step.',
    ...{ group: 'evaluation', changes: 'course', card: false },
  },
  sampleTokens: {
    is: whole(1),
    default: 64,
    flag: 'sample-tokens',
    help: 'Most tokens of a text.',
    ...{ group: 'evaluation', changes: 'course', card: false },
  },
} as const satisfies Rows

/** Where a run is shown beside its own log. */
export const trackingOptions = {
  reportTo: {
    is: trackers,
    flag: { name: 'report-to', value: 'A,B' },
    help: `Trackers that are told of the run: ${trackerNames.join(', ')}. Servers are those of MLFLOW_TRACKING_URI and TRACKIO_SERVER_URL; nothing leaves the machine unless asked.`,
    ...{ group: 'tracking', changes: 'course', card: false },
  },
  loggingDir: {
    is: text,
    flag: { name: 'logging-dir', value: 'DIR' },
    help: 'Folder of the event files for TensorBoard; runs in `out` by default.',
    ...{ group: 'tracking', changes: 'nothing', card: false },
  },
  runName: {
    is: text,
    flag: { name: 'run-name', value: 'NAME' },
    help: 'What trackers call the run; the last part of `out` by default.',
    ...{ group: 'tracking', changes: 'nothing', card: false },
  },
  command: {
    is: text,
    flag: null,
    help: 'The command line that asked for the run, for its report and model card.',
    ...{ group: 'tracking', changes: 'nothing', card: false },
  },
} as const satisfies Rows

/** All of them, in the order of the model card. */
export const trainOptionTable = {
  ...fileOptions,
  ...presetOption,
  ...rateOptions,
  ...lengthOptions,
  ...maxLengthOption,
  ...optimizerOptions,
  ...loraPlusOptions,
  ...regularizationOptions,
  ...batchingOptions,
  ...unlabelledOption,
  ...courseOptions,
  ...objectiveOptionTable,
  ...sampleOptions,
  ...trackingOptions,
  onEvent: { effect: callback },
  signal: { effect: abortSignal },
  communicator: { effect: having('a communicator (nodeMpi)', 'rank', 'size', 'allReduceSum'), default: soloCommunicator },
} as const satisfies OptionTable<TrainOptions, RunColumns>

/** The options of a run with their defaults. */
export type ResolvedTrainOptions = Resolved<TrainOptions, typeof trainOptionTable>

/** The options whose columns say so, in the order of the table. */
export const optionsWhere = (is: (columns: RunColumns) => boolean): (keyof TrainOptions)[] =>
  Object.entries(trainOptionTable).flatMap(([name, row]) => ('changes' in row && is(row) ? [name as keyof TrainOptions] : []))

/** A setting as files tell it: of a function (a loss, a callback) no more can be told than whose it is. */
export const tellable = (value: unknown): unknown => (typeof value === 'function' ? "a function of the caller's own" : value)

/**
 * What holds of the options that say which rows there are and how they are batched, whoever asks.
 * @throws InvalidOptionError for two that exclude each other, or one that needs another
 */
export function checkRowOptions(options: {
  readonly [K in 'valSplit' | 'valSplitBy' | 'evalData' | 'packing' | 'groupByLength']?: TrainOptions[K]
}): void {
  if (options.packing === true && options.groupByLength === true)
    throw new InvalidOptionError('packing and groupByLength exclude each other: packed rows are all of one length')
  if (options.valSplit !== undefined && options.evalData !== undefined)
    throw new InvalidOptionError(
      'valSplit (--val-split) and evalData (--eval-data) exclude each other: the one sets rows aside to evaluate on, the other names them',
    )
  checkSplit(options)
}

/** @throws InvalidOptionError for a column to split by without a share that is set aside */
export function checkSplit({ valSplit, valSplitBy }: Pick<TrainOptions, 'valSplit' | 'valSplitBy'>): void {
  if (valSplitBy !== undefined && valSplit === undefined)
    throw new InvalidOptionError(
      'valSplitBy (--val-split-by) says how rows are set aside: give their share with valSplit (--val-split)',
    )
}

/** @throws InvalidOptionError for an option that nothing would read without another one */
function checkIsRead(options: ResolvedTrainOptions): void {
  const { samplePrompts, sampleSteps, loraPlusLrRatio, loraPlusLrEmbedding, license, modelCard, out } = options
  const { schedule, schedulePoints, warmup, noDecay, weightDecay, gradAccum } = options
  // Those with a default count as given where they differ from it.
  const isGiven = (name: 'sampleTokens' | 'saveTotalLimit'): boolean => options[name] !== trainOptionTable[name].default
  const refuse = (name: string, needs: string): never => {
    throw new InvalidOptionError(`${name} needs ${needs}; give it, or leave ${name} out`)
  }
  if (samplePrompts === undefined) {
    if (sampleSteps !== undefined) refuse('sampleSteps', 'samplePrompts, a file of prompts')
    if (isGiven('sampleTokens')) refuse('sampleTokens', 'samplePrompts, a file of prompts')
  }
  if (loraPlusLrEmbedding !== undefined && loraPlusLrRatio === undefined)
    refuse('loraPlusLrEmbedding', 'loraPlusLrRatio (--lora-plus-ratio)')
  if ((schedule === 'piecewise') !== (schedulePoints !== undefined))
    throw new InvalidOptionError('schedule "piecewise" and schedulePoints (--schedule-points) go together: give both, or neither')
  if (schedule === 'piecewise' && warmup > 0)
    throw new InvalidOptionError(
      'schedule "piecewise" has no warmup but that of its schedulePoints (--schedule-points); leave warmup out',
    )
  if (noDecay !== undefined && weightDecay === 0) refuse('noDecay', 'weightDecay (--weight-decay)')
  for (const name of ['lossMean', 'scheduleStep'] as const)
    if (options[name] !== 'update' && gradAccum === 1) refuse(name, 'gradAccum (--grad-accum) above 1')
  if (options.classifierDropout !== undefined && !options.modelDropout)
    refuse('classifierDropout', 'modelDropout (--model-dropout)')
  if (options.cutoff !== undefined && options.rDrop === undefined) refuse('cutoff', 'rDrop (--r-drop)')
  if (license !== undefined && (out === undefined || !modelCard))
    refuse('license', 'a model card to stand in: out, and modelCard')
  if (out === undefined && isGiven('saveTotalLimit')) refuse('saveTotalLimit', 'an output folder (out)')
}

/** Fills in the defaults. @param where the function they were given to @param model that is trained, for presets @throws InvalidOptionError naming the option that is unknown, out of range or contradicts another */
export function resolveTrainOptions(options: TrainOptions, where = 'train', model?: PresetModel): ResolvedTrainOptions {
  const resolved = resolveOptions(trainOptionTable, withPreset(options, model), where)
  checkRowOptions(resolved)
  if (resolved.keepBest === false && resolved.earlyStopping !== undefined)
    throw new InvalidOptionError('earlyStopping keeps the best evaluation; leave keepBest: false or earlyStopping out')
  checkIsRead(resolved)
  if (resolved.resume && resolved.overwrite)
    throw new InvalidOptionError(
      'resume (--resume) and overwrite (--overwrite) contradict each other: give the first alone to continue the run in the output folder, the second alone to begin anew and remove it',
    )
  if (resolved.overwrite && resolved.out === undefined)
    throw new InvalidOptionError('overwrite is about the output folder: give out')
  if ((resolved.resume || resolved.checkpointEvery > 0) && resolved.out === undefined)
    throw new InvalidOptionError('checkpoints and resume need an output folder: give out')
  return resolved
}

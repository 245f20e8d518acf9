/** @file Options of a training run: their types, and the words for editors. Everything else of them is in option-table.ts. */
import type { RowData } from '../data/row-data.js'
import type { RowReading } from '../data/row-reading.js'
import type { Communicator } from '../distributed/communicator.js'
import type { AdamWName } from '../optim/adamw.js'
import type { ScheduleName, SchedulePoints } from '../optim/schedule.js'
import type { TrackerName } from '../tracking/names.js'
import type { MetricForBest } from './best.js'
import type { TrainEvent } from './events.js'
import type { PresetName } from './preset-names.js'
import type { ObjectiveOptions } from './objectives/options.js'

/** Options of a training run; `lowrank train --help` names the same. */
export interface TrainOptions extends ObjectiveOptions, RowReading {
  /**
   * Rows: files (JSONL, JSON, CSV, TSV or Parquet, each also as .gz), a folder with `train` and `valid` files, a data set of the
   * hub (`hf:owner/name[:config][@split]`), blobs, or rows in memory. Rows in memory are those of the call.
   */
  readonly data: RowData
  /** Rows to evaluate on, after each epoch or every `evalEvery` steps; of a folder its `valid` by default. */
  readonly evalData?: RowData
  /**
   * Share of the rows, above 0 and below 1, that is set aside to evaluate on: of n rows exactly round(n · share), chosen by the
   * seed. In place of `evalData`.
   */
  readonly valSplit?: number
  /** A column by whose value rows stay together when some are set aside: a patient, a document. */
  readonly valSplitBy?: string
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
  /**
   * Options that go together, where they are not given: see `presets`. Of the adapter and the model a preset has options
   * too, which are for `addLora` and `loadModel`: `presetOptions(name)` has all.
   */
  readonly preset?: PresetName
  /** Passes over the data, 1 by default; parts of a pass are fine. */
  readonly epochs?: number
  /** Number of updates, however many passes that takes; goes before `epochs`. */
  readonly steps?: number
  /** Rows in one micro-batch, 8 by default; of several processes, in that of each. */
  readonly batchSize?: number
  /** Micro-batches in one update, 1 by default; weighted by their labelled tokens unless `lossMean` says otherwise. */
  readonly gradAccum?: number
  /**
   * What the loss of an update with several micro-batches is a mean over: all that they count (`update`), or each alone, of
   * whose means the mean is taken (`micro-batch`), as scripts do that divide each loss by their number; `update` by default.
   */
  readonly lossMean?: 'update' | 'micro-batch'
  /** Of AdamW; 2e-4 where it is not given. */
  readonly learningRate?: number
  /** How the learning rate changes over the steps; `constant` where it is not given. */
  readonly schedule?: ScheduleName
  /** Of schedule `piecewise`: by the step, counted from 0, what the learning rate is multiplied by there: `{ 0: 0, 500: 1, 9000: 0 }`. */
  readonly schedulePoints?: SchedulePoints
  /**
   * What the schedule and `warmup` count: `update`s, or each `micro-batch`, as scripts do that step it after each; an update
   * then has the rate of its last micro-batch. `update` by default.
   */
  readonly scheduleStep?: 'update' | 'micro-batch'
  /** LoRA+ (Hayou et al., 2024): learning rate of B by that of A, at least 1; the same for both by default. */
  readonly loraPlusLrRatio?: number
  /** Learning rate of adapted embeddings with LoRA+; 1e-6 by default. */
  readonly loraPlusLrEmbedding?: number
  /** Steps of warm-up if 1 or more, a share of all steps if below 1; 0 by default. */
  readonly warmup?: number
  /**
   * `adamw` is torch's, `adamw_hf` the one that transformers had before: epsilon is added before the bias of the second
   * moment is corrected, and weights decay after the step. `adamw` by default.
   */
  readonly optimizer?: AdamWName
  /** Whether AdamW corrects its moments for their beginning at zero; yes unless it is false (as BERT was trained). */
  readonly biasCorrection?: boolean
  /** Decoupled weight decay (Loshchilov and Hutter, 2019); 0 where it is not given. */
  readonly weightDecay?: number
  /** Parts of names: what is trained and has one of them in its name does not decay, `['bias', 'norm']`. */
  readonly noDecay?: readonly string[]
  /** Largest global norm of the gradient, 1 by default; 0 clips nothing. */
  readonly maxGradNorm?: number
  /** Decay of the first moment; 0.9 where it is not given. */
  readonly beta1?: number
  /** Decay of the second moment; 0.999 where it is not given. */
  readonly beta2?: number
  /** Added to the root of the second moment; 1e-8 where it is not given. */
  readonly epsilon?: number
  /**
   * Whether the model's own dropouts (of embeddings, attention, layers and head, as its config.json has them) are on while it
   * learns, as they are in Python's Trainer. Of BERT, RoBERTa, DistilBERT and DeBERTa; no by default.
   */
  readonly modelDropout?: boolean
  /** With `modelDropout`: probability of dropping an element of what the head reads, in place of config.json's. */
  readonly classifierDropout?: number
  /**
   * R-Drop (Liang et al., 2021), of classifiers of sequences: each row is run twice, and how far the two passes are from their
   * middle is added to the loss with this weight, above 0.
   */
  readonly rDrop?: number
  /** With `rDrop`: share of the second pass' tokens, above 0 and below 1, that are replaced by the tokenizer's unknown one. */
  readonly cutoff?: number
  /** Longest row in tokens; longer ones are cut. The model's positions by default, with a warning. */
  readonly maxLength?: number
  /** Whether each pass has an order of its own; yes unless it is false. */
  readonly shuffle?: boolean
  /** Of the order of rows and of dropout; 0 where it is not given. */
  readonly seed?: number
  /** Rows of similar length share a batch: less padding. */
  readonly groupByLength?: boolean
  /** Several examples share a row of up to `maxLength` tokens, without seeing each other. */
  readonly packing?: boolean
  /** A row without a token to learn: `refuse` it with an error, or `skip` it with a warning; `refuse` by default. */
  readonly unlabelled?: 'refuse' | 'skip'
  /**
   * Compute the activations inside each block again in the backward pass rather than keep them: less memory for about a
   * third more time; the results are the same.
   */
  readonly recompute?: boolean
  /** Steps between evaluations; at the end of each epoch by default, and always after the last step. */
  readonly evalEvery?: number
  /** Rows in one batch of an evaluation; `batchSize` where it is not given. */
  readonly evalBatchSize?: number
  /** Stop after this many evaluations that are no better than the best one before. Turns on `keepBest`. */
  readonly earlyStopping?: number
  /**
   * What the best evaluation was of is the result: it lies in `out` at the end, and the adapter holds it. With `out`, each
   * evaluation that is the best so far is followed by a checkpoint, so that a killed run has lost no best.
   */
  readonly keepBest?: boolean
  /** What the best evaluation is told by: `loss` by default, or a metric that the task's evaluations have. */
  readonly metricForBest?: MetricForBest
  /** Whether more of `metricForBest` is better: not of loss and perplexity, but of every other, if it is not given. */
  readonly greaterIsBetter?: boolean
  /** Evaluate before the first step too: where the run begins. */
  readonly evalAtStart?: boolean
  /** Steps between checkpoints, with one more at the end; 0 writes none. 0 by default. */
  readonly checkpointEvery?: number
  /** How many checkpoints to keep, 2 by default. */
  readonly saveTotalLimit?: number
  /** Continue from the newest checkpoint of `out`; from the beginning if it holds none. */
  readonly resume?: boolean
  /** What to do when loss or gradient is not finite: `stop` with an error, or `skip` the update; `stop` by default. */
  readonly onNan?: 'stop' | 'skip'
  /** Whether an adapter's `out` gets a model card (README.md); yes by default. */
  readonly modelCard?: boolean
  /** What the model card says of the licence: an identifier of the hub's list, `apache-2.0`. */
  readonly license?: string
  /**
   * File of prompts that the adapter continues on the way, greedily: each line, or of JSONL, CSV and Parquet each row's
   * `prompt` or `messages` (without the answer at its end). The texts are events, and change nothing of the training.
   */
  readonly samplePrompts?: string
  /** Steps between such texts; at the end of each epoch by default, always after the last step, and with `evalAtStart` at first. */
  readonly sampleSteps?: number
  /** Most tokens of such a text, 64 by default. */
  readonly sampleTokens?: number
  /**
   * Trackers that are told of the run: `tensorboard` (event files in `loggingDir`), `mlflow` (the server of
   * `MLFLOW_TRACKING_URI`), `trackio` (that of `TRACKIO_SERVER_URL`, else 127.0.0.1:7860). One that cannot be reached is a
   * warning and holds nothing up; the end of a run waits for it a few seconds at most.
   */
  readonly reportTo?: TrackerName | readonly TrackerName[]
  /** Folder of the event files for TensorBoard; `runs` in `out` if it is not given. */
  readonly loggingDir?: string
  /** What trackers call the run; the last part of `out` if it is not given. */
  readonly runName?: string
  /** The command line that asked for the run, which its report and its model card show. Nothing is hidden in it. */
  readonly command?: string
  /** Told of each event just before the loop over the run gets it: a place for a tracker of one's own. What it throws ends the run. */
  readonly onEvent?: (event: TrainEvent) => void
  /** Ends the run after the current step, with a checkpoint if there is `out`; `done` says so and what was saved. */
  readonly signal?: AbortSignal
  /**
   * The processes that train together (`nodeMpi`), all with the same options: each works on its share of a batch of
   * `size · batchSize` rows, and process 0 alone writes. Just this process by default.
   */
  readonly communicator?: Communicator
}

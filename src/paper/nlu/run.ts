/** @file A run of run_glue.py: trained on a task of GLUE, measured at the end of each epoch, the best kept, measured and noted. */
import { addLora, type Adapter } from '../../adapter/adapter.js'
import { startFrom, type AdapterStart } from '../../adapter/start-from.js'
import { isSavedPath } from '../../adapters/adapter-parts.js'
import { InvalidOptionError } from '../../errors.js'
import { elementCount } from '../../graph/types.js'
import { mean } from '../../metrics/mean.js'
import { FolderModel } from '../../model/folder-model.js'
import type { Model } from '../../model/model.js'
import { predict } from '../../predict/predict.js'
import { evaluate } from '../../train/evaluate.js'
import type { Evaluation } from '../../train/evaluation.js'
import type { DoneEvent, EvalEvent, TrainEvent } from '../../train/events.js'
import { LOG_FILE, parseEvents } from '../../train/log.js'
import { train } from '../../train/trainer.js'
import { VERSION } from '../../util/version.js'
import { removeRecord, writeRecord } from '../record.js'
import { readGlue, type GlueRow } from './glue.js'
import { predictionLines } from './predictions.js'
import { nluLoraOptions, nluTrainOptions, type NluSettings } from './settings.js'
import { glueTasks, trainFiles, type GlueSplit } from './tasks.js'

/** Where a run finds what it needs, and how far it goes. */
export interface NluRunOptions {
  /** GLUE's folder, the task's own, or `hf:nyu-mll/glue`. */
  readonly data: string
  /** Folder of the adapter, its log and paper.json. */
  readonly out: string
  /** The adapter of MNLI, for presets that begin with it: a PEFT folder or a file of any format. */
  readonly loraPath?: string
  /** Begin without it all the same. */
  readonly fromScratch?: boolean
  /** Most rows to train on, and of each part that is measured: the first of them. */
  readonly maxTrainSamples?: number
  readonly maxValSamples?: number
  /** Whether test rows are predicted, into `test_results_{task}.txt`. */
  readonly predict?: boolean
  readonly resume?: boolean
  readonly overwrite?: boolean
  readonly signal?: AbortSignal
  readonly command?: string
}

/** What is told of a run beside the events of its training. */
export type NluEvent =
  | TrainEvent
  | {
      readonly event: 'rows'
      readonly file: string
      readonly rows: number
      /** Lines that lacked a column, and are left out. */
      readonly incomplete: number
    }
  | ({ readonly event: 'started'; readonly from: string } & AdapterStart)
  | { readonly event: 'scores'; readonly split: string; readonly scores: Scores }
  | { readonly event: 'predictions'; readonly file: string; readonly rows: number }

type Scores = Readonly<Record<string, number>>

/**
 * Runs an experiment on GLUE. Each run begins with a fresh head.
 * @param model the base, whatever head it has
 * @throws InvalidOptionError for a preset that begins with MNLI's adapter where none is given; InvalidDataError for files that are
 * not there or rows that do not fit; what {@link train} throws
 */
export async function* runNlu(model: Model, settings: NluSettings, options: NluRunOptions): AsyncGenerator<NluEvent, DoneEvent> {
  const started = model.environment.now()
  checkStart(settings, options)
  const facts = glueTasks[settings.task]
  const training = yield* rowsOf(model, settings, options, trainFiles, options.maxTrainSamples)
  const measured: (readonly [GlueSplit, readonly GlueRow[]])[] = []
  for (const split of facts.dev)
    measured.push([split, yield* rowsOf(model, settings, options, split.files, options.maxValSamples)])
  // Whatever is missing is said before anything is trained.
  const tests: (readonly [GlueSplit, readonly GlueRow[]])[] = []
  if (options.predict === true)
    for (const split of facts.test) tests.push([split, yield* rowsOf(model, settings, options, split.files, undefined, false)])

  const adapter = await addLora(headed(model, settings), nluLoraOptions(settings))
  if (options.loraPath !== undefined)
    yield { event: 'started', from: options.loraPath, ...(await startFrom(adapter, options.loraPath)) }

  const { out, resume, overwrite, signal, command } = options
  const events = train(adapter, {
    ...nluTrainOptions(settings),
    ...{ data: training, evalData: measured[0]![1], out },
    ...(resume !== undefined && { resume }),
    ...(overwrite !== undefined && { overwrite }),
    ...(signal !== undefined && { signal }),
    ...(command !== undefined && { command }),
  })
  let done: DoneEvent
  for (;;) {
    const next = await events.next()
    if (next.done === true) {
      done = next.value
      break
    }
    // Until this run has ended nothing is known of it, whatever an earlier one has left there.
    if (next.value.event === 'start') await removeRecord(model.environment.files, out)
    yield next.value
  }
  if (done.reason === 'aborted') return done

  const metrics: Record<string, Scores> = {}
  for (const [{ name }, rows] of measured) {
    const scores = scoresOf(settings, await evaluate(adapter, { data: rows, maxLength: settings.maxLength, batchSize: settings.batchSize })) // prettier-ignore
    metrics[name] = scores
    yield { event: 'scores', split: name, scores }
  }
  for (const [{ predictions }, rows] of tests) {
    const file = `${out}/test_results_${predictions!}.txt`
    const answers = await predict(adapter, rows, { maxLength: settings.maxLength, batchSize: settings.batchSize })
    await model.environment.files.write(file, predictionLines(answers))
    yield { event: 'predictions', file, rows: rows.length }
  }
  // The log has those of before a resume too.
  const log = parseEvents(await model.environment.files.readText(`${out}/${LOG_FILE}`), `${out}/${LOG_FILE}`)
  const evaluations = log.filter((event) => event.event === 'eval')
  const measuredRows = Object.fromEntries(measured.map(([{ name }, rows]) => [name, rows.length]))
  await note(adapter, settings, { out, started, done, metrics, evaluations, rows: training.length, measuredRows })
  return done
}

/** @throws InvalidOptionError where the preset begins with an adapter and there is none, or the other way round */
function checkStart({ preset, fromMnli, method }: NluSettings, { loraPath, fromScratch = false }: NluRunOptions): void {
  if (loraPath !== undefined && fromScratch)
    throw new InvalidOptionError(
      'loraPath (--lora-path) and fromScratch (--from-scratch) contradict each other; give one of them',
    )
  if (fromMnli && loraPath === undefined && !fromScratch && method === 'lora')
    throw new InvalidOptionError(
      `preset "${preset}" begins with the adapter of MNLI: give it with loraPath (--lora-path), or fromScratch (--from-scratch) to begin without it`,
    )
  if (fromScratch && method !== 'lora')
    throw new InvalidOptionError(`fromScratch (--from-scratch) is of branches, and method "${method}" has none; leave it out`)
  if (fromScratch && !fromMnli)
    throw new InvalidOptionError(`preset "${preset}" begins from scratch anyway; leave fromScratch (--from-scratch) out`)
  if (loraPath !== undefined && method !== 'lora')
    throw new InvalidOptionError(`loraPath (--lora-path) gives branches, and method "${method}" has none; leave it out`)
}

/** The rows of a part of the task. */
async function* rowsOf(
  { environment }: Model,
  { task }: NluSettings,
  { data }: NluRunOptions,
  names: readonly string[],
  most = Infinity,
  labelled = true,
): AsyncGenerator<NluEvent, readonly GlueRow[]> {
  const { rows, file, incomplete } = await readGlue(environment, task, data, names, labelled)
  const taken = rows.slice(0, most)
  yield { event: 'rows', file, rows: taken.length, incomplete }
  return taken
}

/** The base with a fresh head for the task. */
function headed(model: Model, { task, seed }: NluSettings): Model {
  if (!(model instanceof FolderModel))
    throw new InvalidOptionError(
      `${model.path} cannot get a new head for ${task}; give a model folder (config.json and safetensors)`,
    )
  const { labels } = glueTasks[task]
  const head = labels.length === 0 ? ({ task: 'regression' } as const) : ({ task: 'sequence-classification', labels } as const)
  return model.withHead({ ...head, newHead: true, seed })
}

/** The task's own metrics, and what GLUE's score is the mean of. */
function scoresOf({ task }: NluSettings, evaluation: Evaluation): Scores {
  const names = metricsOf[task]
  const scores = Object.fromEntries(names.map((name) => [name, evaluation[name]!]))
  return { ...scores, combined: mean(Object.values(scores)) }
}

const metricsOf: Readonly<Record<NluSettings['task'], readonly (keyof Evaluation)[]>> = {
  ...{ mnli: ['accuracy'], sst2: ['accuracy'], mrpc: ['accuracy', 'f1'], cola: ['matthews'] },
  ...{ qnli: ['accuracy'], qqp: ['accuracy', 'f1'], rte: ['accuracy'], stsb: ['pearson', 'spearman'] },
}

interface Ended {
  readonly out: string
  readonly started: number
  readonly done: DoneEvent
  readonly metrics: Readonly<Record<string, Scores>>
  readonly evaluations: readonly EvalEvent[]
  readonly rows: number
  /** By the names of `metrics`: fewer than the file has with `maxValSamples`. */
  readonly measuredRows: Readonly<Record<string, number>>
}

/** Writes paper.json. */
async function note(adapter: Adapter, settings: NluSettings, ended: Ended): Promise<void> {
  const { model, config, parts, parameters } = adapter
  const { preset, task, seed, method, model: _, r, alpha, ...others } = settings
  const { out, started, done, metrics, evaluations, rows, measuredRows } = ended
  const saved = config.modulesToSave ?? []
  const counted = parts.filter(({ module }) => !isSavedPath(module, saved)).flatMap(({ tensors }) => tensors)
  const stepsPerEpoch = done.steps / settings.epochs
  await writeRecord(model.environment.files, out, {
    ...{ task, model: model.id, seed, metrics },
    // Runs of another method are a row of their own.
    preset: method === 'lora' ? preset : preset.replace(`-${task}`, `-${method}-${task}`),
    trainedParameters: counted.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    parameters: { trained: parameters.count, total: done.totalParameters },
    best: { step: done.bestStep, epoch: done.bestStep === undefined ? undefined : done.bestStep / stepsPerEpoch },
    evaluations: evaluations.map(({ event: __, best: ___, ...evaluation }) => evaluation),
    ...{
      rows,
      measuredRows,
      steps: done.steps,
      seconds: (model.environment.now() - started) / 1000,
      peakMemoryBytes: done.peakMemoryBytes,
    },
    settings: { method, ...(method === 'lora' && { r, alpha }), ...others },
    versions: { lowrank: VERSION },
  })
}

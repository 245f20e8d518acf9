/** @file Mean loss and the metrics of a task over a data set. */
import { Adapter } from '../adapter/adapter.js'
import { AdapterSet } from '../adapter/adapter-set.js'
import type { Model } from '../model/model.js'
import { attachParts } from '../adapters/attach.js'
import { Parameters } from '../adapter/parameters.js'
import { openDataset, openEncodedDataset, type Dataset, type DatasetOptions } from '../data/dataset.js'
import type { Example } from '../data/examples.js'
import type { Row } from '../data/rows.js'
import { openRows } from '../data/open-rows.js'
import { soloCommunicator, type Communicator } from '../distributed/communicator.js'
import { InvalidDataError } from '../errors.js'
import { sumOfShards, together } from './distributed.js'
import type { Objective } from './objective.js'
import { evaluateOptionTable, type EvaluateOptions } from './evaluate-options.js'
import { objectiveFor } from './objectives/index.js'
import type { ObjectiveOptions } from './objectives/options.js'
import { RowNotes } from './row-notes.js'
import { lossOptions, LossSession } from './session.js'
import { batchShard } from './shard.js'
import { SharedScores } from './shared-scores.js'
import { adapterTrainee, type Trainee } from './trainee.js'
import { resolveOptions } from '../util/option-table.js'

/** The mean loss of a data set, and beside it what the model's task is measured by. */
export interface Evaluation {
  /** Mean over labelled tokens (in nats), rows or images. */
  readonly loss: number
  /** Of a language model: e to the loss. */
  readonly perplexity?: number
  /** Of a language model: labelled tokens. */
  readonly tokens?: number
  /** Of every other: rows that were counted. */
  readonly examples?: number
  /** Share of labels (of several labels: of rows) that are right. */
  readonly accuracy?: number
  /** Of two classes: of class 1. Of several labels: over all. Of tokens: of entities. Of answers: overlap of positions. */
  readonly f1?: number
  /** Mean of the classes' F1. */
  readonly macroF1?: number
  /** Matthews' correlation. */
  readonly matthews?: number
  /** Of regression and similarity: correlation with the labels, and of their ranks. */
  readonly pearson?: number
  /** Of regression and similarity: correlation of ranks. */
  readonly spearman?: number
  /** Of named entities. */
  readonly precision?: number
  /** Of entities: share of the labelled ones that were found. */
  readonly recall?: number
  /** Share of answers with both positions right. */
  readonly exactMatch?: number
  /** Of preferences: share of pairs whose chosen completion has the larger reward, and by how much on average. */
  readonly rewardAccuracy?: number
  /** Of preferences: mean difference of the two rewards. */
  readonly rewardMargin?: number
}

/** A model without anything to train, as the evaluation sees it. */
const frozenTrainee = (model: Model): Trainee => ({
  model,
  parameters: new Parameters([]),
  totalParameters: model.parameterCount,
  build: (options) => {
    const built = model.build(options)
    return { graph: built.graph, hidden: built.hidden, parameters: [] }
  },
  save: () => Promise.resolve(),
  fingerprint: '',
})

/** What is active in a set by now. */
function servedTrainee(set: AdapterSet): Trainee {
  const { parts, tensors } = set.serving()
  const parameters = new Parameters(
    [],
    Object.entries(tensors).map(([name, { shape }]) => ({ name, shape })),
  )
  for (const [name, { data }] of Object.entries(tensors)) parameters.view(name).set(data as Float32Array)
  return {
    ...frozenTrainee(set.model),
    parameters,
    build: ({ training: _, ...options }) => {
      const built = set.model.build(options)
      const { graph } = attachParts(built.graph, parts, { scaling: 'tensors' })
      return { graph, hidden: built.hidden, parameters: [] }
    },
  }
}

function traineeOf(subject: Model | Adapter | AdapterSet | Trainee): Trainee {
  // A run may go on with the adapter meanwhile: what is measured is what it is at the call.
  if (subject instanceof Adapter) return { ...adapterTrainee(subject), parameters: subject.parameters.copy() }
  if (subject instanceof AdapterSet) return servedTrainee(subject)
  return 'model' in subject ? subject : frozenTrainee(subject)
}

/**
 * Evaluates a model, a model with an adapter, or whatever is being trained, on rows of its task. Dropout is off.
 * @throws InvalidDataError if a row, or every row, has no label; InvalidOptionError for a loss that does not fit the task
 * @example
 * const { loss, perplexity } = await evaluate(adapter, { data: 'valid.jsonl' })
 */
export async function evaluate(subject: Model | Adapter | AdapterSet | Trainee, given: EvaluateOptions): Promise<Evaluation> {
  // The adapter and the options are those of the call, whatever is switched, trained or changed while it runs.
  const options = resolveOptions(evaluateOptionTable, given, 'evaluate')
  const trainee = traineeOf(subject)
  const { model } = trainee
  const objective = await chooseObjective(model, options.data, options)
  const { batchSize, maxLength, onWarning } = options
  const notes = new RowNotes({ maxLength, maxPositions: model.maxPositions })
  const rows = { ...options, ...(onWarning !== undefined && { listeners: [notes] }) }
  const dataset = await openTaskDataset(model, objective, options.data, rows)
  const session = await LossSession.create(trainee, lossOptions(model, batchSize, maxLength, false, objective))
  try {
    const result = await evaluateDataset(session, dataset, batchSize)
    if (onWarning !== undefined) notes.take().forEach(onWarning)
    return result
  } finally {
    await session.release()
  }
}

const pathsOf = (data: string | readonly string[]): readonly string[] => (typeof data === 'string' ? [data] : data)

/** The objective of a model for some rows: their first one tells what the task leaves open. */
export async function chooseObjective(
  model: Model,
  data: string | readonly string[],
  options: ObjectiveOptions,
): Promise<Objective> {
  const open = model.task.name === 'sequence-classification' || model.task.name === 'feature-extraction'
  return objectiveFor(model, options, open ? await firstRow(model, pathsOf(data)) : undefined)
}

async function firstRow(model: Model, paths: readonly string[]): Promise<Row | undefined> {
  for (const path of paths) {
    const source = await openRows(model.environment.files, path)
    if (source.length > 0) return source.row(0)
  }
  return undefined
}

type ModelDataOptions = { [K in 'maxLength' | 'unlabelled' | 'listeners']?: DatasetOptions[K] | undefined }

/** What the rows of a model must fit: its tokenizer, its vocabulary, its positions. */
async function rowOptions(model: Model, { maxLength }: ModelDataOptions) {
  const tokenizer = await model.tokenizer()
  return {
    ...(tokenizer !== undefined && { tokenizer }),
    ...(maxLength !== undefined && { maxLength }),
    ...(model.padTokenId !== undefined && { padTokenId: model.padTokenId }),
    vocabularySize: model.vocabularySize,
    maxPositions: model.maxPositions,
    inputs: model.inputs,
  }
}

const emptyRowOptions = ({ unlabelled, listeners }: ModelDataOptions) => ({
  ...(unlabelled !== undefined && { unlabelled }),
  ...(listeners !== undefined && { listeners }),
})

/** Opens rows of text for a language model. */
export async function openModelDataset(
  model: Model,
  data: string | readonly string[],
  options: ModelDataOptions = {},
): Promise<Dataset<Example>> {
  const all = { ...(await rowOptions(model, options)), ...emptyRowOptions(options) }
  return openDataset(model.environment.files, pathsOf(data), all)
}

/** Opens rows for a model and what it is trained to do. */
export async function openTaskDataset(
  model: Model,
  objective: Objective,
  data: string | readonly string[],
  options: ModelDataOptions = {},
): Promise<Dataset> {
  const encoding = objective.encoding(await rowOptions(model, options))
  const { files, cacheFolder } = model.environment
  return openEncodedDataset(files, pathsOf(data), encoding, { ...emptyRowOptions(options), cacheFolder })
}

/**
 * Mean over all batches, in file order, weighted by what the loss counts.
 * @param communicator the processes that share the rows and all get the result; each sees `batchSize` rows at a time
 */
export async function evaluateDataset(
  session: LossSession,
  dataset: Dataset,
  batchSize: number,
  communicator: Communicator = soloCommunicator,
): Promise<Evaluation> {
  const { objective } = session
  const scores = objective.scores()
  const shared = communicator.size > 1 ? new SharedScores() : undefined
  let examples = 0
  const here = { loss: 0, count: 0, sums: {} as Record<string, number> }
  await together(communicator, async () => {
    for await (const batch of dataset.batches({ batchSize: batchSize * communicator.size, shuffle: false, seed: 0, epochs: 1 })) {
      const result = await session.run(batchShard(batch, communicator), shared ?? scores)
      here.loss += result.loss
      here.count += result.count
      examples += batch.examples
      for (const [name, value] of Object.entries(result.sums)) here.sums[name] = (here.sums[name] ?? 0) + value
    }
  })
  const { loss: sum, count, sums } = await sumOfShards(here, communicator)
  await shared?.tell(scores, communicator)
  if (count === 0) throw new InvalidDataError('the evaluation data has no labelled token')
  const loss = sum / count
  if (objective.name === 'causal-lm') return { loss, perplexity: Math.exp(loss), tokens: count }
  const means = Object.fromEntries(Object.entries(sums).map(([name, value]) => [name, value / count]))
  return { loss, ...means, ...scores.result(), examples }
}

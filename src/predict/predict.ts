/** @file What a model says of rows. */
import type { Adapter } from '../adapter/adapter.js'
import { modelOf, servingOf, type AdapterSet } from '../adapter/adapter-set.js'
import type { Serving } from '../adapters/serving/serving.js'
import type { Row } from '../data/rows.js'
import { InvalidOptionError } from '../errors.js'
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'
import type { TaskName } from '../models/task.js'
import { OnnxModel } from '../onnx-model/onnx-model.js'
import { embeddingSettings } from '../train/objectives/embedding-settings.js'
import { rowOptions } from '../train/open-dataset.js'
import { resolveOptions, type Resolved } from '../util/option-table.js'
import { snapshot } from '../util/snapshot.js'
import { answerReader } from './answers.js'
import { classReader, problemTypeOf } from './classification.js'
import { embeddingReader } from './embedding.js'
import { checkInputs, rowsOf, type PredictInput } from './inputs.js'
import { predictOptionTable, type PredictOptions } from './options.js'
import type { Prediction } from './prediction.js'
import { tagReader } from './tags.js'
import type { RowReader } from './reader.js'
import { answerRows, type Answered } from './run.js'
import { checkArgument } from '../util/arguments.js'
import { subjectArgument } from '../adapter/subject-arguments.js'

type Options = Resolved<PredictOptions, typeof predictOptionTable>

/**
 * What a model, a model with an adapter, or the active adapters of a set say of texts and rows: classes with probabilities,
 * numbers, embeddings. Of a list all predictions at once; of an async iterable each in its turn, with a few batches in memory.
 * Rows of similar length share a batch; predictions come in the order of the rows.
 * @param inputs texts, or rows with the fields that evaluation reads; labels are not needed and not read
 * @throws InvalidOptionError for a language model, which generates, or options that do not fit the task; InvalidDataError for
 * a row that does not fit
 * @example
 * const [first] = await predict(adapter, ['the soup was cold'])
 * @example
 * for await (const prediction of predict(adapter, lines)) console.log(prediction)
 */
export function predict(
  subject: Model | Adapter | AdapterSet,
  inputs: readonly PredictInput[],
  options?: PredictOptions,
): Promise<Prediction[]>
export function predict(
  subject: Model | Adapter | AdapterSet,
  inputs: AsyncIterable<PredictInput>,
  options?: PredictOptions,
): AsyncGenerator<Prediction>
export function predict(
  subject: Model | Adapter | AdapterSet,
  inputs: readonly PredictInput[] | AsyncIterable<PredictInput>,
  given: PredictOptions = {},
): Promise<Prediction[]> | AsyncGenerator<Prediction> {
  const start = (): AsyncGenerator<Prediction> => {
    checkArgument(subject, subjectArgument, 'predict')
    checkInputs(inputs, 'predict')
    const list = Array.isArray(inputs) ? snapshot(inputs as readonly PredictInput[]) : (inputs as AsyncIterable<PredictInput>)
    const options = optionsOf(given)
    return predictionsAlone(predictWith(subject, rowsOf(list, options.columns), options))
  }
  return Array.isArray(inputs) ? collected(start) : start()
}

/** As {@link predict}, of rows that are read already, each with its prediction. What is served is what the subject is at the call. */
export function predictRows(
  subject: Model | Adapter | AdapterSet,
  rows: AsyncIterable<Row>,
  given: PredictOptions,
): AsyncGenerator<Answered<Prediction>> {
  return predictWith(subject, rows, optionsOf(given))
}

const optionsOf = (given: PredictOptions): Options => resolveOptions(predictOptionTable, given, 'predict')

function predictWith(
  subject: Model | Adapter | AdapterSet,
  rows: AsyncIterable<Row>,
  options: Options,
): AsyncGenerator<Answered<Prediction>> {
  const model = modelOf(subject)
  checkTask(model, options)
  if (subject === model) checkTrained(model)
  return run(model, servingOf(subject), rows, options)
}

async function* run(model: Model, serving: Serving, rows: AsyncIterable<Row>, options: Options) {
  yield* answerRows(model, serving, await readerFor(model, options), rows, options)
}

/** Tasks whose predictions are stretches or vectors of texts. */
const readsText: ReadonlySet<TaskName> = new Set(['token-classification', 'question-answering', 'feature-extraction'])

/** @throws InvalidOptionError for what the model's task has no use for */
function checkTask(model: Model, options: Options): void {
  const { task } = model
  const refuse = (name: string, of: string): never => {
    throw new InvalidOptionError(`${name} is for ${of}, but the model is for ${task.name}`)
  }
  if (task.name === 'causal-lm')
    throw new InvalidOptionError(
      `${model.path} is a language model, which continues texts: use generate (lowrank generate). ` +
        "For predictions open it with a task and an adapter that brings the head, such as { task: 'sequence-classification' } (--task)",
    )
  if (task.name === 'masked-lm')
    throw new InvalidOptionError(
      `${model.path} is a masked language model, whose scores of all tokens come from forward; for predictions open it with another task (--task) and an adapter that brings the head`,
    )
  if (task.name === 'custom')
    throw new InvalidOptionError(
      model instanceof OnnxModel ? model.noTask : `nothing says what ${model.path} is for; open it with a task (--task)`,
    )
  if (readsText.has(task.name) && !model.inputs.some(({ name }) => name === 'input_ids'))
    throw new InvalidOptionError(
      `predictions of ${task.name} are about texts, but ${model.path} reads ${model.inputs.map(({ name }) => `"${name}"`).join(', ')}; its outputs as they are come from forward`,
    )
  if (task.name !== 'feature-extraction')
    for (const name of ['pooling', 'promptName'] as const)
      if (options[name] !== undefined) refuse(name, 'embedding models (feature-extraction)')
  if (task.name !== 'sequence-classification' && options.problemType !== undefined) refuse('problemType', 'sequence classifiers')
  if (task.name !== 'question-answering' && options.maxAnswerLength !== undefined) refuse('maxAnswerLength', 'question answering')
  const type = problemTypeOf(task, options.problemType)
  if (options.topK !== undefined && (['feature-extraction', 'token-classification'].includes(task.name) || type === 'regression'))
    refuse('topK (--top-k)', 'labels and answers')
}

/** @throws InvalidOptionError for a model alone whose head was made anew: what it says is chance */
function checkTrained(model: Model): void {
  if (!(model instanceof FolderModel) || model.head === undefined || model.head.fresh.size === 0) return
  throw new InvalidOptionError(
    `${model.path} has no head for ${model.task.name} of its own, and a fresh one knows nothing yet; predict with an adapter that was trained with it (--adapter)`,
  )
}

async function readerFor(model: Model, options: Options): Promise<RowReader<Prediction>> {
  const { task } = model
  const { maxLength, topK, problemType } = options
  const encoding = await rowOptions(model, { maxLength })
  switch (task.name) {
    case 'sequence-classification':
    case 'image-classification':
      return classReader(task, encoding, problemTypeOf(task, problemType), topK)
    case 'feature-extraction':
      return embeddingReader(embeddingSettings(model, options), encoding)
    case 'token-classification':
      return tagReader(task, encoding)
    case 'question-answering':
      return answerReader(encoding, options)
    default:
      throw new InvalidOptionError(`internal: no predictions of ${task.name}`)
  }
}

async function* predictionsAlone<P>(answers: AsyncGenerator<Answered<P>>): AsyncGenerator<P> {
  for await (const { prediction } of answers) yield prediction
}

/** All items of a generator; what starting it throws rejects. */
export async function collected<P>(start: () => AsyncGenerator<P>): Promise<P[]> {
  const all: P[] = []
  for await (const item of start()) all.push(item)
  return all
}

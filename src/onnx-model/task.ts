/** @file What an imported graph is for: said, told by config.json, or by the names of its inputs and outputs. */
import { InvalidOptionError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { formatShape, isFloat, type Value } from '../graph/types.js'
import type { ConfigReader } from '../models/config-reader.js'
import {
  classOf,
  scoresTokens,
  taskMeant,
  taskNamed,
  taskOfClass,
  taskOptions,
  type Task,
  type TaskName,
  type TaskOption,
} from '../models/task.js'

/** Names that exporters give the output of each task, the usual one first. */
const outputNames: Readonly<Record<TaskName, readonly string[]>> = {
  'causal-lm': ['logits', 'lm_logits', 'last_logits', 'prediction_logits', 'prediction_scores', 'scores', 'output'],
  'sequence-classification': ['logits'],
  'token-classification': ['logits'],
  'image-classification': ['logits'],
  'question-answering': ['start_logits'],
  'feature-extraction': ['last_hidden_state', 'token_embeddings', 'sentence_embedding'],
  'masked-lm': ['logits', 'prediction_logits', 'prediction_scores', 'scores', 'output'],
  custom: [],
}

export interface TaskRequest {
  readonly task?: string
  /** Output that the loss reads. */
  readonly output?: string
}

export interface FoundTask {
  readonly task: Task
  /** What the loss reads; the first output where there is no task. */
  readonly output: Value
}

const inputsOf = (graph: Graph): string => graph.inputs.map(({ name, shape }) => `"${name}" ${formatShape(shape)}`).join(', ')
const outputsOf = (values: readonly Value[]): string =>
  values.map(({ name, shape }) => `"${name}" ${formatShape(shape)}`).join(', ')

/**
 * The task of a graph and the output that its loss reads.
 *
 * Without a word from the user or config.json, names and ranks tell: `last_hidden_state`, `start_logits`, or `logits`
 * [batch, classes]. `logits` [batch, sequence, …] may be of tokens or of classes: then, and where nothing fits, the task
 * is `custom`, which only a loss of the user's own can train.
 * @throws InvalidOptionError for an unknown task, or an output that does not fit it
 */
export function findTask(graph: Graph, request: TaskRequest, config: ConfigReader | undefined, source: string): FoundTask {
  const outputs = graph.outputs.filter(({ dtype }) => isFloat(dtype))
  if (outputs.length === 0) throw new InvalidOptionError(`${source} has no output of floating-point numbers to learn from`)
  const given = request.task
  if (given !== undefined && !taskOptions.includes(given as TaskOption)) {
    const meant = taskMeant(given)
    throw new InvalidOptionError(
      `task must be one of ${taskOptions.join(', ')}, got "${given}"${meant === undefined ? '' : `. Did you mean "${meant}"?`}`,
    )
  }
  const name = given ?? toldByConfig(config, outputs) ?? toldByNames(graph, outputs)
  const output = findOutput(outputs, name, request.output, source, config?.json['vocab_size'])
  return { task: taskOf(name, output, config, source), output }
}

/**
 * The task of the class that config.json names. Of others (`SegformerForSemanticSegmentation`), and of those that write
 * a text for another (T5), whose labels are not shifted as a language model's are, it tells nothing.
 */
function toldByConfig(config: ConfigReader | undefined, outputs: readonly Value[]): TaskName | undefined {
  const className = config && classOf(config)
  // Exported with its head, it has scores of tokens in place of states.
  const hasStates = outputs.some(({ name }) => outputNames['feature-extraction'].includes(name))
  if (className?.endsWith('ForMaskedLM') === true && !hasStates) return 'masked-lm'
  const task = className === undefined ? undefined : taskOfClass(className)
  return task === 'causal-lm' && config?.json['is_encoder_decoder'] === true ? undefined : task
}

function toldByNames(graph: Graph, outputs: readonly Value[]): TaskName {
  const has = (name: string): boolean => outputs.some((output) => output.name === name)
  const reads = (name: string): boolean => graph.inputs.some((input) => input.name === name)
  if (has('start_logits') && has('end_logits')) return 'question-answering'
  if (has('last_hidden_state') || has('sentence_embedding')) return 'feature-extraction'
  const logits = outputs.find((output) => output.name === 'logits')
  if (logits?.shape?.length !== 2) return 'custom'
  if (reads('pixel_values')) return 'image-classification'
  return reads('input_ids') ? 'sequence-classification' : 'custom'
}

function findOutput(
  outputs: readonly Value[],
  task: string,
  wanted: string | undefined,
  source: string,
  vocabulary: unknown,
): Value {
  if (wanted !== undefined) {
    const found = outputs.find(({ name }) => name === wanted)
    if (found !== undefined) return found
    throw new InvalidOptionError(`${source} has no output "${wanted}"; it has ${outputsOf(outputs)}`)
  }
  const usual = outputNames[task as TaskName] ?? ['logits']
  const named = usual.flatMap((name) => outputs.find((output) => output.name === name) ?? [])[0]
  if (named !== undefined) return named
  if (outputs.length === 1 || task === 'custom') return outputs[0]!
  // Caches and hidden states beside them have another rank, or another width.
  const fitting = outputs.filter(({ shape }) => ranks[task as TaskName]?.includes(shape?.length ?? -1) === true)
  const ofVocabulary = fitting.filter(({ shape }) => shape?.at(-1) === vocabulary)
  for (const few of [fitting, scoresTokens({ name: task as TaskName }) ? ofVocabulary : []]) if (few.length === 1) return few[0]!
  throw new InvalidOptionError(
    `${source} has none of the outputs that ${task} usually has (${usual.join(', ')}), and several others: ${outputsOf(outputs)}; say which with { output }`,
  )
}

/** Ranks that the output of a task may have. */
const ranks: Readonly<Partial<Record<TaskName, readonly number[]>>> = {
  'causal-lm': [3],
  'sequence-classification': [2],
  'image-classification': [2],
  'token-classification': [3],
  'question-answering': [2, 3],
  'feature-extraction': [2, 3],
  'masked-lm': [3],
}

function taskOf(given: string, output: Value, config: ConfigReader | undefined, source: string): Task {
  const regression = given === 'regression'
  const name = (regression || given === 'classification' ? 'sequence-classification' : given) as TaskName
  if (name === 'custom') return { name, numLabels: 0, labels: [] }
  const allowed = ranks[name]!
  if (!allowed.includes(output.shape?.length ?? -1))
    throw new InvalidOptionError(
      `output "${output.name}" ${formatShape(output.shape)} of ${source} does not fit the task ${given}, which needs one of rank ${allowed.join(' or ')}; choose another task, or say which output with { output }`,
    )
  const told = config === undefined ? { name, numLabels: 0, labels: [] } : taskNamed(config, name)
  if (scoresTokens({ name }) || name === 'feature-extraction') return { name, numLabels: 0, labels: [] }
  if (name === 'question-answering') return { name, numLabels: 2, labels: [] }
  const last = output.shape!.at(-1)!
  const numLabels = typeof last === 'number' ? last : told.numLabels
  if (numLabels === 0)
    throw new InvalidOptionError(
      `the number of classes of output "${output.name}" ${formatShape(output.shape)} is not known; add a config.json with "id2label" beside ${source}`,
    )
  const labels = told.labels.length === numLabels ? told.labels : []
  const problemType = regression ? ('regression' as const) : told.problemType
  return { name, numLabels, labels, ...(problemType !== undefined && { problemType }) }
}

/** Why a model without a task cannot be trained or evaluated as it is. */
export const noTaskMessage = (graph: Graph, source: string): string =>
  `nothing says what ${source} is for: its inputs are ${inputsOf(graph)}, its outputs ${outputsOf(graph.outputs)}. ` +
  `Say { task: … } (--task), one of ${taskOptions.join(', ')}; or give a loss: "output:NAME" (--loss output:NAME) for an output that is one, or a function that builds it. ` +
  'A config.json beside the file (or in the folder above it) that names its class under "architectures" says so as well.'

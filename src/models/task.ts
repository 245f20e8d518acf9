/** @file What a model is for: the head it carries, told by the class that config.json names. */
import { InvalidModelError } from '../errors.js'
import { plainName } from '../util/synonyms.js'
import type { ConfigReader } from './config-reader.js'

/** Tasks that models have heads for. */
export const taskNames = [
  'causal-lm',
  'sequence-classification',
  'token-classification',
  'question-answering',
  'image-classification',
  'feature-extraction',
  'masked-lm',
] as const

/**
 * What a model is for, as a user says it. `classification` and `regression` are of rows of any kind: one class, or
 * numbers, a row.
 */
export type TaskOption = (typeof taskNames)[number] | 'classification' | 'regression'

export const taskOptions: readonly TaskOption[] = [...taskNames, 'classification', 'regression']

/** What tasks are called elsewhere: by the pipelines of transformers and transformers.js, and PEFT's `task_type`. */
const taskSynonyms = {
  'causal-lm': 'text-generation language-modeling',
  'sequence-classification': 'text-classification sentiment-analysis zero-shot-classification SEQ_CLS',
  'token-classification': 'ner TOKEN_CLS',
  'question-answering': 'QUESTION_ANS',
  'feature-extraction': 'sentence-similarity',
  'masked-lm': 'fill-mask mlm masked-language-modeling',
} as const satisfies Partial<Record<TaskOption, string>>

const tasksByWord: ReadonlyMap<string, TaskOption> = new Map([
  ...Object.entries(taskSynonyms).flatMap(([task, words]) =>
    words.split(' ').map((word) => [plainName(word), task as TaskOption] as const),
  ),
  ...taskOptions.map((task) => [plainName(task), task] as const),
])

/** Our task for what somebody calls by another program's word, in any spelling; undefined where there is none. */
export const taskMeant = (word: string): TaskOption | undefined => tasksByWord.get(plainName(word))

/** `custom` is an imported graph of which nothing says what it is for: only a loss of the user's own can train it. */
export type TaskName = (typeof taskNames)[number] | 'custom'

/** transformers' `problem_type`: what the labels of a sequence are, and with it the loss. */
export type ProblemType = 'regression' | 'single_label_classification' | 'multi_label_classification'

export const problemTypes: readonly ProblemType[] = ['regression', 'single_label_classification', 'multi_label_classification']

/** The names that transformers gives labels without names. */
export const defaultLabels = (count: number): string[] => Array.from({ length: count }, (_, i) => `LABEL_${i}`)

/** What a model is for, and its labels. */
export interface Task {
  /** The task. */
  readonly name: TaskName
  /** Outputs of a classifier; 2 for question answering (start and end); 0 where there are no labels. */
  readonly numLabels: number
  /** Names of the labels by number (`id2label`); empty where the config names none. */
  readonly labels: readonly string[]
  /** Of a sequence classifier that says so; otherwise the data tells (`numLabels` 1 is regression, as in transformers). */
  readonly problemType?: ProblemType
}

/** Endings of transformers' class names (`BertForSequenceClassification`), and the task of each. */
const classEndings: readonly (readonly [RegExp, TaskName])[] = [
  [/ForCausalLM$|LMHeadModel$|ForConditionalGeneration$/, 'causal-lm'],
  [/ForSequenceClassification$/, 'sequence-classification'],
  [/ForTokenClassification$/, 'token-classification'],
  [/ForQuestionAnswering$/, 'question-answering'],
  [/ForImageClassification$/, 'image-classification'],
  [/Model$/, 'feature-extraction'],
  // Of models saved with the head of their pretraining, the encoder is what is used, unless the task `masked-lm` is asked for.
  [/ForMaskedLM$|ForPreTraining$|ForNextSentencePrediction$|ForMaskedImageModeling$/, 'feature-extraction'],
]

/** The class that config.json names first under `architectures`. */
export function classOf(config: ConfigReader): string | undefined {
  const classes = config.json['architectures']
  return Array.isArray(classes) && typeof classes[0] === 'string' ? classes[0] : undefined
}

/** What a class of transformers is for, as far as its name says one of our tasks. */
export const taskOfClass = (className: string): TaskName | undefined =>
  classEndings.find(([ending]) => ending.test(className))?.[1]

/**
 * The task of a model: from `architectures` of config.json, else the first that its family supports.
 * @param supported tasks of the family, the usual one first
 * @param body what a class without a head is for: of a decoder what the family is for
 * @throws InvalidModelError for a class that stands for another task (`BertForMaskedLM`)
 */
export function readTask(
  config: ConfigReader,
  supported: readonly TaskName[],
  body: TaskName = supported[0] === 'causal-lm' || !supported.includes('feature-extraction')
    ? supported[0]!
    : 'feature-extraction',
): Task {
  const className = classOf(config)
  let name = className === undefined ? supported[0]! : taskOfClass(className)
  // Decoders are also published by the class of their body (`GPT2Model`); what is missing for the head is then found out.
  if (name === 'feature-extraction') name = body
  if (name === undefined || !supported.includes(name))
    throw new InvalidModelError(
      `${config.source}: "architectures" names ${className}, which is not supported for model type "${config.string('model_type')}"; supported are ${supported.join(', ')}`,
    )
  return taskNamed(config, name)
}

/** Tasks without labels of their own. */
const unlabelled: ReadonlySet<TaskName> = new Set(['causal-lm', 'feature-extraction', 'masked-lm'])

/** Whether a model says which token stands at a place: its scores are of the whole vocabulary. */
export const scoresTokens = ({ name }: Pick<Task, 'name'>): boolean => name === 'causal-lm' || name === 'masked-lm'

/** A task with the labels that config.json gives. @throws InvalidModelError for labels that are no list */
export function taskNamed(config: ConfigReader, name: TaskName): Task {
  if (unlabelled.has(name)) return { name, numLabels: 0, labels: [] }
  if (name === 'question-answering') return { name, numLabels: 2, labels: [] }
  const labels = readLabels(config)
  const problemType = config.json['problem_type']
  if (problemType !== undefined && problemType !== null && !problemTypes.includes(problemType as ProblemType))
    throw new InvalidModelError(
      `${config.source}: "problem_type" is ${JSON.stringify(problemType)}; expected ${problemTypes.map((k) => `"${k}"`).join(', ')}`,
    )
  return {
    name,
    // transformers writes id2label unless there are two labels by default names.
    numLabels: labels.length > 0 ? labels.length : config.integer('num_labels', 2),
    labels,
    ...(typeof problemType === 'string' && name === 'sequence-classification' && { problemType: problemType as ProblemType }),
  }
}

function readLabels(config: ConfigReader): string[] {
  const given = config.json['id2label']
  if (given === undefined || given === null) return []
  if (typeof given !== 'object' || Array.isArray(given))
    throw new InvalidModelError(`${config.source}: "id2label" must be an object of label names by number`)
  const entries = Object.entries(given as Record<string, unknown>)
  const labels = Array.from({ length: entries.length }, (_, i) => (given as Record<string, unknown>)[String(i)])
  if (!labels.every((label) => typeof label === 'string'))
    throw new InvalidModelError(`${config.source}: "id2label" must name the labels 0 to ${entries.length - 1}`)
  return labels as string[]
}

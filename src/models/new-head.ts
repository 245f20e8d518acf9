/** @file A model for another task than its checkpoint was saved for: what its config.json then says, and the weights of the head that are missing. */
import { InvalidOptionError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import type { HostTensor, Initializer } from '../graph/types.js'
import { inWords } from '../util/arguments.js'
import type { OptionKeys } from '../util/option-keys.js'
import { prefixOf, type Architecture } from './architecture.js'
import { ConfigReader, type Json } from './config-reader.js'
import { freshTensor } from './random.js'
import { tasksOf, weightShapes } from './registry.js'
import {
  defaultLabels,
  problemTypes,
  readTask,
  taskMeant,
  taskNamed,
  type ProblemType,
  type Task,
  type TaskName,
  type TaskOption,
} from './task.js'

/** What a model shall be for, where that is not what its config.json says. */
export interface HeadOptions {
  /** The task; of a folder the one that its config.json names, by default. */
  readonly task?: TaskOption
  /** Names of a classifier's labels, by number: `id2label`. */
  readonly labels?: readonly string[]
  /** How many labels, where they have no names; 2 by default. */
  readonly numLabels?: number
  /** What the labels of a sequence classifier are; `regression` with one label, else told by the rows, by default. */
  readonly problemType?: ProblemType
  /** Begin with a fresh head, although the model has one for the task. */
  readonly newHead?: boolean
  /** Seed of a fresh head's first values; 0 by default. */
  readonly seed?: number
}

export const headOptionKeys = {
  ...{ task: true, labels: true, numLabels: true, problemType: true, newHead: true, seed: true },
} satisfies OptionKeys<HeadOptions>

/** A config for a task, and what of the checkpoint's head is used. */
export interface RequestedHead {
  readonly config: ConfigReader
  readonly task: Task
  /** The head is made anew: what the checkpoint calls the same belongs to another task. */
  readonly fresh: boolean
  /** Nothing but the default says how many labels there are: an adapter with a head of its own knows better. */
  readonly open: boolean
}

const classifiers: ReadonlySet<TaskName> = new Set(['sequence-classification', 'token-classification', 'image-classification'])

/** Tasks whose head can be made: a fresh head of a language model would know no word. */
const withHead: ReadonlySet<TaskName> = new Set([...classifiers, 'question-answering'])

/** What transformers' class names end in. */
const classEndings: Readonly<Partial<Record<TaskName, string>>> = {
  'causal-lm': 'ForCausalLM',
  'sequence-classification': 'ForSequenceClassification',
  'token-classification': 'ForTokenClassification',
  'question-answering': 'ForQuestionAnswering',
  'image-classification': 'ForImageClassification',
  'feature-extraction': 'Model',
  'masked-lm': 'ForMaskedLM',
}

/** Last layers of a head, under the names that heads of several tasks share. */
const HEAD = /^(classifier|pre_classifier|score|qa_outputs)\./

/** The family's task that an option means. */
function taskOfOption(option: string, architecture: Architecture, type: string): TaskName {
  const tasks = tasksOf(architecture)
  const ofRows: TaskName = tasks.includes('sequence-classification') ? 'sequence-classification' : 'image-classification'
  const name = option === 'classification' ? ofRows : option === 'regression' ? 'sequence-classification' : option
  if (tasks.includes(name as TaskName)) return name as TaskName
  const supported: TaskOption[] = [
    ...(tasks as readonly TaskOption[]),
    ...(tasks.some((each) => classifiers.has(each)) ? (['classification'] as const) : []),
    ...(tasks.includes('sequence-classification') ? (['regression'] as const) : []),
  ]
  const meant = taskMeant(option)
  throw new InvalidOptionError(
    `task "${option}" is not supported for model type "${type}"; supported are ${supported.join(', ')}${meant !== undefined && supported.includes(meant) ? `. Did you mean "${meant}"?` : ''}`,
  )
}

/** The labels that are asked for; undefined where nothing is said. @throws InvalidOptionError for ones that cannot be */
function readLabels({ labels, numLabels, task }: HeadOptions): { count: number; names?: readonly string[] } | undefined {
  if (numLabels !== undefined && !(Number.isInteger(numLabels) && numLabels >= 1))
    throw new InvalidOptionError(
      `numLabels must be a whole number of at least 1, got ${typeof numLabels === 'number' ? numLabels : inWords(numLabels)}`,
    )
  if (task === 'regression' && (numLabels ?? 1) !== 1 && labels === undefined) return { count: numLabels! }
  if (labels === undefined) {
    const count = numLabels ?? (task === 'regression' ? 1 : undefined)
    return count === undefined ? undefined : { count }
  }
  if (!Array.isArray(labels) || labels.length === 0 || labels.some((label) => typeof label !== 'string' || label === ''))
    throw new InvalidOptionError(`labels must be a list of names, at least one, got ${JSON.stringify(labels)}`)
  const twice = labels.find((label: string, i) => labels.indexOf(label) !== i)
  if (twice !== undefined) throw new InvalidOptionError(`labels names ${JSON.stringify(twice)} twice`)
  if (numLabels !== undefined && numLabels !== labels.length)
    throw new InvalidOptionError(`numLabels is ${numLabels}, but labels names ${labels.length}; leave numLabels out`)
  return { count: labels.length, names: labels as readonly string[] }
}

/** What the config itself says, if the family has a head for it. */
function ownTask(config: ConfigReader, architecture: Architecture, isSaid: boolean): Task | undefined {
  try {
    return readTask(config, tasksOf(architecture))
  } catch (error) {
    if (isSaid) return undefined
    throw error
  }
}

/**
 * The config of a model for the task and the labels that are asked for, as transformers would write it.
 * @throws InvalidOptionError for a task that the family has no head for, and for labels that contradict the model's own head
 */
export function requestHead(config: ConfigReader, architecture: Architecture, request: HeadOptions): RequestedHead {
  const type = config.string('model_type')
  const own = ownTask(config, architecture, request.task !== undefined)
  const name = request.task === undefined ? own!.name : taskOfOption(request.task, architecture, type)
  const labels = readLabels(request)
  const problemType = request.problemType ?? (request.task === 'regression' ? 'regression' : undefined)
  const { newHead = false } = request
  for (const [option, given, fits] of [
    ['labels', request.labels !== undefined, classifiers.has(name)],
    ['numLabels', request.numLabels !== undefined, classifiers.has(name)],
    ['problemType', problemType !== undefined, name === 'sequence-classification'],
    ['newHead', newHead, withHead.has(name)],
  ] as const)
    if (given && !fits)
      throw new InvalidOptionError(
        `${option} is for ${option === 'problemType' ? 'sequence-classification' : option === 'newHead' ? 'models with a head for a task' : 'classifiers'}, but ${config.source} is for ${name}; say which task with { task } (--task)`,
      )
  if (problemType !== undefined && !problemTypes.includes(problemType))
    throw new InvalidOptionError(`problemType must be ${problemTypes.join(', ')}, got ${JSON.stringify(problemType)}`)
  const fresh = withHead.has(name) && (newHead || own?.name !== name)
  if (fresh && labels?.names?.length === 1 && !isOneOutput(problemType))
    throw new InvalidOptionError(
      `labels is one name, ${JSON.stringify(labels.names[0])}, and a classifier tells at least two apart; name the others too, ` +
        'or say task "regression" (--task regression) if rows have a number, problemType "multi_label_classification" (--problem-type multi_label_classification) if the label applies to a row or not',
    )
  if (!fresh && own?.name === name && labels !== undefined) refuseOtherLabels(config, own, labels)
  const json: Record<string, Json> = { ...config.json }
  if (own?.name !== name) json['architectures'] = [classOf(architecture, type, name)]
  if (classifiers.has(name) && (fresh || labels?.names !== undefined)) {
    const count = labels?.count ?? (newHead && own?.name === name ? own.numLabels : 2)
    const known = newHead && own?.name === name && own.numLabels === count ? own.labels : []
    const names = labels?.names ?? (known.length === count ? known : defaultLabels(count))
    json['id2label'] = Object.fromEntries(names.map((label, i) => [String(i), label]))
    json['label2id'] = Object.fromEntries(names.map((label, i) => [label, i]))
    delete json['num_labels']
  }
  if (fresh) delete json['problem_type']
  if (problemType !== undefined) json['problem_type'] = problemType
  const changed = new ConfigReader(json, config.source)
  return { config: changed, task: taskNamed(changed, name), fresh, open: fresh && classifiers.has(name) && labels === undefined }
}

/** Kinds of labels of which one makes sense. */
const isOneOutput = (type: ProblemType | undefined): boolean => type === 'regression' || type === 'multi_label_classification'

function refuseOtherLabels(
  config: ConfigReader,
  own: Task,
  { count, names }: { count: number; names?: readonly string[] },
): void {
  const hint = 'leave labels and numLabels out to use it, or say newHead (--new-head) to begin with a fresh head in its place'
  if (count !== own.numLabels)
    throw new InvalidOptionError(
      `${config.source}: the model has a head for ${own.numLabels} labels (${some(own.labels)}), but ${count} are asked for; ${hint}`,
    )
  const isNamed = own.labels.some((label, i) => label !== defaultLabels(count)[i])
  const other = isNamed ? names?.findIndex((label, i) => label !== own.labels[i]) : undefined
  if (other !== undefined && other >= 0)
    throw new InvalidOptionError(
      `${config.source}: label ${other} of the model's own head is ${JSON.stringify(own.labels[other])}, not ${JSON.stringify(names![other])}; ${hint}`,
    )
}

const some = (labels: readonly string[]): string =>
  labels.length === 0 ? 'without names' : labels.slice(0, 5).join(', ') + (labels.length > 5 ? ', …' : '')

function classOf({ modelTypes, classPrefixes }: Architecture, type: string, task: TaskName): string {
  const prefix = classPrefixes[modelTypes.indexOf(type)]!
  return prefix + (prefix === 'GPT2' && task === 'causal-lm' ? 'LMHeadModel' : classEndings[task]!)
}

/**
 * The weights of a model for a task: those of the checkpoint that belong to it, and fresh ones where the head lacks its own.
 *
 * Fresh ones are as transformers begins them (`PreTrainedModel._init_weights`): matrices from N(0, `initializer_range`²),
 * biases 0. Heads of other tasks are left out; what else the graph does not know stays, for strict loading to name it.
 *
 * @param weights by the names of the graph
 */
export function headWeights(
  { config, task, fresh }: RequestedHead,
  architecture: Architecture,
  weights: ReadonlyMap<string, Initializer>,
  seed: number,
): { readonly weights: ReadonlyMap<string, Initializer>; readonly fresh: ReadonlyMap<string, HostTensor> } {
  const prefix = prefixOf(architecture, task)
  const isBase = (name: string): boolean => name.startsWith(prefix) && architecture.spareTensors?.test(name) !== true
  const shapes = weightShapes(config, task)
  const used = new Map([...weights].filter(([name]) => shapes.has(name) || (prefix !== '' && isBase(name))))
  const made = new Map<string, HostTensor>()
  if (!fresh) return { weights: used, fresh: made }
  // transformers takes 0 for its default, too.
  const deviation = config.number('initializer_range', 0.02) || 0.02
  for (const [name, shape] of shapes) {
    if (isBase(name) || (used.has(name) && !HEAD.test(name))) continue
    const tensor = float32(shape, freshTensor(name, shape, seed, deviation))
    made.set(name, tensor)
    used.set(name, tensor)
  }
  return { weights: used, fresh: made }
}

/** Names of the modules to save whole so that no fresh weight is lost: `score`, `classifier`, `pooler`. */
export function freshModules(architecture: Architecture, task: Task, fresh: Iterable<string>): string[] {
  const prefix = prefixOf(architecture, task)
  return [...new Set([...fresh].map((name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name).split('.')[0]!))]
}

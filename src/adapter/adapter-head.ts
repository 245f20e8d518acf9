/**
 * @file Adapters that bring a head: PEFT's for classification and question answering hold `score`, `classifier` or
 * `qa_outputs` whole, and belong to a base that was given such a head.
 */
import type { LoraConfig } from '../adapters/lora-config.js'
import type { Part } from '../adapters/part.js'
import { ReplacedWeight } from '../adapters/replaced-weight.js'
import { InvalidAdapterError } from '../errors.js'
import type { HostTensor } from '../graph/types.js'
import { HEAD_FILE } from '../formats/peft.js'
import type { Files } from '../io/files.js'
import type { HeadOptions } from '../models/new-head.js'
import { tasksOf } from '../models/registry.js'
import { defaultLabels, problemTypes, taskNames, type ProblemType, type Task, type TaskName } from '../models/task.js'
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'
import { readJsonObject } from '../util/json.js'

/** PEFT's task types, and the heads that it adds to `modules_to_save` for some. */
export const peftTasks: Readonly<Partial<Record<TaskName, { readonly type: string; readonly heads?: readonly string[] }>>> = {
  'causal-lm': { type: 'CAUSAL_LM' },
  'sequence-classification': { type: 'SEQ_CLS', heads: ['classifier', 'score'] },
  'token-classification': { type: 'TOKEN_CLS', heads: ['classifier', 'score'] },
  'question-answering': { type: 'QUESTION_ANS', heads: ['qa_outputs'] },
  'feature-extraction': { type: 'FEATURE_EXTRACTION' },
}

const isClassifier = ({ name }: Task): boolean => name.endsWith('-classification')

/** The file by its name; nothing for a base whose own config says it all. */
export function headFile(model: Model): ReadonlyMap<string, Uint8Array> {
  if (!(model instanceof FolderModel) || model.head === undefined) return new Map()
  const { json } = model.config
  const ofLabels = isClassifier(model.task) ? ['id2label', 'label2id', 'problem_type'] : []
  const keys = ['architectures', ...ofLabels].filter((key) => json[key] !== undefined)
  const told = Object.fromEntries(keys.map((key) => [key, json[key]]))
  // The folder has one for the task as well, which is not it.
  const isNew = model.head.options.newHead === true && { new_head: true }
  const text = `${JSON.stringify({ task: model.task.name, ...isNew, ...told }, null, 2)}\n`
  return new Map([[HEAD_FILE, new TextEncoder().encode(text)]])
}

/** What the file says. @throws InvalidAdapterError for a damaged one */
export async function readHeadFile(
  files: Files,
  folder: string,
): Promise<Pick<HeadOptions, 'labels' | 'problemType' | 'newHead'> & { task?: TaskName }> {
  const path = `${folder}/${HEAD_FILE}`
  if (!(await files.exists(path))) return {}
  const remedy = 'remove the file to load the adapter without the names of its labels'
  const wrong = (what: string): InvalidAdapterError => new InvalidAdapterError(`${path}: ${what}; ${remedy}`)
  const told = await readJsonObject(files, path, InvalidAdapterError, remedy)
  const { task, id2label, problem_type: problemType, new_head: newHead } = told
  if (!taskNames.includes(task as (typeof taskNames)[number])) throw wrong(`"task" must be one of ${taskNames.join(', ')}`)
  if (problemType !== undefined && !problemTypes.includes(problemType as ProblemType))
    throw wrong(`"problem_type" must be one of ${problemTypes.join(', ')}`)
  const entries = typeof id2label === 'object' && id2label !== null ? Object.keys(id2label).length : 0
  const labels = Array.from({ length: entries }, (_, i) => (id2label as Record<string, unknown>)[String(i)])
  if (labels.some((label) => typeof label !== 'string')) throw wrong(`"id2label" must name the labels 0 to ${entries - 1}`)
  return {
    task: task as TaskName,
    ...(newHead === true && { newHead }),
    ...(entries > 0 && { labels: labels as string[] }),
    ...(problemType !== undefined && { problemType: problemType as ProblemType }),
  }
}

/** Last layers of the heads, whose rows are the labels. */
const LABELS = /(?:^|\.)(?:score|classifier|classifier\.out_proj)\.(?:modules_to_save\.)?(?!dense\.)(?:[\w-]+\.)?weight$/
const ANSWERS = /(?:^|\.)qa_outputs\.(?:modules_to_save\.)?(?:[\w-]+\.)?weight$/
/** A layer of the body where the class has no prefix: `base_model.model.layers.0…`, and not `base_model.model.model.layers.0…`. */
const BARE = /^base_model\.model\.(layers|h|encoder|transformer\.layer|language_model\.layers)\./

/** Tensors that are the head of a classifier: the number of labels; 0 where there is none. */
function labelsIn(tensors: ReadonlyMap<string, HostTensor>): number {
  for (const [name, { shape }] of tensors) if (LABELS.test(name) && shape.length === 2) return shape[0]!
  return 0
}

/** The task that an adapter was trained for, where its tensors bear out what it says. */
function adapterTask(
  config: LoraConfig,
  tensors: ReadonlyMap<string, HostTensor>,
  told: TaskName | undefined,
): TaskName | undefined {
  const names = [...tensors.keys()]
  const type = Object.entries(peftTasks).find(([, task]) => task.type === config.taskType)?.[0] as TaskName | undefined
  const task = told ?? type ?? undefined
  switch (task) {
    case 'sequence-classification':
    case 'token-classification':
    case 'image-classification':
      return labelsIn(tensors) > 0 ? task : undefined
    case 'question-answering':
      return names.some((name) => ANSWERS.test(name)) ? task : undefined
    case 'feature-extraction':
      return names.some((name) => BARE.test(name)) ? task : undefined
    case 'masked-lm':
      return names.some((name) => BARE.test(name)) ? undefined : task
    default:
      return undefined
  }
}

/**
 * The model that an adapter belongs to: the one given, or, where the adapter brings a head that the folder has not, or another
 * than the folder's own, the same folder with that head (`adapter.model`). The adapter knows how many labels there are, and
 * `head_config.json` what they are called.
 */
export async function headForAdapter(
  model: Model,
  config: LoraConfig,
  tensors: ReadonlyMap<string, HostTensor>,
  folder: string,
): Promise<Model> {
  if (!(model instanceof FolderModel) || model.layerReplication !== undefined) return model
  const { task: told, ...named } = await readHeadFile(model.environment.files, folder)
  const task = adapterTask(config, tensors, told)
  const labels = labelsIn(tensors)
  if (task === model.task.name || (task === undefined && isClassifier(model.task))) {
    // What the user leaves open, the adapter tells.
    const asked = model.head?.options ?? {}
    if (labels > 0 && model.head?.open === true) return model.withHead({ ...asked, ...headLabels(labels, named) })
    if (labels > 0 && !saysLabels(asked) && isOtherHead(model.task, labels, named))
      return model.withHead({ ...asked, newHead: true, ...headLabels(labels, named) })
    return model.task.name === told ? withToldLabels(model, named.labels, folder) : model
  }
  // What the user asked for stays; strict loading then says what does not fit.
  if (task === undefined || model.head !== undefined || !tasksOf(model.architecture).includes(task)) return model
  const isLabelled = task.endsWith('-classification')
  return model.withHead({ task: task as HeadOptions['task'] & string, ...(isLabelled && headLabels(labels, named)) })
}

const saysLabels = ({ task, labels, numLabels }: HeadOptions): boolean =>
  labels !== undefined || numLabels !== undefined || task === 'regression'

/** Whether an adapter's head, of so many labels, took the place of the model's own. */
function isOtherHead(own: Task, count: number, { newHead, labels = [] }: Pick<HeadOptions, 'newHead' | 'labels'>): boolean {
  const unnamed = defaultLabels(count)
  const isNamed = (names: readonly string[]): boolean => names.length === count && names.some((name, i) => name !== unnamed[i])
  const isRenamed = isNamed(labels) && isNamed(own.labels) && labels.some((label, i) => label !== own.labels[i])
  return newHead === true || count !== own.numLabels || isRenamed
}

/** The model with the adapter's names for its labels. @throws InvalidAdapterError if the model's are others */
function withToldLabels(model: FolderModel, told: readonly string[] | undefined, folder: string): FolderModel {
  const { labels, numLabels } = model.task
  if (told?.length !== numLabels) return model
  const unnamed = defaultLabels(numLabels)
  if (labels.length === 0 || labels.every((label, i) => label === unnamed[i]))
    return told.every((label, i) => label === unnamed[i])
      ? model
      : model.withHead({ ...without(model.head?.options ?? {}), labels: told })
  const at = told.findIndex((label, i) => label !== labels[i])
  if (at < 0) return model
  throw new InvalidAdapterError(
    `${folder}: label ${at} of the adapter is ${JSON.stringify(told[at])}, but the model was opened with ${JSON.stringify(labels[at])}; leave labels (--labels) out, the adapter knows them`,
  )
}

const without = ({ numLabels: _, ...options }: HeadOptions): HeadOptions => options

const headLabels = (count: number, { labels, problemType }: Pick<HeadOptions, 'labels' | 'problemType'>): HeadOptions => ({
  // One output without a word of its kind is a number, whatever it is called.
  ...(labels?.length === count && (count > 1 || problemType !== undefined) ? { labels } : { numLabels: count }),
  ...(problemType !== undefined && { problemType }),
})

/**
 * A weight that neither the folder nor the adapter has is a random number.
 * @throws InvalidAdapterError naming every weight of the head that the adapter does not bring
 */
export function checkFreshWeights(model: Model, parts: readonly Part[], folder: string): void {
  if (!(model instanceof FolderModel) || model.head === undefined) return
  const brought = new Set(parts.flatMap((part) => (part instanceof ReplacedWeight ? [part.replaced.weight] : [])))
  const missing = [...model.head.fresh.keys()].filter((name) => !brought.has(name))
  if (missing.length === 0) return
  throw new InvalidAdapterError(
    `${folder}: neither the adapter nor the base ${model.path} holds ${missing.map((name) => `"${name}"`).join(', ')}, which a model for ${model.task.name} needs; ` +
      `where it was trained ${missing.length === 1 ? 'it was' : 'they were'} random and ${missing.length === 1 ? 'was' : 'were'} not saved, so its answers cannot be had again. ` +
      `Use a base that holds ${missing.length === 1 ? 'it' : 'them'}, or train anew with ${model.head.modules.join(' and ')} in modules_to_save (lowrank does so by itself)`,
  )
}

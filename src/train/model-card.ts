/** @file The model card of a training run: `README.md` of the adapter's folder, as the Hugging Face Hub shows it. */
import { peftKey, type LoraConfig } from '../adapters/lora-config.js'
import { loraFieldTable } from '../adapters/lora-fields.js'
import type { Files } from '../io/files.js'
import { baseName } from '../io/places.js'
import type { InputConstants } from '../lower/input-constants.js'
import type { TaskName } from '../models/task.js'
import type { DoneEvent, EvalEvent, StartEvent, StepEvent, TrainEvent } from './events.js'
import { modelIndex } from './model-index.js'
import { printable } from '../errors.js'

export const CARD_FILE = 'README.md'

/** Tells our cards from those that a person or PEFT wrote, which are left alone. */
const MARK = '<!-- Written by lowrank from the training log; remove this line to keep your own changes. -->'

/** Whether a README was written from a training log, and not changed since by somebody who wants it kept. */
export const isRunCard = (text: string): boolean => text.includes(MARK)

/** What Python must be told of a head that the base has not, or not like this. */
export interface CardHead {
  readonly numLabels: number
  /** Whether the base has a head of other shapes in its place. */
  readonly mismatches: boolean
}

/** What a card says. */
export interface ModelCard {
  /** Hub id or path of the base model. */
  readonly baseModel: string
  /** Whether that is a repository of the hub, and no folder or file of the machine that trained. */
  readonly baseOnHub: boolean
  readonly task: TaskName
  readonly config: LoraConfig
  /** Of a base that was given a head for labels. */
  readonly head?: CardHead
  /** Inputs of an .onnx file that were constants. */
  readonly constants?: InputConstants
  /** Names of the training data's files, without folders. */
  readonly dataFiles: readonly string[]
  /** Rows, sizes and hashes of the data, see `Dataset.fingerprint`. */
  readonly dataFingerprint: string
  readonly evalRows?: number
  /** Names of the files that evaluations were on, without folders. */
  readonly evalFiles?: readonly string[]
  /** What was typed to begin the run, ready for a shell. */
  readonly command?: string
  /** Name and value of every setting; undefined ones are left out. */
  readonly hyperparameters: Readonly<Record<string, unknown>>
  /** The run's log. */
  readonly events: readonly TrainEvent[]
  /** Of lowrank. */
  readonly version: string
  /** The step that the adapter is of, where it is that of the best evaluation. */
  readonly bestStep?: number
  /** Identifier of the hub's list, `apache-2.0`. */
  readonly license?: string
}

/** The hub's task, and transformers' class that loads the base, by our task. */
const tasks: Readonly<Record<TaskName, { readonly tag?: string; readonly auto: string }>> = {
  'causal-lm': { tag: 'text-generation', auto: 'AutoModelForCausalLM' },
  'sequence-classification': { tag: 'text-classification', auto: 'AutoModelForSequenceClassification' },
  'token-classification': { tag: 'token-classification', auto: 'AutoModelForTokenClassification' },
  'question-answering': { tag: 'question-answering', auto: 'AutoModelForQuestionAnswering' },
  'image-classification': { tag: 'image-classification', auto: 'AutoModelForImageClassification' },
  'feature-extraction': { tag: 'feature-extraction', auto: 'AutoModel' },
  'masked-lm': { tag: 'fill-mask', auto: 'AutoModelForMaskedLM' },
  custom: { auto: 'AutoModel' },
}

/** A YAML scalar: plain where that is safe, else in double quotes, which YAML reads as JSON. */
const yaml = (text: string): string =>
  /^[A-Za-z][\w./-]*$/.test(text) && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(text) ? text : JSON.stringify(text)

const number = (value: number): string => String(Number(value.toPrecision(6)))

/** As many backticks as end no code that holds such a text. */
const fenceOf = (text: string, least: number): string =>
  '`'.repeat(Math.max(least, 1 + Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))))

/** Code in a table cell; a bar would end the cell, and as many backticks as begin it the code. */
const code = (value: unknown): string => {
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).replace(/\s+/g, ' ').replaceAll('|', '\\|')
  const fence = fenceOf(text, 1)
  return fence.length > 1 ? `${fence} ${text} ${fence}` : `\`${text}\``
}

/** A block of code. */
const block = (language: string, text: string): string => {
  const fence = fenceOf(text, 3)
  return `${fence}${language}\n${text}\n${fence}`
}

const table = (head: readonly [string, string], rows: readonly (readonly [string, string])[]): string =>
  [head, ['---', '---'] as const, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const ofKind = <E extends TrainEvent>(events: readonly TrainEvent[], kind: E['event']): E[] =>
  events.filter((event): event is E => event.event === kind)

/** The evaluation of what lies beside the card. */
function keptEvaluation({ events, bestStep }: Pick<ModelCard, 'events' | 'bestStep'>): EvalEvent | undefined {
  const evals = ofKind<EvalEvent>(events, 'eval')
  return evals.find(({ step }) => step === bestStep) ?? evals.at(-1)
}

const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || (typeof value === 'object' && Object.keys(value).length === 0)

/** The fields of the configuration that say how the adapter is built. */
function adapterRows(config: LoraConfig, constants: InputConstants | undefined): [string, string][] {
  const told = (Object.keys(loraFieldTable) as (keyof LoraConfig)[]).filter((field) => loraFieldTable[field].card)
  const fields = [...told.map((field) => [peftKey(field), config[field]] as const), ['onnx_constants', constants] as const]
  return fields.filter(([, value]) => !isEmpty(value)).map(([name, value]) => [name, code(value)])
}

function resultRows(card: Pick<ModelCard, 'events' | 'bestStep'>): [string, string][] {
  const { events, bestStep } = card
  const steps = ofKind<StepEvent>(events, 'step')
  const evals = ofKind<EvalEvent>(events, 'eval')
  const rows: [string, string][] = []
  const [first, last] = [steps[0], steps.at(-1)]
  if (first !== undefined && last !== undefined)
    rows.push(
      ['Steps', String(last.step)],
      [`Training loss, step ${first.step}`, number(first.loss)],
      [`Training loss, step ${last.step}`, number(last.loss)],
    )
  const [early, late, kept] = [evals[0], evals.at(-1), keptEvaluation(card)]
  if (early !== undefined && late !== undefined && kept !== undefined) {
    if (early !== late) rows.push([`Evaluation loss, step ${early.step}`, number(early.loss)])
    if (kept !== late && kept !== early) rows.push([`Evaluation loss, step ${kept.step}`, number(kept.loss)])
    rows.push([`Evaluation loss, step ${late.step}`, number(late.loss)])
    if (bestStep !== undefined) rows.push(['Adapter of step', `${bestStep}, the best evaluation`])
    const { event: _, step: __, loss: ___, best: ____, ...metrics } = kept
    for (const [name, value] of Object.entries(metrics))
      if (typeof value === 'number' && Number.isFinite(value)) rows.push([`Evaluation ${name}`, number(value)])
  }
  return rows
}

/** What somebody who wants to share the adapter must know of a base that only this machine has. */
const LOCAL_BASE =
  'The base model was a folder or file of the machine that trained. Before this adapter is shared, write the id of the base on the Hugging Face Hub, `owner/name`, into `base_model_name_or_path` of `adapter_config.json`, and as `base_model: owner/name` into the front matter of this file.'

/** Front matter that the hub reads; see https://huggingface.co/docs/hub/model-cards. */
function frontMatter(card: ModelCard): string {
  const { baseModel, baseOnHub, task, license, dataFiles, evalFiles } = card
  const { tag } = tasks[task]
  const evaluation = keptEvaluation(card)
  return [
    '---',
    // The hub refuses a commit whose card has anything but an id here.
    ...(baseOnHub ? [`base_model: ${yaml(baseModel)}`, 'base_model_relation: adapter'] : []),
    'library_name: peft',
    ...(tag === undefined ? [] : [`pipeline_tag: ${tag}`]),
    ...(license === undefined ? [] : [`license: ${yaml(license)}`]),
    'tags:',
    ...['lora', 'peft', 'lowrank', ...(baseOnHub ? [`base_model:adapter:${baseModel}`] : [])].map((name) => `- ${yaml(name)}`),
    ...(tag === undefined || evaluation === undefined
      ? []
      : modelIndex({ name: `${baseName(baseModel)}-lora`, task: tag, dataFiles: evalFiles ?? dataFiles, evaluation }, yaml)),
    '---',
  ].join('\n')
}

/** The card as Markdown. A function of its argument alone: the same run gives the same text. */
export function modelCard(card: ModelCard): string {
  const { baseModel, config, events, hyperparameters, dataFiles, dataFingerprint, evalRows, version } = card
  const start = ofKind<StartEvent>(events, 'start')[0]
  const done = ofKind<DoneEvent>(events, 'done').at(-1)
  const sizes = done ?? start
  const settings = Object.entries(hyperparameters).filter(([, value]) => !isEmpty(value))
  const results = resultRows(card)
  const base = JSON.stringify(baseModel)
  const given = card.constants === undefined ? '' : `, { constants: ${JSON.stringify(card.constants)} }`
  const { auto } = tasks[card.task]
  const { head } = card
  const told = [base, ...(head === undefined ? [] : [`num_labels=${head.numLabels}`]), ...(head?.mismatches === true ? ['ignore_mismatched_sizes=True'] : [])].join(', ') // prettier-ignore
  const parts = [
    frontMatter(card),
    MARK,
    `# LoRA adapter for ${code(baseModel)}`,
    sizes === undefined
      ? 'A LoRA adapter in the format of PEFT.'
      : `A LoRA adapter in the format of PEFT: ${sizes.trainableParameters.toLocaleString('en-US')} trained parameters beside ${(sizes.totalParameters - sizes.trainableParameters).toLocaleString('en-US')} of the base model.`,
    ...(card.baseOnHub ? [] : [`> **Note.** ${LOCAL_BASE}`]),
    '## Use',
    `With lowrank:\n\n\`\`\`ts\nimport { loadModel, loadAdapter } from 'lowrank'\n\nconst model = await loadModel(${base}${given})\nconst adapter = await loadAdapter(model, 'path/to/this/folder')\n\`\`\``,
    `In Python:\n\n\`\`\`python\nfrom peft import PeftModel\nfrom transformers import ${auto}\n\nmodel = PeftModel.from_pretrained(${auto}.from_pretrained(${told}), "path/to/this/folder")\n\`\`\``,
    '## Adapter',
    table(['Field', 'Value'], adapterRows(config, card.constants)),
    '## Training',
    table(
      ['Setting', 'Value'],
      settings.map(([name, value]) => [name, code(value)]),
    ),
    ...(card.command === undefined ? [] : [`By this command:\n\n${block('sh', card.command)}`]),
    ...(results.length === 0 ? [] : ['## Results', table(['', ''], results)]),
    '## Data',
    table(
      ['', ''],
      [
        ['Files', dataFiles.map(code).join(', ')],
        ...(start === undefined ? [] : [['Rows', start.rows.toLocaleString('en-US')] as [string, string]]),
        ...(evalRows === undefined ? [] : [['Rows for evaluation', evalRows.toLocaleString('en-US')] as [string, string]]),
        ['Fingerprint', code(dataFingerprint)],
      ],
    ),
    `## Versions\n\nlowrank ${version}; the adapter's files are those of PEFT 0.21.`,
  ]
  // Names of strangers: of the base, of files, of modules.
  return printable(`${parts.join('\n\n')}\n`)
}

/**
 * Writes the card into a folder, whole or not at all. A `README.md` that is not ours stays as it is.
 * @returns whether it was written
 */
export async function writeModelCard(files: Files, folder: string, card: ModelCard): Promise<boolean> {
  const path = `${folder}/${CARD_FILE}`
  if ((await files.exists(path)) && !(await files.readText(path)).includes(MARK)) return false
  await files.write(path, modelCard(card))
  return true
}

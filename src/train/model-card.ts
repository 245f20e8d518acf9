/** @file The model card of a training run: `README.md` of the adapter's folder, as the Hugging Face Hub shows it. */
import { peftKey, type LoraConfig } from '../adapters/lora-config.js'
import { loraFieldTable } from '../adapters/lora-fields.js'
import type { Files } from '../io/files.js'
import type { InputConstants } from '../lower/input-constants.js'
import type { TaskName } from '../models/task.js'
import type { DoneEvent, EvalEvent, StartEvent, StepEvent, TrainEvent } from './events.js'
import { printable } from '../errors.js'

export const CARD_FILE = 'README.md'

/** Tells our cards from those that a person or PEFT wrote, which are left alone. */
const MARK = '<!-- Written by lowrank from the training log; remove this line to keep your own changes. -->'

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
  custom: { auto: 'AutoModel' },
}

/** A YAML scalar: plain where that is safe, else in double quotes, which YAML reads as JSON. */
const yaml = (text: string): string =>
  /^[A-Za-z][\w./-]*$/.test(text) && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(text) ? text : JSON.stringify(text)

const number = (value: number): string => String(Number(value.toPrecision(6)))

/** Code in a table cell; a bar would end the cell, and as many backticks as begin it the code. */
const code = (value: unknown): string => {
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).replace(/\s+/g, ' ').replaceAll('|', '\\|')
  const fence = '`'.repeat(1 + Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length)))
  return fence.length > 1 ? `${fence} ${text} ${fence}` : `\`${text}\``
}

const table = (head: readonly [string, string], rows: readonly (readonly [string, string])[]): string =>
  [head, ['---', '---'] as const, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const ofKind = <E extends TrainEvent>(events: readonly TrainEvent[], kind: E['event']): E[] =>
  events.filter((event): event is E => event.event === kind)

const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || (typeof value === 'object' && Object.keys(value).length === 0)

/** The fields of the configuration that say how the adapter is built. */
function adapterRows(config: LoraConfig, constants: InputConstants | undefined): [string, string][] {
  const told = (Object.keys(loraFieldTable) as (keyof LoraConfig)[]).filter((field) => loraFieldTable[field].card)
  const fields = [...told.map((field) => [peftKey(field), config[field]] as const), ['onnx_constants', constants] as const]
  return fields.filter(([, value]) => !isEmpty(value)).map(([name, value]) => [name, code(value)])
}

function resultRows(events: readonly TrainEvent[], bestStep: number | undefined): [string, string][] {
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
  const [early, late] = [evals[0], evals.at(-1)]
  if (early !== undefined && late !== undefined) {
    if (early !== late) rows.push([`Evaluation loss, step ${early.step}`, number(early.loss)])
    const kept = evals.find(({ step }) => step === bestStep) ?? late
    if (kept !== late && kept !== early) rows.push([`Evaluation loss, step ${kept.step}`, number(kept.loss)])
    rows.push([`Evaluation loss, step ${late.step}`, number(late.loss)])
    if (bestStep !== undefined) rows.push(['Adapter of step', `${bestStep}, the best evaluation`])
    // Of what lies beside the card.
    const { event: _, step: __, loss: ___, best: ____, ...metrics } = kept
    for (const [name, value] of Object.entries(metrics))
      if (typeof value === 'number' && Number.isFinite(value)) rows.push([`Evaluation ${name}`, number(value)])
  }
  return rows
}

/** Front matter that the hub reads; see https://huggingface.co/docs/hub/model-cards. */
function frontMatter({ baseModel, task, license }: ModelCard): string {
  const { tag } = tasks[task]
  return [
    '---',
    `base_model: ${yaml(baseModel)}`,
    'library_name: peft',
    ...(tag === undefined ? [] : [`pipeline_tag: ${tag}`]),
    ...(license === undefined ? [] : [`license: ${yaml(license)}`]),
    'tags:',
    ...['lora', 'peft', 'lowrank', `base_model:adapter:${baseModel}`].map((name) => `- ${yaml(name)}`),
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
  const results = resultRows(events, card.bestStep)
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

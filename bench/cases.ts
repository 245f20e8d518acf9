/** @file What is measured: models, rows and options, written as files that both engines read. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addLora, loadModel, Random } from '../src/index.js'
import { tokenizedRows } from './inner.js'
import { configs, folder, randomModel, type ModelName } from './models.js'

/** A training run as both engines get it. Paths are absolute. */
export interface Case {
  readonly name: string
  readonly title: string
  /** Hugging Face folder. */
  readonly model: string
  /** PEFT folder that both engines start from: the same A and B. */
  readonly adapter: string
  /** Rows as a user has them (ours tokenises while it trains). */
  readonly data: string
  readonly evalData?: string
  /** The same rows tokenised, `{"input_ids", "labels"}` a line, for the other engine, which tokenises nothing. */
  readonly tokens: string
  readonly evalTokens?: string
  readonly batchSize: number
  readonly maxLength: number
  readonly learningRate: number
  /** Of language models by default. */
  readonly task?: 'sequence-classification'
  readonly steps: number
  /** Steps before the first that counts. */
  readonly warmupSteps: number
  /** Steps that one engine runs before it is the other's turn. */
  readonly stepsPerTurn: number
}

const repository = dirname(dirname(fileURLToPath(import.meta.url)))
const shared = resolve(repository, '../shared')

const json = (value: unknown): string => `${JSON.stringify(value)}\n`
const lines = (rows: readonly unknown[]): string => rows.map(json).join('')

/** The files of the E2E experiment; absent in a plain checkout. */
const e2eFiles = { model: join(shared, 'models/stories260k'), data: join(shared, 'data/e2e') }
export const hasE2e = (): boolean => existsSync(e2eFiles.model) && existsSync(e2eFiles.data)

/** Tokenises rows as training does and writes them for the other engine. */
async function writeTokens(model: string, data: string, to: string, maxLength: number): Promise<void> {
  await writeFile(to, lines(await tokenizedRows(await loadModel(model), data, maxLength)))
}

async function writeAdapter(
  model: string,
  to: string,
  options: { r?: number; alpha: number; targetModules: string[] | 'all-linear' },
): Promise<void> {
  const adapter = await addLora(await loadModel(model), { r: 8, seed: 0, ...options })
  await adapter.save(to)
}

/** A run on random tokens of equal rows, for speed and memory alone. */
export interface SyntheticRun {
  readonly model: ModelName
  readonly batchSize: number
  readonly length: number
  readonly r?: number
  /** Steps that count. */
  readonly rounds: number
}

const targets: Readonly<Record<ModelName, string[]>> = {
  'gpt2-small': ['c_attn'],
  'qwen2-0.5b': ['q_proj', 'v_proj'],
  'llama-1.1b': ['q_proj', 'v_proj'],
  'smollm2-135m': ['q_proj', 'v_proj'],
  'bert-base': ['query', 'value'],
}

const titles: Readonly<Record<ModelName, string>> = {
  'gpt2-small': 'GPT-2 small',
  'qwen2-0.5b': 'Qwen2 0.5B',
  'llama-1.1b': 'Llama 1.1B',
  'smollm2-135m': 'SmolLM2 135M',
  'bert-base': 'BERT base, classification',
}

/** Training steps on rows of random tokens, every one of them labelled (of a classifier: the row). */
export async function syntheticCase(run: SyntheticRun): Promise<Case> {
  const { model: name, batchSize, length, r = 8, rounds } = run
  const title = `${titles[name]}, ${batchSize} x ${length} tokens, r = ${r} on ${targets[name].join(', ')}, one step`
  const id = `${name}-${batchSize}x${length}-r${r}`
  const home = join(folder, id)
  const model = await randomModel(name)
  const [data, adapter] = [join(home, 'rows.jsonl'), join(home, 'adapter')]
  await mkdir(home, { recursive: true })
  const random = Random.derive(7, 'bench')
  const warmupSteps = 2
  const ids = (): number[] => Array.from({ length }, () => Math.floor(random.uniform() * configs[name].vocab_size))
  const classes = name === 'bert-base'
  const rows = Array.from({ length: batchSize * (rounds + warmupSteps) }, (_, i) => {
    const input_ids = ids()
    return { input_ids, labels: classes ? i % 2 : input_ids }
  })
  await writeFile(data, lines(rows))
  await writeAdapter(model, adapter, { r, alpha: 16, targetModules: targets[name] })
  return {
    ...{ name: id, title, model, adapter, data, tokens: data, batchSize, maxLength: length, learningRate: 1e-4 },
    ...{ steps: rounds + warmupSteps, warmupSteps, stepsPerTurn: 1 },
    ...(classes && { task: 'sequence-classification' as const }),
  }
}

/** The standard case: batch 4 x 256 tokens, r = 8 on `c_attn`. */
export const gpt2Case = (rounds: number): Promise<Case> =>
  syntheticCase({ model: 'gpt2-small', batchSize: 4, length: 256, rounds })

/** `MR||text` to prompt and completion. */
function e2eRow(line: string): { prompt: string; completion: string } {
  const [meaning, text] = line.split('||') as [string, string]
  return { prompt: `${meaning}\n`, completion: text.trim() }
}

/** Data to text: 200 steps of 16 rows of E2E with a llama of 260,000 parameters. */
export async function e2eCase(steps = 200): Promise<Case> {
  const home = join(folder, 'e2e')
  const { model, data } = e2eFiles
  await mkdir(home, { recursive: true })
  const [batchSize, maxLength] = [16, 256]
  for (const [split, count] of [
    ['train', 3200],
    ['valid', 200],
  ] as const) {
    const text = await readFile(join(data, `${split}.txt`), 'utf8')
    await writeFile(join(home, `${split}.jsonl`), lines(text.split('\n').slice(0, count).map(e2eRow)))
    await writeTokens(model, join(home, `${split}.jsonl`), join(home, `${split}.tokens.jsonl`), maxLength)
  }
  await writeAdapter(model, join(home, 'adapter'), { alpha: 16, targetModules: 'all-linear' })
  return {
    ...{
      name: 'e2e',
      title: 'E2E, stories260k, r = 8 on all linear layers, batch 16, 200 steps',
      model,
      adapter: join(home, 'adapter'),
    },
    ...{ data: join(home, 'train.jsonl'), tokens: join(home, 'train.tokens.jsonl') },
    ...{ evalData: join(home, 'valid.jsonl'), evalTokens: join(home, 'valid.tokens.jsonl') },
    ...{ batchSize, maxLength, learningRate: 3e-3, steps, warmupSteps: 10, stepsPerTurn: 10 },
  }
}

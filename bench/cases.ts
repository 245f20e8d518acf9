/** @file What is measured: models, rows and options, written as files that both engines read. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadModel, addLora } from '../src/index.js'
import { openModelDataset } from '../src/train/evaluate.js'
import { encodeSafetensors } from '../src/formats/safetensors-write.js'
import { ConfigReader, type Json } from '../src/models/config-reader.js'
import { randomWeights } from '../src/models/random.js'
import { Random } from '../src/util/rng.js'

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
  readonly steps: number
  /** Steps before the first that counts. */
  readonly warmupSteps: number
  /** Steps that one engine runs before it is the other's turn. */
  readonly stepsPerTurn: number
}

const repository = dirname(dirname(fileURLToPath(import.meta.url)))
const shared = resolve(repository, '../shared')
const folder = join(tmpdir(), 'lowrank-bench')

const json = (value: unknown): string => `${JSON.stringify(value)}\n`
const lines = (rows: readonly unknown[]): string => rows.map(json).join('')

/** The files of the E2E experiment; absent in a plain checkout. */
const e2eFiles = { model: join(shared, 'models/stories260k'), data: join(shared, 'data/e2e') }
export const hasE2e = (): boolean => existsSync(e2eFiles.model) && existsSync(e2eFiles.data)

const gpt2Config = {
  ...{ architectures: ['GPT2LMHeadModel'], model_type: 'gpt2', activation_function: 'gelu_new', layer_norm_epsilon: 1e-5 },
  ...{ vocab_size: 50257, n_positions: 1024, n_embd: 768, n_layer: 12, n_head: 12, tie_word_embeddings: true },
  // transformers' default is 0.1; a frozen base is better without, and ours has none.
  ...{ resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 },
}

/** GPT-2 small with random weights, written once. @returns its folder */
export async function gpt2Small(): Promise<string> {
  const path = join(folder, 'gpt2-small-model')
  if (!existsSync(join(path, 'config.json'))) {
    await mkdir(path, { recursive: true })
    const weights = randomWeights(new ConfigReader(gpt2Config as Record<string, Json>, path), 1)
    await writeFile(join(path, 'part'), encodeSafetensors(weights))
    await rename(join(path, 'part'), join(path, 'model.safetensors'))
    // Last: whoever finds it finds all.
    await writeFile(join(path, 'config.json'), json(gpt2Config))
  }
  return path
}

/** Tokenises rows as training does and writes them for the other engine. */
async function writeTokens(model: string, data: string, to: string, maxLength: number): Promise<void> {
  const dataset = await openModelDataset(await loadModel(model), data, { maxLength })
  const rows: unknown[] = []
  for (let i = 0; i < dataset.length; i++) {
    const example = await dataset.example(i)
    if (example !== undefined) rows.push({ input_ids: example.inputIds, labels: example.labels })
  }
  await writeFile(to, lines(rows))
}

async function writeAdapter(
  model: string,
  to: string,
  options: { alpha: number; targetModules: string[] | 'all-linear' },
): Promise<void> {
  const adapter = await addLora(await loadModel(model), { r: 8, seed: 0, ...options })
  await adapter.save(to)
}

/** One training step of GPT-2 small: batch 4 x 256 tokens, all labelled, r = 8 on `c_attn`. */
export async function gpt2Case(rounds: number): Promise<Case> {
  const home = join(folder, 'gpt2-small')
  const model = await gpt2Small()
  const [data, adapter] = [join(home, 'rows.jsonl'), join(home, 'adapter')]
  await mkdir(home, { recursive: true })
  const random = Random.derive(7, 'bench')
  const [batchSize, length, warmupSteps] = [4, 256, 2]
  const ids = (): number[] => Array.from({ length }, () => Math.floor(random.uniform() * gpt2Config.vocab_size))
  await writeFile(data, lines(Array.from({ length: batchSize * (rounds + warmupSteps) }, () => ({ input_ids: ids() }))))
  await writeTokens(model, data, join(home, 'tokens.jsonl'), length)
  await writeAdapter(model, adapter, { alpha: 16, targetModules: ['c_attn'] })
  return {
    ...{ name: 'gpt2-small', title: 'GPT-2 small, 4 x 256 tokens, r = 8 on c_attn, one step', model, adapter, data },
    ...{ tokens: join(home, 'tokens.jsonl'), batchSize, maxLength: length, learningRate: 1e-4 },
    ...{ steps: rounds + warmupSteps, warmupSteps, stepsPerTurn: 1 },
  }
}

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

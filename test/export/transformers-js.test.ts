/** @file Exports loaded by transformers.js itself: the same tokens, scores and features as lowrank's own. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  AutoModelForCausalLM,
  AutoModelForImageClassification,
  AutoTokenizer,
  env,
  pipeline,
  Tensor,
} from '@huggingface/transformers'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  addLora,
  exportOnnx,
  generate,
  loadAdapter,
  loadModel,
  merge,
  type Adapter,
  type FolderModel,
  type Model,
} from '../../src/index.js'
import { int64 } from '../../src/graph/constants.js'
import type { HostTensor } from '../../src/graph/types.js'
import { Random } from '../../src/util/rng.js'
import { golden } from '../cli/run-cli.js'
import { hostTensor, relativeError, tensorsOf } from '../models/golden.js'
import { temporaryFolder } from '../support/training.js'

const root = resolve(import.meta.dirname, '../..')
const fixtures = join(root, 'test/fixtures/export')
const exports = temporaryFolder()

beforeAll(() => {
  env.allowRemoteModels = false
  env.localModelPath = exports
})

/** An adapter that changes what the model says, without training. */
async function noisyAdapter(model: Model, size: number): Promise<Adapter> {
  const adapter = await addLora(model, { r: 4, alpha: 8, targetModules: 'all-linear' })
  const random = new Random(5)
  for (const { name } of adapter.parameters.specs) {
    const values = adapter.parameters.view(name)
    for (let i = 0; i < values.length; i++) values[i] = size * random.normal()
  }
  return adapter
}

interface Ids {
  readonly data: BigInt64Array
  readonly dims: readonly number[]
}

const rowsOf = ({ data, dims }: Ids): number[][] =>
  Array.from({ length: dims[0]! }, (_, i) => Array.from(data.subarray(i * dims[1]!, (i + 1) * dims[1]!), Number))

describe('text generation from an adapted Llama', () => {
  const prompts = ['The game was', 'A', 'Once upon a time there were two']
  let model: Model
  let adapter: Adapter
  beforeAll(async () => {
    model = await loadModel(join(root, 'demo/base'), { threads: 1 })
    adapter = await noisyAdapter(model, 0.05)
    await merge(adapter).save(join(exports, 'llama'), { format: 'onnx' })
    await exportOnnx(model, join(exports, 'llama-base'))
  })

  it.each([
    ['llama', (): Adapter => adapter],
    ['llama-base', (): Model => model],
  ])('%s: the same greedy tokens', async (name, subject) => {
    const tokenizer = await AutoTokenizer.from_pretrained(name)
    const theirs = await AutoModelForCausalLM.from_pretrained(name)
    for (const prompt of prompts) {
      const inputs = tokenizer(prompt) as { input_ids: Ids }
      const output = (await theirs.generate({ ...inputs, max_new_tokens: 40, do_sample: false })) as Ids
      const length = inputs.input_ids.dims[1]!
      const ours = await generate(subject(), { prompt, maxNewTokens: 40 })
      expect(ours.ids.length).toBeGreaterThan(3)
      // Theirs keep the token that ends a text.
      expect(rowsOf(output)[0]!.slice(length, length + ours.ids.length)).toEqual(ours.ids)
    }
    await theirs.dispose()
  })

  it('the adapter changes the text, and the pipeline gives it', async () => {
    const write = await pipeline('text-generation', 'llama')
    const [written] = (await write(prompts[0]!, { max_new_tokens: 20, do_sample: false, return_full_text: false })) as [
      { generated_text: string },
    ]
    const options = { prompt: prompts[0]!, maxNewTokens: 20 }
    const [ours, base] = [await generate(adapter, options), await generate(model, options)]
    expect(ours.text).not.toBe(base.text)
    expect(written.generated_text.trim()).toBe(ours.text.trim())
    await write.dispose()
  })

  it('a padded batch gives what each prompt gives alone', async () => {
    const tokenizer = await AutoTokenizer.from_pretrained('llama')
    tokenizer.padding_side = 'left'
    const theirs = await AutoModelForCausalLM.from_pretrained('llama')
    const inputs = tokenizer(prompts, { padding: true }) as { input_ids: Ids }
    const output = (await theirs.generate({ ...inputs, max_new_tokens: 12, do_sample: false })) as Ids
    const length = inputs.input_ids.dims[1]!
    for (const [i, prompt] of prompts.entries()) {
      const { ids } = await generate(adapter, { prompt, maxNewTokens: 12 })
      expect(rowsOf(output)[i]!.slice(length, length + ids.length)).toEqual(ids)
    }
    await theirs.dispose()
  })
})

describe('an adapted BERT', () => {
  const texts = ['The film was very good!', 'food', 'Not great, and the food is bad.']
  let model: Model
  let adapter: Adapter
  const folder = temporaryFolder()
  beforeAll(async () => {
    cpSync(join(golden, 'bert/model'), join(folder, 'model'), { recursive: true })
    cpSync(join(fixtures, 'bert-tokenizer'), join(folder, 'model'), { recursive: true })
    model = await loadModel(join(folder, 'model'), { threads: 1 })
    adapter = await loadAdapter(model, join(golden, 'bert/adapter'))
  })

  /** What lowrank's own graph of training and evaluation says for a text. */
  async function ours(subject: Adapter, text: string): Promise<HostTensor> {
    const { graph } = subject.attach(subject.model.build({ mode: 'full' }).graph)
    const session = await subject.model.environment.runtime.createSession(graph)
    const ids = (await subject.model.tokenizer())!.encode(text)
    const row = (values: readonly number[]): HostTensor => int64([1, ids.length], values)
    const feeds = { input_ids: row(ids), attention_mask: row(ids.map(() => 1)), token_type_ids: row(ids.map(() => 0)) }
    const results = await session.run({ ...feeds, ...Object.fromEntries(subject.tensors) })
    await session.release()
    return Object.values(results)[0]!
  }

  it('text classification: the same scores, alone and in a padded batch', async () => {
    await exportOnnx(adapter, join(exports, 'bert'))
    const classify = await pipeline('text-classification', 'bert')
    type Scores = { label: string; score: number }[]
    const batch = (await classify(texts, { top_k: null as unknown as number })) as unknown as Scores[]
    for (const [i, text] of texts.entries()) {
      const logits = Array.from((await ours(adapter, text)).data as Float32Array)
      const total = logits.reduce((sum, x) => sum + Math.exp(x), 0)
      const alone = (await classify(text, { top_k: null as unknown as number })) as unknown as Scores
      for (const scores of [alone, batch[i]!]) {
        expect(scores).toHaveLength(3)
        for (const { label, score } of scores) expect(score).toBeCloseTo(Math.exp(logits[Number(label.slice(-1))]!) / total, 5)
      }
    }
    await classify.dispose()
  })

  it('feature extraction: the same means of the last hidden states', async () => {
    const bare = join(folder, 'bare')
    mkdirSync(bare)
    cpSync(join(folder, 'model'), bare, { recursive: true })
    const config = JSON.parse(readFileSync(join(bare, 'config.json'), 'utf8')) as object
    writeFileSync(join(bare, 'config.json'), JSON.stringify({ ...config, architectures: ['BertModel'] }))
    const encoder = (await loadModel(bare, { threads: 1 })) as FolderModel
    const embedder = await noisyAdapter(encoder, 0.2)
    await exportOnnx(embedder, join(exports, 'bert-features'))
    const extract = await pipeline('feature-extraction', 'bert-features')
    const theirs = await extract(texts, { pooling: 'mean' })
    for (const [i, text] of texts.entries()) {
      const { data, shape } = await ours(embedder, text)
      const [, tokens, width] = shape as [number, number, number]
      const mean = Array.from({ length: width }, (_, k) =>
        Array.from({ length: tokens }, (_, t) => (data as Float32Array)[t * width + k]! / tokens).reduce((a, b) => a + b),
      )
      expect(relativeError((theirs.data as Float32Array).subarray(i * width, (i + 1) * width), mean)).toBeLessThan(1e-5)
    }
    await extract.dispose()
  })
})

it('image classification from an adapted ViT: the golden logits', async () => {
  const tensors = await tensorsOf(join(golden, 'vit/tensors.safetensors'))
  const pixels = await hostTensor(tensors, 'input.pixel_values')
  const model = await loadModel(join(golden, 'vit/model'), { threads: 1 })
  await exportOnnx(await loadAdapter(model, join(golden, 'vit/adapter')), join(exports, 'vit'))
  const theirs = await AutoModelForImageClassification.from_pretrained('vit')
  const { logits } = (await theirs({ pixel_values: new Tensor('float32', pixels.data, [...pixels.shape]) })) as {
    logits: { data: Float32Array }
  }
  expect(relativeError(logits.data, (await hostTensor(tensors, 'logits')).data as Float32Array)).toBeLessThan(1e-5)
  await theirs.dispose()
})

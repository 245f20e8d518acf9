/**
 * @file Makes `demo/base/`: a small Llama trained from scratch on domain A, with lowrank itself and every weight trainable.
 *
 * Run with `npx tsx demo/pretrain.ts [folder] [first cycle]`. Seeds are fixed; about a quarter of an hour on two cores.
 */
import { castFloats, encodeSafetensors } from '../src/formats/index.js'
import type { HostTensor } from '../src/graph/index.js'
import { fullTrainee, loadModel, nodeEnvironment, Random, randomWeights, train, type JsonValue } from '../src/index.js'
import { generateRows, HELD_OUT, reformatted, toJsonl } from './rows.js'
import { writeTokenizer } from './tokenizer.js'

const SEED = 1
const BATCH = 32
/**
 * Three cosine cycles (Loshchilov and Hutter, "SGDR", 2017): one to read fields and write sentences, two to do so whatever
 * the order and punctuation of the fields. Each begins with the weights of the one before as they were written.
 */
const CYCLES = [
  { steps: 900, learningRate: 3e-3, anyFormat: false },
  { steps: 900, learningRate: 2e-3, anyFormat: true },
  { steps: 900, learningRate: 2e-3, anyFormat: true },
] as const

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 768,
  hidden_size: 160,
  intermediate_size: 448,
  num_hidden_layers: 4,
  num_attention_heads: 5,
  num_key_value_heads: 5,
  head_dim: 32,
  hidden_act: 'silu',
  rms_norm_eps: 1e-6,
  max_position_embeddings: 256,
  rope_parameters: { rope_theta: 10000, rope_type: 'default' },
  attention_bias: false,
  mlp_bias: false,
  initializer_range: 0.04,
  tie_word_embeddings: true,
  pad_token_id: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  dtype: 'float16',
} satisfies Record<string, JsonValue>

const { files } = nodeEnvironment()
const WORK = 'out/pretrain'

/** The tokenizer sees both domains, as one of a large model would have; the weights see only domain A. */
async function begin(folder: string): Promise<void> {
  const texts = [...generateRows('general', 6000, SEED), ...generateRows('trains', 2000, SEED)]
  await writeTokenizer(
    files,
    folder,
    texts.map((row) => row.prompt + row.completion),
    config.vocab_size,
  )
  const { bos_token_id, eos_token_id, pad_token_id } = config
  await files.write(
    `${folder}/generation_config.json`,
    `${JSON.stringify({ bos_token_id, eos_token_id, pad_token_id }, null, 2)}\n`,
  )
  await write(folder, randomWeights(config, SEED))
}

/** Rounds to float16 and writes weights and config. */
async function write(folder: string, weights: ReadonlyMap<string, HostTensor>): Promise<void> {
  const rounded = Array.from(weights, ([name, tensor]) => [name, castFloats(tensor, 'float16')] as const)
  await files.write(`${folder}/model.safetensors`, encodeSafetensors(rounded))
  await files.write(`${folder}/config.json`, `${JSON.stringify(config, null, 2)}\n`)
}

/** Trains every weight on rows of the cycle's own seed, and writes the model back. */
async function cycle(folder: string, number: number): Promise<void> {
  const { steps, learningRate, anyFormat } = CYCLES[number] as (typeof CYCLES)[number]
  const heldOut = generateRows('general', HELD_OUT.general.rows, HELD_OUT.general.seed)
  const known = new Set(heldOut.map((row) => row.prompt))
  const random = Random.derive(SEED, 'formats')
  const rows = generateRows('general', steps * BATCH, SEED + number)
    .filter((row) => !known.has(row.prompt))
    .map((row) => (anyFormat ? reformatted(row, random) : row))
  await files.write(`${WORK}/train.jsonl`, toJsonl(rows))
  await files.write(`${WORK}/eval.jsonl`, toJsonl(heldOut))

  const trainee = await fullTrainee(await loadModel(folder))
  const data = {
    data: `${WORK}/train.jsonl`,
    evalData: `${WORK}/eval.jsonl`,
    evalEvery: 150,
    groupByLength: true,
    maxLength: 128,
  }
  const optimizer = { learningRate, schedule: 'cosine', warmup: 100, beta2: 0.98 } as const
  for await (const event of train(trainee, { ...data, ...optimizer, steps, batchSize: BATCH, seed: SEED + number })) {
    if (event.event === 'step' && event.step % 50 === 0)
      console.log(`cycle ${number + 1}, step ${event.step} of ${steps}: loss ${event.loss.toFixed(4)}`)
    if (event.event === 'eval')
      console.log(`cycle ${number + 1}, after step ${event.step}: held-out loss ${event.loss.toFixed(4)}`)
  }
  await write(folder, trainee.parameters.tensors)
}

const [folder = 'demo/base', from = '1'] = process.argv.slice(2)
if (from === '1') await begin(folder)
for (let number = Number(from) - 1; number < CYCLES.length; number++) await cycle(folder, number)

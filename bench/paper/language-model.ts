/** @file A GPT-2 of four million parameters, trained from scratch on the texts at hand: the base of the experiments. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeTokenizer } from '../../demo/tokenizer.js'
import { encodeSafetensors } from '../../src/formats/index.js'
import { fullTrainee, loadModel, nodeEnvironment, Random, randomWeights, train, type JsonValue } from '../../src/index.js'
import { folder } from '../models.js'
import { languageTexts } from './texts.js'

const SEED = 1
const PRETRAIN = { steps: 1500, batchSize: 32, learningRate: 1.5e-3, warmup: 0.05, schedule: 'cosine', beta2: 0.98 } as const

const config = {
  ...{ architectures: ['GPT2LMHeadModel'], model_type: 'gpt2', activation_function: 'gelu_new', layer_norm_epsilon: 1e-5 },
  ...{ vocab_size: 2048, n_positions: 256, n_embd: 224, n_layer: 6, n_head: 7, tie_word_embeddings: true },
  ...{ resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0, initializer_range: 0.02 },
  ...{ pad_token_id: 0, bos_token_id: 1, eos_token_id: 2 },
} satisfies Record<string, JsonValue>

/** Trained once and kept. @returns its folder */
export async function languageModel(threads: number, say: (text: string) => void): Promise<string> {
  const home = join(folder, 'paper', 'gpt2-4m')
  if (existsSync(join(home, 'done'))) return home
  const { files } = nodeEnvironment()
  const texts = await languageTexts()
  await writeTokenizer(files, home, texts, config.vocab_size)
  const { bos_token_id, eos_token_id, pad_token_id } = config
  await files.write(`${home}/generation_config.json`, JSON.stringify({ bos_token_id, eos_token_id, pad_token_id }))
  await files.write(`${home}/config.json`, JSON.stringify(config))
  await files.write(`${home}/model.safetensors`, encodeSafetensors(randomWeights(config, SEED)))
  const data = Random.derive(SEED, 'texts').shuffle(texts.map((text) => ({ text })))
  const trainee = await fullTrainee(await loadModel(home, { threads }))
  for await (const event of train(trainee, { data, ...PRETRAIN, seed: SEED, maxLength: 160, groupByLength: true }))
    if (event.event === 'step' && event.step % 50 === 0)
      say(`pretraining ${event.step}/${PRETRAIN.steps}: loss ${event.loss.toFixed(4)}`)
  await files.write(`${home}/model.safetensors`, encodeSafetensors(trainee.parameters.tensors))
  // Last: whoever finds it finds a trained model.
  await writeFile(join(home, 'done'), '')
  return home
}

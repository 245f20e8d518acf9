/** @file A RoBERTa of 1.1 million parameters, trained from scratch on masked texts: the base of the GLUE experiments. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { byteLetters, learnMerges } from '../../demo/tokenizer.js'
import { encodeSafetensors } from '../../src/formats/index.js'
import { fullTrainee, loadModel, nodeEnvironment, Random, randomWeights, train, type JsonValue } from '../../src/index.js'
import { folder } from '../models.js'
import { languageTexts, shared } from './texts.js'

const SEED = 1
const PRETRAIN = { steps: 6000, batchSize: 32, learningRate: 1e-3, warmup: 0.1, schedule: 'linear', beta2: 0.98 } as const
/** WordNet 3.0's files as Debian's package wordnet-base has them. */
const WORDNET = '/usr/share/wordnet'

const special = ['<s>', '<pad>', '</s>', '<unk>', '<mask>'] as const

const config = {
  ...{ architectures: ['RobertaForMaskedLM'], model_type: 'roberta', hidden_act: 'gelu', layer_norm_eps: 1e-5 },
  ...{ vocab_size: 2048, hidden_size: 128, intermediate_size: 512, num_hidden_layers: 4, num_attention_heads: 4 },
  ...{ max_position_embeddings: 130, type_vocab_size: 1, hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1 },
  ...{ pad_token_id: 1, bos_token_id: 0, eos_token_id: 2, initializer_range: 0.05 },
} satisfies Record<string, JsonValue>

/** Glosses of WordNet, training sentences of GLUE, and some of the restaurants: English of several kinds. */
async function encoderTexts(): Promise<string[]> {
  const glosses = await Promise.all(
    ['noun', 'verb', 'adj', 'adv'].map(async (kind) => {
      const lines = (await readFile(join(WORDNET, `data.${kind}`), 'utf8')).split('\n')
      return lines.flatMap((line) => (line.startsWith(' ') ? [] : (/\| (.*)$/.exec(line)?.[1]?.trim() ?? [])))
    }),
  )
  const table = async (file: string): Promise<string[][]> =>
    (await readFile(join(shared, 'data/glue', file), 'utf8')).trimEnd().split('\n').map((line) => line.split('\t')) // prettier-ignore
  const glue = [
    ...(await table('CoLA/train.tsv')).map((row) => row[3]!),
    ...(await table('SST-2/train.tsv')).map((row) => row[0]!),
    ...(await table('RTE/train.tsv')).slice(1).flatMap((row) => [row[1]!, row[2]!]),
    ...(await table('STS-B/sts-train.tsv')).flatMap((row) => [row[5]!, row[6]!]),
  ]
  const random = Random.derive(SEED, 'texts')
  const some = (texts: string[], count: number): string[] => random.shuffle(texts).slice(0, count)
  return random.shuffle([...some(glosses.flat(), 20_000), ...some(await languageTexts(), 8_000), ...glue])
}

/** A byte-level BPE as RoBERTa has it: `<s> A </s>`, and of a pair `<s> A </s></s> B </s>`. */
function tokenizerJson(merges: readonly (readonly [string, string])[]): object {
  const tokens = [...special, ...byteLetters, ...merges.map(([left, right]) => left + right)]
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  const added = special.map((content, id) => ({
    ...{ id, content, single_word: false, lstrip: content === '<mask>', rstrip: false, normalized: false, special: true },
  }))
  return {
    ...{ version: '1.0', truncation: null, padding: null, added_tokens: added, normalizer: null, pre_tokenizer: byteLevel },
    post_processor: { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0], trim_offsets: true, add_prefix_space: false },
    decoder: byteLevel,
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false },
      ...{ vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
    },
  }
}

/** Trained once and kept. @returns its folder */
export async function textEncoder(threads: number, say: (text: string) => void): Promise<string> {
  const home = join(folder, 'paper', 'roberta-1m')
  if (existsSync(join(home, 'done'))) return home
  const { files } = nodeEnvironment()
  const texts = await encoderTexts()
  const write = (name: string, value: object): Promise<void> => files.write(`${home}/${name}`, JSON.stringify(value))
  const merges = learnMerges(texts, config.vocab_size - special.length - byteLetters.length)
  await write('tokenizer.json', tokenizerJson(merges))
  const names = { bos_token: '<s>', pad_token: '<pad>', eos_token: '</s>', unk_token: '<unk>', mask_token: '<mask>' }
  await write('tokenizer_config.json', { tokenizer_class: 'RobertaTokenizerFast', ...names, cls_token: '<s>', sep_token: '</s>', model_max_length: 128 }) // prettier-ignore
  await write('config.json', config)
  await files.write(`${home}/model.safetensors`, encodeSafetensors(randomWeights(config, SEED, { task: 'masked-lm' })))
  const trainee = await fullTrainee(await loadModel(home, { threads, task: 'masked-lm' }))
  const data = texts.map((text) => ({ text }))
  for await (const event of train(trainee, { data, ...PRETRAIN, seed: SEED, maxLength: 64, groupByLength: true }))
    if (event.event === 'step' && event.step % 50 === 0)
      say(`pretraining ${event.step}/${PRETRAIN.steps}: loss ${event.loss.toFixed(4)}`)
  await files.write(`${home}/model.safetensors`, encodeSafetensors(trainee.parameters.tensors))
  // Last: whoever finds it finds a trained model.
  await writeFile(join(home, 'done'), '')
  return home
}

/** @file A small BERT that knows nothing, with a WordPiece vocabulary of given texts: a base to train classifiers on. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeModel } from './training.js'

const root = join(import.meta.dirname, '../..')

/** Of a tokenizer, but for its vocabulary. */
const template = join(root, 'test/fixtures/predict/classes')

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]']
const MOST_WORDS = 2000

/** Every character, alone and within a word, and the words in the order of how often they are there. */
function vocabularyOf(texts: readonly string[], special: readonly string[]): readonly string[] {
  const words = texts.flatMap((text) => text.toLowerCase().match(/[a-z0-9]+|[^\sa-z0-9]/g) ?? [])
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  const frequent = [...counts].sort(([, a], [, b]) => b - a).slice(0, MOST_WORDS).map(([word]) => word) // prettier-ignore
  const characters = [...new Set(words.join(''))].sort()
  return [...new Set([...special, ...characters, ...characters.map((character) => `##${character}`), ...frequent])]
}

/**
 * Writes config.json, model.safetensors and the tokenizer's files.
 * @param masked whether it is a masked language model: with its head, and a tokenizer with a mask token, 4
 */
export function writeBertModel(folder: string, texts: readonly string[], { masked = false } = {}): void {
  mkdirSync(folder, { recursive: true })
  const words = vocabularyOf(texts, masked ? [...SPECIAL, '[MASK]'] : SPECIAL)
  const tokenizer = JSON.parse(readFileSync(join(template, 'tokenizer.json'), 'utf8')) as { model: object }
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]))
  const config = JSON.parse(readFileSync(join(template, 'tokenizer_config.json'), 'utf8')) as object
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ ...tokenizer, model: { ...tokenizer.model, vocab } }))
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ ...config, ...(masked && { mask_token: '[MASK]' }) }))
  const json = {
    model_type: 'bert',
    architectures: ['BertForMaskedLM'],
    vocab_size: words.length,
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    max_position_embeddings: 128,
    // Large enough that it learns within a few steps.
    initializer_range: 0.2,
    type_vocab_size: 2,
    pad_token_id: 0,
  }
  writeModel(folder, json, 1, masked ? 'masked-lm' : undefined)
}

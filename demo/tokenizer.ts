/**
 * @file A small byte-level BPE tokenizer, trained from text and written in Hugging Face's files.
 *
 * Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (2016), on bytes as in GPT-2.
 * Digits stand alone, so that a number is copied digit by digit and needs no token of its own.
 */
import type { Files } from '../src/index.js'

export const specialTokens = ['<pad>', '<s>', '</s>'] as const
const [PAD, BOS, EOS] = specialTokens

/** GPT-2's splitting of text into words, after digits have been set apart. */
const DIGITS = /\d|\D+/gu
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

/** GPT-2's printable stand-ins for the 256 bytes: visible Latin-1 characters are themselves, the others follow from 256. */
export const byteLetters: readonly string[] = (() => {
  let next = 256
  const visible = (byte: number): boolean => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : next++))
})()

const lettersOf = (word: string): string[] => Array.from(new TextEncoder().encode(word), (byte) => byteLetters[byte] as string)

/**
 * Learns merges: again and again the most frequent pair of neighbours becomes one token. Ties go to the pair that sorts
 * first, so the result depends on nothing but the texts.
 * @returns at most `count` pairs, in order; fewer if every word is one token before
 */
export function learnMerges(texts: Iterable<string>, count: number): [string, string][] {
  const frequency = new Map<string, number>()
  for (const text of texts)
    for (const [part] of text.matchAll(DIGITS))
      for (const [word] of part.matchAll(WORDS)) frequency.set(word, (frequency.get(word) ?? 0) + 1)
  const words = [...frequency].map(([word, times]) => ({ symbols: lettersOf(word), times }))

  const pairs = new PairCounts(words)
  const merges: [string, string][] = []
  while (merges.length < count) {
    const best = pairs.mostFrequent()
    if (best === undefined) break
    const [left, right] = best.split(' ') as [string, string]
    merges.push([left, right])
    pairs.join(best, left, right)
  }
  return merges
}

interface Word {
  symbols: string[]
  readonly times: number
}

/** How often each pair of neighbours comes; a join counts those words anew that have its pair, and no others. */
class PairCounts {
  private readonly counts = new Map<string, number>()
  private readonly holders = new Map<string, Set<Word>>()

  constructor(words: readonly Word[]) {
    for (const word of words) this.count(word, 1)
  }

  private count(word: Word, sign: 1 | -1): void {
    const { symbols, times } = word
    for (let i = 1; i < symbols.length; i++) {
      const pair = `${symbols[i - 1]} ${symbols[i]}`
      const left = (this.counts.get(pair) ?? 0) + sign * times
      if (left === 0) this.counts.delete(pair)
      else this.counts.set(pair, left)
      if (sign === 1) this.holders.set(pair, (this.holders.get(pair) ?? new Set()).add(word))
      else this.holders.get(pair)?.delete(word)
    }
  }

  /** Of those that come as often the first by its letters; undefined where every word is one symbol. */
  mostFrequent(): string | undefined {
    let best: readonly [string | undefined, number] = [undefined, 0]
    for (const each of this.counts)
      if (each[1] > best[1] || (each[1] === best[1] && best[0] !== undefined && each[0] < best[0])) best = each
    return best[0]
  }

  join(pair: string, left: string, right: string): void {
    for (const word of [...(this.holders.get(pair) ?? [])]) {
      this.count(word, -1)
      word.symbols = joinPairs(word.symbols, left, right)
      this.count(word, 1)
    }
  }
}

function joinPairs(symbols: string[], left: string, right: string): string[] {
  const result: string[] = []
  for (let i = 0; i < symbols.length; i++) {
    const pair = symbols[i] === left && symbols[i + 1] === right
    result.push(pair ? left + right : (symbols[i] as string))
    if (pair) i++
  }
  return result
}

/** tokenizer.json of a byte-level BPE: special tokens, 256 bytes, merges. BOS goes before a text. */
export function tokenizerJson(merges: readonly (readonly [string, string])[]): object {
  const tokens = [...specialTokens, ...byteLetters, ...merges.map(([left, right]) => left + right)]
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  const special = (content: string, id: number): object => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  })
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map(special),
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel] },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: BOS, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [
        { SpecialToken: { id: BOS, type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { Sequence: { id: 'B', type_id: 1 } },
      ],
      special_tokens: { [BOS]: { id: BOS, ids: [specialTokens.indexOf(BOS)], tokens: [BOS] } },
    },
    decoder: byteLevel,
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false },
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  }
}

/** Trains a tokenizer of `vocabularySize` tokens and writes tokenizer.json and tokenizer_config.json. */
export async function writeTokenizer(
  files: Files,
  folder: string,
  texts: Iterable<string>,
  vocabularySize: number,
): Promise<void> {
  const merges = learnMerges(texts, vocabularySize - specialTokens.length - byteLetters.length)
  const config = {
    ...{ bos_token: BOS, eos_token: EOS, pad_token: PAD, clean_up_tokenization_spaces: false },
    ...{ model_max_length: 256, tokenizer_class: 'PreTrainedTokenizerFast' },
  }
  await files.write(`${folder}/tokenizer.json`, `${JSON.stringify(tokenizerJson(merges), null, 1)}\n`)
  await files.write(`${folder}/tokenizer_config.json`, `${JSON.stringify(config, null, 2)}\n`)
}

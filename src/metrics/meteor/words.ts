/** @file How METEOR's texts become words. */
import { tokenizers, type TokenizerName } from '../tokenize/tokenizers.js'
import { normalizedWords, wordsOf } from './normalize.js'

/** How texts become words; letters are made small in any case. */
export interface MeteorWordOptions {
  /**
   * How a text is split before it is normalised: `ptb` as coco-caption does (E2E), `nltk` as GenerationEval does. Not at all
   * without.
   */
  readonly tokenizer?: TokenizerName
  /**
   * Whether texts are normalised (METEOR's `-norm`): punctuation told apart from words, quotes and dashes of one form; yes by
   * default. Without, words are what stands between white space.
   */
  readonly normalize?: boolean
}

/** The function that splits texts. */
export function splitterOf({ tokenizer, normalize = true }: MeteorWordOptions): (text: string) => string[] {
  const split = normalize ? normalizedWords : wordsOf
  return tokenizer === undefined ? split : (text) => split(tokenizers[tokenizer](text).join(' '))
}

/** What a result says of it: `meteor`, or `ptb, meteor`. */
export const splitterName = ({ tokenizer, normalize = true }: MeteorWordOptions): string =>
  [
    ...(tokenizer === undefined ? [] : [tokenizer]),
    ...(normalize ? ['meteor'] : tokenizer === undefined ? ['whitespace'] : []),
  ].join(', ')

/** @file NLTK's word_tokenize: sentences, and the Treebank's rules for words with NLTK's changes. */
import { SPACE, words } from '../../jinja/unicode.js'
import { sentences } from './sentences.js'

type Step = readonly [pattern: RegExp, replacement: string]

/** Python's `\w`, in a class. */
const WORD = '\\p{L}\\p{N}_'

const CLOSING = '\\])}>"\''

const OPENING_QUOTES: readonly Step[] = [
  [/[«“‘„]|`+/g, ' $& '],
  [/^"/g, '``'],
  [/``/g, ' `` '],
  [/([ ([{<])(?:"|'')/g, '$1 `` '],
  // An apostrophe before a word, unless it is the rest of one: 'tis, but 's.
  [RegExp(`(?<![${WORD}])'(?!(?:re|ve|ll|[mtsdn])(?![${WORD}]))(?=[${WORD}])`, 'giu'), "' "],
]

const PUNCTUATION: readonly Step[] = [
  [RegExp(`([^.])\\.([${CLOSING}»”’ ]*)[${SPACE}]*$`, 'gu'), '$1 . $2 '],
  [/([:,])(\P{Nd})/gu, ' $1 $2'],
  [/[:,]$/g, ' $& '],
  [/\.{2,}/g, ' $& '],
  [/[;@#$%&]/g, ' $& '],
  [/[\u2012-\u2015]/g, ' $& '],
  [RegExp(`([^.])\\.([${CLOSING}]*)[${SPACE}]*$`, 'gu'), '$1 .$2 '],
  [/[?!]/g, ' $& '],
  [/([^'])' /gu, "$1 ' "],
  [/\*/g, ' * '],
  [/[\][(){}<>]/g, ' $& '],
  [/--/g, ' -- '],
]

const CLOSING_QUOTES: readonly Step[] = [
  [/[»”’]/g, ' $& '],
  [/''|"/g, " '' "],
  [RegExp(`[${SPACE}]+`, 'g'), ' '],
  [/([^' ])('[sSmMdD]|') /gu, '$1 $2 '],
  [/([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) /gu, '$1 $2 '],
]

/** Words that are two: of each the first part and the second. */
const JOINED = ['can|not', "d|'ye", 'gim|me', 'gon|na', 'got|ta', 'lem|me', "more|'n"]

const apart = (joined: string, before: string, after: string): Step => {
  const [first, second] = joined.split('|')
  return [RegExp(`${before}(${first})(${second})${after}`, 'giu'), ' $1 $2 ']
}

const CONTRACTIONS: readonly Step[] = [
  ...JOINED.map((joined) => apart(joined, `(?<![${WORD}])`, `(?![${WORD}])`)),
  apart('wan|na', `(?<![${WORD}])`, `(?=[${SPACE}])`),
  apart("'t|is", ' ', `(?![${WORD}])`),
  apart("'t|was", ' ', `(?![${WORD}])`),
]

const apply = (text: string, steps: readonly Step[]): string =>
  steps.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text)

const wordsOfSentence = (sentence: string): readonly string[] =>
  words(apply(` ${apply(sentence, [...OPENING_QUOTES, ...PUNCTUATION])} `, [...CLOSING_QUOTES, ...CONTRACTIONS]))

/**
 * Splits a text into words as NLTK's `word_tokenize` does: sentences first, whose last period stands apart, then the Penn
 * Treebank's rules. Quotes become `` and ''.
 *
 * Source: NLTK 3.10, `NLTKWordTokenizer`, the same tokens; `sentences` says what of its sentences is not here.
 *
 * @example
 * wordTokenize("They can't. It's $3.50.") // ['They', 'ca', "n't", '.', 'It', "'s", '$', '3.50', '.']
 */
export const wordTokenize = (text: string): readonly string[] => sentences(text).flatMap(wordsOfSentence)

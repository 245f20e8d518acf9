/** @file The Penn Treebank's words without punctuation, as coco-caption gets them from Stanford's tokenizer. */
import { words } from '../../jinja/unicode.js'
import { ABBREVIATIONS } from './abbreviations.js'
import { americanSpelling } from './american.js'

/** What coco-caption leaves out. Its list has brackets in capitals, which no lower-cased token is: brackets stay. */
const LEFT_OUT = new Set(["''", "'", '``', '`', '.', '?', '!', ',', ':', '-', '--', '...', ';'])

/** Signs that Stanford's tokenizer writes in ASCII, as the Treebank has them. */
const WRITTEN: Readonly<Record<string, string>> = {
  ...{ '(': '-lrb-', ')': '-rrb-', '[': '-lsb-', ']': '-rsb-', '{': '-lcb-', '}': '-rcb-' },
  ...{ '"': "''", '“': '``', '”': "''", '„': '``', '«': '``', '»': "''", '‘': '`' },
  ...{ '–': '--', '—': '--', '…': '...', '£': '#', '€': '$', '¢': 'cents' },
}

/** The kinds of token that begin at a place, the longest of them first. */
const TOKEN = RegExp(
  [
    'https?://\\S+|www\\.\\S+|[\\w.+-]+@[\\w-]+(?:\\.[\\w-]+)+',
    // Acronyms with their periods, and initials.
    '(?:\\p{L}\\.){2,}|\\p{Lu}\\.(?=$)',
    // Numbers, ranges and fractions.
    '\\p{Nd}+(?:[.,:/-]\\p{Nd}+)*(?!-?[\\p{L}\\p{N}_])',
    // Words, which hyphens and apostrophes hold together; contractions are told apart below.
    "[\\p{L}\\p{M}\\p{N}_]+(?:[-'][\\p{L}\\p{M}\\p{N}_]+)*'?",
    "\\.{2,}|-{2,}|``|''|'(?:[sSmMdD]|ll|LL|re|RE|ve|VE)(?![\\p{L}])|[\\s\\S]",
  ].join('|'),
  'gu',
)

/** Endings that are words of their own. */
const CONTRACTION = /^(.+?)(n't|'(?:s|m|d|ll|re|ve))$/
// A map: words are texts of any kind, and of an object `constructor` is a member.
const TWO_WORDS: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['cannot', ['can', 'not']],
  ['gimme', ['gim', 'me']],
  ['gonna', ['gon', 'na']],
  ['gotta', ['got', 'ta']],
  ['lemme', ['lem', 'me']],
  ['wanna', ['wan', 'na']],
])

function* lowerTokens(chunk: string): Generator<string> {
  const tokens = chunk.match(TOKEN) ?? []
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!.toLowerCase()
    if (tokens[i + 1] === '.' && ABBREVIATIONS.has(token)) {
      yield `${token}.`
      i++
    } else if (token.length > 1 && token.endsWith("'") && token !== "''") {
      yield token.slice(0, -1)
      yield "'"
    } else {
      const parts = CONTRACTION.exec(token)?.slice(1) ?? TWO_WORDS.get(token) ?? [token]
      for (const part of parts) yield Object.hasOwn(WRITTEN, part) ? WRITTEN[part]! : /^\.{3,}$/.test(part) ? '...' : part
    }
  }
}

/**
 * Splits a text into words as coco-caption does before ROUGE-L and CIDEr: the Penn Treebank's tokens in small letters and
 * American spelling, without punctuation; brackets are `-lrb-` and `-rrb-`, `£` is `#`.
 *
 * Source: Taylor, Marcus and Santorini, "The Penn Treebank: an overview" (2003); coco-caption's list of punctuation. Written from
 * these and not from Stanford's tokenizer, whose tokens of rare writings (`20-£25`) may differ; `whitespace` takes words as they
 * were tokenised elsewhere.
 *
 * @example
 * ptbTokenize("It isn't in the city centre.") // ['it', 'is', "n't", 'in', 'the', 'city', 'center']
 */
export const ptbTokenize = (text: string): readonly string[] =>
  words(text.replace(/’/g, "'"))
    .flatMap((chunk) => [...lowerTokens(chunk)])
    .map(americanSpelling)
    .filter((token) => !LEFT_OUT.has(token))

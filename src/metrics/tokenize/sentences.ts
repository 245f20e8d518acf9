/** @file Where sentences end within a line: the decisions of Punkt, NLTK's sentence splitter. */
import { SPACE } from '../../jinja/unicode.js'
import { ABBREVIATIONS } from './abbreviations.js'

/** What no word has in it, and what closes a sentence behind its mark. */
const NO_WORD = '[)";}\\]*:@\'({[\\u2018\\u2019\\u201c\\u201d\\xab\\xbb?!]'
const DASHES_OR_DOTS = `-{2,}|\\.{2,}|(?:\\.[${SPACE}]){2,}\\.`
const WORD_END = `[${SPACE}]|$|${NO_WORD}|${DASHES_OR_DOTS}`

/** A mark that may end a sentence: before something that is no part of a word, or before white space and another word. */
const CANDIDATE = RegExp(`[.?!](?=(${NO_WORD}|[${SPACE}]+([^${SPACE}]+)))`, 'g')
/** Words with their periods, and single other characters. */
const TOKEN = RegExp(
  `${DASHES_OR_DOTS}|(?=[^("\`{[:;&#*@)}\\]\\-,])[^${SPACE}]+?(?=${WORD_END}|,(?=${WORD_END}))|[^${SPACE}]`,
  'gu',
)
/** Closing quotes and brackets at the head of what would be the next sentence. */
const CLOSING = RegExp(`^["')\\]}\\u2018\\u2019\\u201c\\u201d\\xab\\xbb]+?(?:[${SPACE}]+|(?=--)|$)`, 'm')
const NUMBER = /^-?[.,]?\p{Nd}[\p{Nd},.-]*$/u
const INITIAL = /^[\p{L}\p{Nl}\p{No}_]\.$/u
const ASCII_SPACE = /[ \t-\r]/

/** Whether a sentence ends behind a token. @param next the token that follows */
function endsSentence(token: string, next: string): boolean {
  if (token === '?' || token === '!' || token === '.') return true
  if (!token.endsWith('.') || /^\.\.+$/.test(token)) return false
  const word = token.slice(0, -1).toLowerCase()
  if (word.endsWith('.')) return false
  if (ABBREVIATIONS.has(word) || ABBREVIATIONS.has(word.slice(word.lastIndexOf('-') + 1))) return false
  const isInitial = INITIAL.test(token)
  if (!isInitial && !NUMBER.test(token)) return true
  // Sentences begin neither with punctuation nor with a small letter; behind an initial a capital is a name: "J. Bach".
  return !/^(?:[;:,.!?]$|\p{Lowercase})/u.test(next) && !(isInitial && /^\p{Uppercase}/u.test(next))
}

/** Whether a sentence ends within the words around a mark. */
function breaks(context: string): boolean {
  const tokens = context.match(TOKEN) ?? []
  return tokens.some((token, i) => i + 1 < tokens.length && endsSentence(token, tokens[i + 1]!))
}

/** A stretch of a text: [start, end). */
type Stretch = readonly [start: number, end: number]

/** Where the word begins that ends in a mark, not before what was looked at. */
function wordStart(text: string, from: Stretch, end: number): number {
  for (let i = end - 1; i > from[1]; i--) if (ASCII_SPACE.test(text[i]!)) return i + 1
  return from[0]
}

/** Stretches between the marks that end sentences. */
function* stretches(text: string): Generator<Stretch> {
  let start = 0
  let word: Stretch = [0, 0]
  const marks = [...text.matchAll(CANDIDATE)]
  for (const [i, { index, 1: after, 2: next }] of marks.entries()) {
    word = [wordStart(text, word, index), index]
    const following = marks[i + 1]
    // Of several marks of one word, as in "what?!", the last one counts.
    if (following !== undefined && wordStart(text, word, following.index) < word[1]) continue
    if (!breaks(`${text.slice(...word)}${text[index]!}${after!}`)) continue
    yield [start, index + 1]
    start = next === undefined ? index + 1 : index + 1 + after!.length - next.length
  }
  yield [start, text.length]
}

/**
 * The sentences of a text, without the white space between them.
 *
 * Source: Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection" (2006), as NLTK 3.10 has it, without what
 * Punkt learns from a corpus beside abbreviations: collocations, frequent first words, and how words are written elsewhere.
 */
export function sentences(text: string): readonly string[] {
  const found: string[] = []
  let before: Stretch | undefined
  for (const [begins, ends] of stretches(text)) {
    const closing = before === undefined ? '' : (CLOSING.exec(text.slice(begins, ends))?.[0] ?? '')
    if (before !== undefined) found.push(text.slice(before[0], closing === '' ? before[1] : begins + closing.trimEnd().length))
    before = [begins + closing.length, ends]
  }
  return [...found, text.slice(...before!)].filter((sentence) => sentence !== '')
}

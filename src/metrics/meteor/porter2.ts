/**
 * @file Porter2, the English stemmer of Snowball, from its published definition
 * (https://snowballstem.org/algorithms/english/stemmer.html, the version before Snowball 3).
 *
 * Written here and not a dependency: the packages that there are carry 30 languages in 870 kB, or differ from Snowball in
 * words as common as `compass'` and `howe`, and none has had a release for years.
 */

/** Words that the rules would spoil. */
const WHOLE: ReadonlyMap<string, string> = new Map([
  ['skis', 'ski'],
  ['skies', 'sky'],
  ['dying', 'die'],
  ['lying', 'lie'],
  ['tying', 'tie'],
  ['idly', 'idl'],
  ['gently', 'gentl'],
  ['ugly', 'ugli'],
  ['early', 'earli'],
  ['only', 'onli'],
  ['singly', 'singl'],
  ...['sky', 'news', 'howe', 'atlas', 'cosmos', 'bias', 'andes'].map((word) => [word, word] as const),
])

/** Words that stay as they are once their plural is off. */
const AFTER_PLURAL: ReadonlySet<string> = new Set([
  'inning',
  'outing',
  'canning',
  'herring',
  'earring',
  'proceed',
  'exceed',
  'succeed',
])

/** Beginnings after which R1 starts, wherever its rule would put it. */
const LONG_BEGINNING = /^(?:gener|commun|arsen)/

const VOWEL = /[aeiouy]/
/** A vowel and what follows it up to and with the first non-vowel. */
const TO_NON_VOWEL = /[aeiouy]+[^aeiouy]/g
const DOUBLE = /(?:bb|dd|ff|gg|mm|nn|pp|rr|tt)$/
/** Ends in a short syllable: non-vowel, vowel, non-vowel other than w, x, Y; or the word is a vowel and a non-vowel. */
const SHORT_SYLLABLE = /(?:[^aeiouy][aeiouy][^aeiouywxY]|^[aeiouy][^aeiouy])$/

/** A suffix, what takes its place, and what must hold of the word before it. */
type Rule = readonly [suffix: string, replacement: string, before?: RegExp]

/** Rules by falling length of their suffix: the longest that fits is the one that counts. */
const longestFirst = (...rules: readonly Rule[]): readonly Rule[] => [...rules].sort(([a], [b]) => b.length - a.length)

/** Suffixes of rules that share a replacement. */
const all = (suffixes: string, replacement: string): Rule[] => suffixes.split(' ').map((suffix) => [suffix, replacement] as const)

const STEP_2 = longestFirst(
  ['tional', 'tion'],
  ['enci', 'ence'],
  ['anci', 'ance'],
  ['abli', 'able'],
  ['entli', 'ent'],
  ...all('izer ization', 'ize'),
  ...all('ational ation ator', 'ate'),
  ...all('alism aliti alli', 'al'),
  ['fulness', 'ful'],
  ...all('ousli ousness', 'ous'),
  ...all('iveness iviti', 'ive'),
  ...all('biliti bli', 'ble'),
  ['ogi', 'og', /l$/],
  ['fulli', 'ful'],
  ['lessli', 'less'],
  ['li', '', /[cdeghkmnrt]$/],
)

const STEP_3 = longestFirst(
  ['tional', 'tion'],
  ['ational', 'ate'],
  ['alize', 'al'],
  ...all('icate iciti ical', 'ic'),
  ...all('ful ness', ''),
)

const STEP_4 = longestFirst(...all('al ance ence er ic able ible ant ement ment ent ism ate iti ous ive ize', ''), [
  'ion',
  '',
  /[st]$/,
])

/** Replaces the longest suffix there is, if it lies behind `from` and its condition holds. */
function replaceSuffix(word: string, rules: readonly Rule[], from: number): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix))
  if (rule === undefined) return word
  const [suffix, replacement, before] = rule
  const stem = word.slice(0, -suffix.length)
  return stem.length >= from && (before === undefined || before.test(stem)) ? stem + replacement : word
}

/** Where the region after the first non-vowel that follows a vowel begins; the word's length if there is none. */
function regionAfter(word: string, from: number): number {
  TO_NON_VOWEL.lastIndex = from
  return TO_NON_VOWEL.test(word) ? TO_NON_VOWEL.lastIndex : word.length
}

/** Step 1a: plurals. */
function withoutPlural(word: string): string {
  if (word.endsWith('sses')) return word.slice(0, -2)
  if (/ie[ds]$/.test(word)) return word.slice(0, word.length > 4 ? -2 : -1)
  if (/[us]s$/.test(word)) return word
  return /[aeiouy].+s$/.test(word) ? word.slice(0, -1) : word
}

/** Step 1b: pasts and participles. */
function withoutInflection(word: string, r1: number): string {
  const [suffix] = /(?:eed|eedly|ed|edly|ing|ingly)$/.exec(word) ?? []
  if (suffix === undefined) return word
  const stem = word.slice(0, -suffix.length)
  if (suffix.startsWith('ee')) return stem.length >= r1 ? `${stem}ee` : word
  if (!VOWEL.test(stem)) return word
  if (/(?:at|bl|iz)$/.test(stem)) return `${stem}e`
  if (DOUBLE.test(stem)) return stem.slice(0, -1)
  return stem.length === r1 && SHORT_SYLLABLE.test(stem) ? `${stem}e` : stem
}

/** Step 5: a final e or l. */
function withoutFinal(word: string, r1: number, r2: number): string {
  const stem = word.slice(0, -1)
  if (word.endsWith('e')) return stem.length >= r2 || (stem.length >= r1 && !SHORT_SYLLABLE.test(stem)) ? stem : word
  return word.endsWith('ll') && stem.length >= r2 ? stem : word
}

/**
 * The stem of a lower-case English word: what it has in common with its other forms (`located`, `locates`: `locat`).
 * Apostrophes are `'`; words of one or two characters stay.
 *
 * @example porter2('generously') // 'generous'
 */
export function porter2(word: string): string {
  const exception = WHOLE.get(word)
  if (exception !== undefined || word.length < 3) return exception ?? word
  // A y that is no vowel, at the beginning or behind one, is written Y until the end. In `yy` the second follows a Y.
  let stem = word.replace(/^'/, '').replace(/^y|([aeiouy])y/g, (_, vowel: string | undefined) => `${vowel ?? ''}Y`)
  const r1 = LONG_BEGINNING.exec(stem)?.[0].length ?? regionAfter(stem, 0)
  const r2 = regionAfter(stem, r1)
  stem = withoutPlural(stem.replace(/(?:'|'s|'s')$/, ''))
  if (AFTER_PLURAL.has(stem)) return stem
  stem = withoutInflection(stem, r1)
  stem = stem.replace(/(?<=.[^aeiouy])[yY]$/, 'i')
  stem = replaceSuffix(stem, STEP_2, r1)
  // Of all suffixes of step 3 one alone must lie in R2.
  stem = stem.endsWith('ative') ? replaceSuffix(stem, [['ative', '']], r2) : replaceSuffix(stem, STEP_3, r1)
  stem = replaceSuffix(stem, STEP_4, r2)
  return withoutFinal(stem, r1, r2).replaceAll('Y', 'y')
}

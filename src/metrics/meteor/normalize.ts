/**
 * @file METEOR's normaliser for English (`-norm`): punctuation is told apart from words, spellings of quotes and dashes become
 * one, abbreviations lose their dots. Written from its definition; the rules and their order are its own.
 */

// Java's white space, which is ASCII's: a no-break space is a character like others.
const SPACES = /[ \t\n\v\f\r]+/
const ALPHA = String.raw`\p{Script=Latin}\p{Script=Cyrillic}`
const ALNUM = `${ALPHA}0-9`

/** What stands before a dot that ends no sentence. */
const ABBREVIATIONS: ReadonlySet<string> = new Set(
  (
    'A B C D E F G H I J K L M N O P Q R S T U V W X Y Z Adj Adm Adv Asst Bart Bldg Brig Bros Capt Cmdr Col Comdr Con Corp ' +
    'Cpl DR Dr Drs Ens Gen Gov Hon Hr Hosp Insp Lt MM MR MRS MS Maj Messrs Mlle Mme Mr Mrs Ms Msgr Op Ord Pfc Ph Prof Pvt ' +
    'Rep Reps Res Rev Rt Sen Sens Sfc Sgt Sr St Supt Surg v vs i.e rev e.g Nos Nr'
  ).split(' '),
)

/** What stands before a dot that ends no sentence where a number follows. */
const BEFORE_NUMBERS: ReadonlySet<string> = new Set(['No', 'Art', 'pp'])

const pattern = (source: string): RegExp => new RegExp(source, 'gu')

const REWRITES: readonly (readonly [RegExp, string])[] = [
  [pattern(`[^${ALNUM} \\t\\n\\v\\f\\r.'\`,\\-‘’]`), ' $& '],
  // Two dots and more are a word of their own.
  [/\.{2,}/g, ' $& '],
  // A comma between digits stays.
  [/([^0-9]),([^0-9])/g, '$1 , $2'],
  [/([0-9]),([^0-9])/g, '$1 , $2'],
  [/([^0-9]),([0-9])/g, '$1 , $2'],
  [/[`‘’]/g, "'"],
  [/“|”|''/g, ' " '],
  [/–|--/g, '-'],
  // A hyphen between words goes.
  [pattern(`([${ALNUM}.])-([${ALNUM}])`), '$1 $2'],
  // An apostrophe goes with the letters behind it if letters stand before it.
  [pattern(`([^${ALPHA}])'([^${ALPHA}])`), "$1 ' $2"],
  [pattern(`([^${ALNUM}])'([${ALPHA}])`), "$1 ' $2"],
  [pattern(`([${ALPHA}])'([^${ALPHA}])`), "$1 ' $2"],
  [pattern(`([${ALPHA}])'([${ALPHA}])`), "$1 '$2"],
  [/([0-9])'(s)/g, "$1 '$2"],
]

const LETTER = new RegExp(`[${ALPHA}]`, 'u')

/** A word, with its final dot told apart where it ends a sentence. */
function withFinalDot(word: string, next: string): string {
  if (word.length === 1 || !word.endsWith('.') || /^\.+$/.test(word)) return word
  const before = word.slice(0, -1)
  if (before.includes('.') && LETTER.test(before)) return word.replaceAll('.', '')
  const ends = !ABBREVIATIONS.has(before) && !/^\p{Ll}/u.test(next) && !(BEFORE_NUMBERS.has(before) && /^[0-9]/.test(next))
  return ends ? `${before} .` : word
}

/** The words of a text, lower-cased, parted at white space. */
export const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .split(SPACES)
    .filter((word) => word !== '')

/**
 * The words of a text as METEOR compares them, punctuation among them.
 *
 * @example normalizedWords("It's family-friendly, isn't it?") // ['it', "'s", 'family', 'friendly', ',', 'isn', "'t", 'it', '?']
 */
export function normalizedWords(text: string): string[] {
  const rewritten = REWRITES.reduce((line, [from, to]) => line.replace(from, to), ` ${text} `)
  const words = rewritten.split(SPACES).filter((word) => word !== '')
  return wordsOf(words.map((word, i) => withFinalDot(word, words[i + 1] ?? '')).join(' '))
}

/**
 * @file WordNet's words: which meanings (synsets) a word has, as METEOR looks them up. Of WordNet's files only the indexes
 * and the lists of irregular forms are read, a chunk at a time; definitions and relations are not needed.
 */
import { InvalidDataError } from '../../errors.js'
import { eachLine } from './lines.js'

const PARTS_OF_SPEECH = ['noun', 'verb', 'adj', 'adv'] as const

/** The files that `readWordNet` opens. */
export const wordNetFiles: readonly string[] = PARTS_OF_SPEECH.flatMap((part) => [`index.${part}`, `${part}.exc`])

/** Endings and what stands in their place in the base form, in the order in which they are tried. */
const ENDINGS: readonly (readonly [ending: string, base: string])[] = [
  // of nouns
  ['s', ''],
  ['ses', 's'],
  ['xes', 'x'],
  ['zes', 'z'],
  ['ches', 'ch'],
  ['shes', 'sh'],
  ['men', 'man'],
  ['ies', 'y'],
  // of verbs, beside those
  ['es', 'e'],
  ['es', ''],
  ['ed', 'e'],
  ['ed', ''],
  ['ing', 'e'],
  ['ing', ''],
  // of adjectives
  ['er', ''],
  ['est', ''],
  ['er', 'e'],
  ['est', 'e'],
]

/** Words, their synsets and the bases of irregular forms. Made by `readWordNet`. */
export class WordNet {
  /** @internal */
  constructor(
    /** As its files say: `3.0` is what METEOR 1.5 was made with. */
    readonly version: string,
    private readonly synsets: ReadonlyMap<string, readonly number[]>,
    private readonly irregular: ReadonlyMap<string, readonly string[]>,
  ) {}

  /** How many words it has. */
  get size(): number {
    return this.synsets.size
  }

  /** The base of a regular form: the first that an ending gives and that is a word; undefined if none is. */
  private base(form: string): string | undefined {
    if (form.endsWith('ss') || form.length <= 2) return form
    const suffix = form.endsWith('ful') ? 'ful' : ''
    const stem = form.slice(0, form.length - suffix.length)
    for (const [ending, end] of ENDINGS) {
      if (!stem.endsWith(ending)) continue
      const base = stem.slice(0, -ending.length) + end
      if (this.synsets.has(base)) return base + suffix
    }
    return undefined
  }

  /**
   * The synsets of a lower-case word and of its base form, ascending, each once. A number says nothing but which synset of
   * which part of speech it is: two words are synonyms if they share one.
   */
  synsetsOf(word: string): readonly number[] {
    const base = this.base(word)
    const bases = this.irregular.get(word) ?? (base === undefined ? [] : [base])
    return [...new Set([word, ...bases].flatMap((each) => this.synsets.get(each) ?? []))].sort((a, b) => a - b)
  }
}

/** Opens one of WordNet's files by its name, `index.noun`: its text, whole or in chunks. */
export type OpenText = (name: string) => string | AsyncIterable<string> | Promise<string | AsyncIterable<string>>

const damaged = (file: string, line: number, expected: string, found: string): InvalidDataError =>
  new InvalidDataError(
    `WordNet's ${file}, line ${line}: expected ${expected}, found "${found.slice(0, 80)}"; is this a file of WordNet, and whole?`,
  )

/** Reads an index: `word pos synset_cnt p_cnt [pointer…] sense_cnt tagsense_cnt synset_offset…` (wndb(5WN)). */
async function readIndex(
  file: string,
  text: string | AsyncIterable<string>,
  use: (word: string, offsets: readonly number[]) => void,
): Promise<string | undefined> {
  let version: string | undefined
  await eachLine(text, (content, line) => {
    // The licence stands before the words, its lines indented.
    if (content.startsWith(' ')) {
      version ??= /WordNet (\d+\.\d+) Copyright/.exec(content)?.[1]
      return
    }
    const fields = content.trimEnd().split(' ')
    const count = Number(fields[2])
    const offsets = count > 0 ? fields.slice(-count) : []
    if (count !== offsets.length || fields.length < count + 6 || !offsets.every((offset) => /^\d{8}$/.test(offset)))
      throw damaged(file, line, 'a word, its part of speech and the offsets of its synsets', content)
    use(fields[0]!, offsets.map(Number))
  })
  return version
}

/**
 * Reads WordNet's indexes and lists of irregular forms: `index.noun`, `noun.exc` and those of `verb`, `adj` and `adv`. Debian's
 * package `wordnet-base` has those of 3.0 in `/usr/share/wordnet`.
 *
 * @param open gives the text of a file by its name; what it throws passes
 * @throws InvalidDataError naming file and line if one is damaged, or if the index of nouns does not say its version
 * @example
 * const wordnet = await readWordNet((name) => readFile(`/usr/share/wordnet/${name}`, 'utf8'))
 * const inPage = await readWordNet(async (name) => (await fetch(`/wordnet/${name}`)).text())
 */
export async function readWordNet(open: OpenText): Promise<WordNet> {
  const synsets = new Map<string, readonly number[]>()
  const irregular = new Map<string, readonly string[]>()
  let version: string | undefined
  for (const [part, name] of PARTS_OF_SPEECH.entries()) {
    const found = await readIndex(`index.${name}`, await open(`index.${name}`), (word, offsets) => {
      const numbers = offsets.map((offset) => offset * PARTS_OF_SPEECH.length + part)
      synsets.set(word, [...(synsets.get(word) ?? []), ...numbers])
    })
    version ??= found
    if (version === undefined)
      throw new InvalidDataError(
        `WordNet's index.${name} does not say its version: expected "WordNet 3.0 Copyright …" before the words; get the file again`,
      )
    await eachLine(await open(`${name}.exc`), (content, line) => {
      const [form, ...bases] = content.trimEnd().split(' ')
      if (form === undefined || bases.length === 0) throw damaged(`${name}.exc`, line, 'a form and its base', content)
      irregular.set(form, [...(irregular.get(form) ?? []), ...bases])
    })
  }
  return new WordNet(version!, synsets, irregular)
}

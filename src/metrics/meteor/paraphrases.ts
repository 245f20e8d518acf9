/**
 * @file METEOR's table of paraphrases: pairs of phrases that mean the same. Of its millions of pairs those are kept whose
 * phrases both occur in the texts that are scored; no other can match.
 */
import { InvalidDataError } from '../../errors.js'
import { checkKeys, type OptionKeys } from '../../util/option-keys.js'
import type { Segment } from '../segment.js'
import { eachLine } from './lines.js'
import { splitterOf, type MeteorWordOptions } from './words.js'

/** Phrases, in both directions of each pair. Made by `readParaphrases`. */
export class Paraphrases {
  private readonly ids = new Map<string, number>()
  private readonly related: Set<number>[] = []
  private longest = 0

  /** How many phrases have a paraphrase. */
  get size(): number {
    return this.ids.size
  }

  private add(phrase: string): number {
    const known = this.ids.get(phrase)
    if (known !== undefined) return known
    this.longest = Math.max(this.longest, phrase.split(' ').length)
    this.ids.set(phrase, this.related.length)
    return this.related.push(new Set()) - 1
  }

  /** @internal */
  relate(first: string, second: string): void {
    const [a, b] = [this.add(first), this.add(second)]
    this.related[a]!.add(b)
    this.related[b]!.add(a)
  }

  /** @internal Whether two phrases, by their numbers, are paraphrases. */
  areRelated(a: number, b: number): boolean {
    return this.related[a]!.has(b)
  }

  /** @internal The phrases of the table that stand in a text, by where they begin, the shorter before the longer. */
  phrasesIn(words: readonly string[]): PlacedPhrase[] {
    const found: PlacedPhrase[] = []
    for (let start = 0; start < words.length; start++) {
      let phrase = ''
      for (let length = 1; length <= this.longest && start + length <= words.length; length++) {
        phrase += (length === 1 ? '' : ' ') + words[start + length - 1]!
        const id = this.ids.get(phrase)
        if (id !== undefined) found.push({ start, length, id })
      }
    }
    return found
  }
}

/** A phrase of the table in a text. */
export interface PlacedPhrase {
  readonly start: number
  readonly length: number
  readonly id: number
}

/** Options of `readParaphrases`: what will be scored, and how its texts become words. */
export interface ParaphraseOptions extends MeteorWordOptions {
  /** What will be scored: pairs whose phrases do not occur in it are left out. Everything is kept without. */
  readonly segments?: readonly Segment[]
}

const optionKeys = { segments: true, tokenizer: true, normalize: true } satisfies OptionKeys<ParaphraseOptions>

/** Tells of phrases whether they stand somewhere in the texts. Texts are cut into those of a length when one is asked for. */
function occurrence(texts: readonly (readonly string[])[]): (phrase: string) => boolean {
  const words = new Set(texts.flat())
  const byLength = new Map<number, Set<string>>()
  const ofLength = (length: number): Set<string> => {
    const known = byLength.get(length)
    if (known !== undefined) return known
    const phrases = new Set<string>()
    for (const text of texts)
      for (let start = 0; start + length <= text.length; start++) phrases.add(text.slice(start, start + length).join(' '))
    byLength.set(length, phrases)
    return phrases
  }
  return (phrase) => {
    const parts = phrase.split(' ')
    return parts.every((part) => words.has(part)) && ofLength(parts.length).has(phrase)
  }
}

/**
 * Reads a table of paraphrases: three lines a pair, the probability, a phrase and its paraphrase. That of METEOR is
 * `data/paraphrase-en.gz` of its distribution; here it is unpacked already.
 *
 * @param text the table, whole or in chunks
 * @throws InvalidDataError naming the line where the table is none, or cut off
 * @example const paraphrases = await readParaphrases('0.5\nclose to\nnear\n')
 */
export async function readParaphrases(
  text: string | AsyncIterable<string>,
  options: ParaphraseOptions = {},
): Promise<Paraphrases> {
  checkKeys(options, optionKeys, 'readParaphrases')
  const { segments } = options
  const texts = segments === undefined ? undefined : new Set(segments.flatMap((s) => [s.hypothesis, ...s.references]))
  const occurs = texts === undefined ? () => true : occurrence([...texts].map(splitterOf(options)))
  const paraphrases = new Paraphrases()
  let lines = 0
  let first = ''
  await eachLine(text, (content, line) => {
    lines = line
    const wrong = (expected: string): InvalidDataError =>
      new InvalidDataError(
        `table of paraphrases, line ${line}: expected ${expected}, found "${content.slice(0, 80)}"; ` +
          'a pair is three lines: its probability, a phrase, its paraphrase',
      )
    if (line % 3 === 1) {
      if (!/^\s*[0-9.]+(?:e-?\d+)?\s*$/i.test(content)) throw wrong('a probability')
      return
    }
    const phrase = content.trim()
    if (phrase === '') throw wrong('a phrase')
    if (line % 3 === 2) first = phrase
    else if (occurs(first) && occurs(phrase)) paraphrases.relate(first, phrase)
  })
  if (lines % 3 !== 0)
    throw new InvalidDataError(
      `table of paraphrases: it ends after line ${lines}, within a pair (three lines each); the file is cut off, get it again`,
    )
  return paraphrases
}

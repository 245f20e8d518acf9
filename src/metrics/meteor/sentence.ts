/** @file A text as METEOR's modules see it: numbers for words, and the phrases of it that have paraphrases. */
import type { Lexicon } from './lexicon.js'
import type { Paraphrases, PlacedPhrase } from './paraphrases.js'

/** A text, ready to be aligned. Equal texts are one object, so that each is made ready once. */
export interface Sentence {
  /** Numbers of its words in the lexicon. */
  readonly words: readonly number[]
  readonly phrases: readonly PlacedPhrase[]
  /** How many of its words are function words. */
  readonly functionWords: number
}

/** A function that makes texts ready, equal ones once. */
export function sentenceReader(
  split: (text: string) => readonly string[],
  lexicon: Lexicon,
  paraphrases: Paraphrases | undefined,
): (text: string) => Sentence {
  const known = new Map<string, Sentence>()
  return (text) => {
    const before = known.get(text)
    if (before !== undefined) return before
    const spelled = split(text)
    const words = spelled.map((word) => lexicon.id(word))
    const sentence = {
      words,
      phrases: paraphrases?.phrasesIn(spelled) ?? [],
      functionWords: words.filter((word) => lexicon.isFunctionWord(word)).length,
    }
    known.set(text, sentence)
    return sentence
  }
}

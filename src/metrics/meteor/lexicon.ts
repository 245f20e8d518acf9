/** @file The words of all texts that are scored, each looked up once: stem, synsets, function word or not. */
import { FUNCTION_WORDS } from './function-words.js'
import { porter2 } from './porter2.js'
import type { WordNet } from './wordnet.js'

/** Numbers for words, and what is known of each. */
export class Lexicon {
  private readonly ids = new Map<string, number>()
  private readonly stemIds = new Map<string, number>()
  /** By word: the number of its stem. */
  private readonly stems: number[] = []
  /** By word: its synsets, ascending. */
  private readonly synsets: (readonly number[])[] = []
  private readonly functionWords: boolean[] = []

  constructor(private readonly wordnet: WordNet | undefined) {}

  /** The number of a word; equal words have the same. */
  id(word: string): number {
    const known = this.ids.get(word)
    if (known !== undefined) return known
    const id = this.ids.size
    this.ids.set(word, id)
    const stem = porter2(word)
    const stemId = this.stemIds.get(stem) ?? this.stemIds.size
    this.stemIds.set(stem, stemId)
    this.stems.push(stemId)
    this.synsets.push(this.wordnet?.synsetsOf(word) ?? [])
    this.functionWords.push(FUNCTION_WORDS.has(word))
    return id
  }

  isFunctionWord(id: number): boolean {
    return this.functionWords[id]!
  }

  shareStem(a: number, b: number): boolean {
    return this.stems[a] === this.stems[b]
  }

  shareSynset(a: number, b: number): boolean {
    const [first, second] = [this.synsets[a]!, this.synsets[b]!]
    for (let i = 0, j = 0; i < first.length && j < second.length;) {
      const difference = first[i]! - second[j]!
      if (difference === 0) return true
      if (difference < 0) i++
      else j++
    }
    return false
  }
}

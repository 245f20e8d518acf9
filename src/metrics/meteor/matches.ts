/** @file Everywhere that a hypothesis and a reference may be matched, by METEOR's modules. */
import type { Lexicon } from './lexicon.js'
import type { MeteorModule } from './modules.js'
import type { Paraphrases } from './paraphrases.js'
import type { Sentence } from './sentence.js'

/** Words of the hypothesis that may be matched with words of the reference: one with one, or a phrase with a phrase. */
export interface Match {
  readonly module: MeteorModule
  readonly hypothesisStart: number
  readonly hypothesisLength: number
  readonly referenceStart: number
  readonly referenceLength: number
}

/** What the modules look things up in. */
export interface Knowledge {
  readonly modules: readonly MeteorModule[]
  readonly lexicon: Lexicon
  readonly paraphrases: Paraphrases | undefined
}

const sameWords = (a: Sentence, b: Sentence): boolean =>
  a === b || (a.words.length === b.words.length && a.words.every((word, i) => word === b.words[i]))

type Agree = (hypothesisWord: number, referenceWord: number) => boolean

/** Whether two words agree, by the modules that look at single words. */
const agreement = (lexicon: Lexicon): Readonly<Record<Exclude<MeteorModule, 'paraphrase'>, Agree>> => ({
  exact: (a, b) => a === b,
  stem: (a, b) => a !== b && lexicon.shareStem(a, b),
  synonym: (a, b) => a !== b && lexicon.shareSynset(a, b),
})

/**
 * All matches, by the position of the reference where they begin; of one position in the order of the modules, then of the
 * hypothesis. Of texts that are equal only equal words are matched.
 */
export function possibleMatches(
  hypothesis: Sentence,
  reference: Sentence,
  { modules, lexicon, paraphrases }: Knowledge,
): readonly (readonly Match[])[] {
  const starting: Match[][] = reference.words.map(() => [])
  const agree = agreement(lexicon)
  for (const module of sameWords(hypothesis, reference) ? (['exact'] as const) : modules) {
    if (module === 'paraphrase') {
      for (const there of reference.phrases)
        for (const here of hypothesis.phrases)
          if (paraphrases!.areRelated(there.id, here.id))
            starting[there.start]!.push({
              module,
              hypothesisStart: here.start,
              hypothesisLength: here.length,
              referenceStart: there.start,
              referenceLength: there.length,
            })
      continue
    }
    const fits = agree[module]
    reference.words.forEach((referenceWord, referenceStart) =>
      hypothesis.words.forEach((word, hypothesisStart) => {
        if (fits(word, referenceWord))
          starting[referenceStart]!.push({ module, hypothesisStart, hypothesisLength: 1, referenceStart, referenceLength: 1 })
      }),
    )
  }
  return starting
}

/** @file What an alignment counts, and the score that the counts give: METEOR's formula, of one segment and of a corpus. */
import type { Alignment } from './align.js'
import type { Lexicon } from './lexicon.js'
import type { Match } from './matches.js'
import { meteorModules, MODULE_WEIGHTS, type MeteorModule } from './modules.js'
import type { Sentence } from './sentence.js'

/** How much precision weighs against recall. */
const ALPHA = 0.85
/** How steeply the penalty rises with the share of chunks. */
const BETA = 0.2
/** The largest penalty. */
const GAMMA = 0.6
/** What a content word counts; a function word counts the rest. */
const DELTA = 0.75

/** Words of one side. */
export interface MeteorWords {
  /** Words that are no function words. */
  readonly content: number
  /** Words of METEOR's list of frequent ones. */
  readonly function: number
}

/** The words of a hypothesis and of its reference that one module matched. */
export interface MeteorMatches {
  /** Of the hypothesis. */
  readonly hypothesis: MeteorWords
  /** Of the reference. */
  readonly reference: MeteorWords
}

/** What is counted of a hypothesis and the reference that it is most like; of a corpus the sums. */
export interface MeteorStatistics {
  /** Words of the hypothesis. */
  readonly hypothesis: MeteorWords
  /** Words of the reference. */
  readonly reference: MeteorWords
  /** Words that were matched, by the module that did. */
  readonly matches: Readonly<Record<MeteorModule, MeteorMatches>>
  /** Stretches of matches that follow one another in both texts: fewer are better. */
  readonly chunks: number
}

/** The numbers that a score is made of. */
export interface MeteorScore {
  /** Fmean · (1 − penalty): from 0 to 1. */
  readonly score: number
  /** Weighted share of the hypothesis that is matched. */
  readonly precision: number
  /** Weighted share of the reference that is matched. */
  readonly recall: number
  /** What is taken off for matched words that stand in another order. */
  readonly penalty: number
}

const NO_WORDS: MeteorWords = { content: 0, function: 0 }

const plus = (a: MeteorWords, b: MeteorWords): MeteorWords => ({
  content: a.content + b.content,
  function: a.function + b.function,
})

const total = ({ content, function: frequent }: MeteorWords): number => content + frequent

const byModule = (of: (module: MeteorModule) => MeteorMatches): Record<MeteorModule, MeteorMatches> =>
  Object.fromEntries(meteorModules.map((module) => [module, of(module)])) as Record<MeteorModule, MeteorMatches>

/** What nothing counts. */
export const noStatistics: MeteorStatistics = {
  hypothesis: NO_WORDS,
  reference: NO_WORDS,
  matches: byModule(() => ({ hypothesis: NO_WORDS, reference: NO_WORDS })),
  chunks: 0,
}

const wordsOf = ({ words, functionWords }: Sentence): MeteorWords => ({
  content: words.length - functionWords,
  function: functionWords,
})

/** Counts of an alignment. */
export function countMatches(
  hypothesis: Sentence,
  reference: Sentence,
  { matches, chunks }: Alignment,
  lexicon: Lexicon,
): MeteorStatistics {
  const count = ({ words }: Sentence, start: number, length: number): MeteorWords => {
    const frequent = words.slice(start, start + length).filter((word) => lexicon.isFunctionWord(word)).length
    return { content: length - frequent, function: frequent }
  }
  const sum = (chosen: readonly Match[]): MeteorMatches => ({
    hypothesis: chosen.map((m) => count(hypothesis, m.hypothesisStart, m.hypothesisLength)).reduce(plus, NO_WORDS),
    reference: chosen.map((m) => count(reference, m.referenceStart, m.referenceLength)).reduce(plus, NO_WORDS),
  })
  return {
    hypothesis: wordsOf(hypothesis),
    reference: wordsOf(reference),
    matches: byModule((module) => sum(matches.filter((match) => match.module === module))),
    chunks,
  }
}

/** Matched words of one side, by all modules. */
const matched = ({ matches }: MeteorStatistics, side: keyof MeteorMatches): number =>
  meteorModules.reduce((sum, module) => sum + total(matches[module][side]), 0)

/** Whether every word of both texts is matched, in one stretch. */
const isWhole = (statistics: MeteorStatistics): boolean =>
  statistics.chunks === 1 &&
  matched(statistics, 'hypothesis') === total(statistics.hypothesis) &&
  matched(statistics, 'reference') === total(statistics.reference)

/** Sums of two counts. A segment that is matched as a whole adds no chunk: there is no order in it to punish. */
export const addStatistics = (sum: MeteorStatistics, segment: MeteorStatistics): MeteorStatistics => ({
  hypothesis: plus(sum.hypothesis, segment.hypothesis),
  reference: plus(sum.reference, segment.reference),
  matches: byModule((module) => ({
    hypothesis: plus(sum.matches[module].hypothesis, segment.matches[module].hypothesis),
    reference: plus(sum.matches[module].reference, segment.matches[module].reference),
  })),
  chunks: sum.chunks + (isWhole(segment) ? 0 : segment.chunks),
})

const weighted = ({ content, function: frequent }: MeteorWords): number => DELTA * content + (1 - DELTA) * frequent

/** The weighted share of a side that is matched; NaN of no words. */
const share = (statistics: MeteorStatistics, side: keyof MeteorMatches): number =>
  meteorModules.reduce((sum, module) => sum + MODULE_WEIGHTS[module] * weighted(statistics.matches[module][side]), 0) /
  weighted(statistics[side])

const orZero = (value: number): number => (Number.isNaN(value) ? 0 : value)

/**
 * METEOR's formula (Denkowski and Lavie, 2014): precision P and recall R of matched words, weighted by module and by content
 * against function words; Fmean = 1 / ((1 − α) / P + α / R); penalty = γ · (chunks / matched words)^β, the words counted as the mean
 * of both sides; score = Fmean · (1 − penalty). 0 where nothing is matched or a text is empty.
 */
export function scoreOf(statistics: MeteorStatistics): MeteorScore {
  const [precision, recall] = [share(statistics, 'hypothesis'), share(statistics, 'reference')]
  const mean = 1 / ((1 - ALPHA) / precision + ALPHA / recall)
  const words = (matched(statistics, 'hypothesis') + matched(statistics, 'reference')) / 2
  const fragmentation = isWhole(statistics) ? 0 : statistics.chunks / words
  const penalty = GAMMA * fragmentation ** BETA
  return { score: orZero(mean * (1 - penalty)), precision: orZero(precision), recall: orZero(recall), penalty: orZero(penalty) }
}

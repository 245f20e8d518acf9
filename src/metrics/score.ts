/** @file Several metrics of the same segments, by name. */
import { InvalidOptionError } from '../errors.js'
import { inWords } from '../util/arguments.js'
import { nearestNames } from '../util/nearest.js'
import { checkKeys, pickKeys, type OptionKeys } from '../util/option-keys.js'
import { exactMatch, tokenF1 } from './answers.js'
import { bleu } from './bleu.js'
import { chrf } from './chrf.js'
import { cider } from './cider.js'
import { meteor, type MeteorOptions } from './meteor/meteor.js'
import { multiBleu } from './multi-bleu.js'
import { nist } from './nist.js'
import { nltkBleu } from './nltk-bleu.js'
import { rougeL } from './rouge-l.js'
import type { Segment, SegmentScore } from './segment.js'
import { ter, type TerOptions } from './ter.js'

/** A metric of texts, as the command line calls it. */
export type MetricName =
  'bleu' | 'nist' | 'meteor' | 'rouge-l' | 'cider' | 'multi-bleu' | 'nltk-bleu' | 'ter' | 'chrf++' | 'exact-match' | 'token-f1'

/** Options of {@link score}: each is given to the metrics that have it. */
export interface ScoreOptions extends TerOptions, MeteorOptions {}

/** What every metric says. */
export interface MetricScore {
  /** What papers call it; what differs from that is told in brackets. */
  readonly name: string
  /** The metric of all segments together. */
  readonly score: number
  /** The metric of each, where there is such a thing; undefined of those that do not count. */
  readonly segments?: readonly (SegmentScore | undefined)[]
  /** How texts were split. */
  readonly tokenizer: string
  /** Whether letters were made small. */
  readonly lowercase?: boolean
}

/** What {@link score} says: of each metric that was asked for. */
export type Scores = { readonly [K in MetricName]?: MetricScore }

interface Metric {
  readonly name: string
  /** The options that it has. */
  readonly options: { readonly [K in keyof ScoreOptions]: true }
  readonly compute: (segments: readonly Segment[], options: ScoreOptions) => Omit<MetricScore, 'name'>
}

const ofWords = { tokenizer: true, lowercase: true } as const

/** To add one: its function in a file of its own, its name in {@link MetricName}, and the entry that the compiler asks for. */
const metrics: Readonly<Record<MetricName, Metric>> = {
  bleu: { name: 'BLEU', options: ofWords, compute: bleu },
  nist: { name: 'NIST', options: ofWords, compute: nist },
  meteor: {
    name: 'METEOR',
    options: { tokenizer: true, normalize: true, modules: true, wordnet: true, paraphrases: true },
    compute: meteor,
  },
  'rouge-l': { name: 'ROUGE-L', options: ofWords, compute: rougeL },
  cider: { name: 'CIDEr-D', options: ofWords, compute: cider },
  'multi-bleu': { name: 'BLEU (multi-bleu-detok)', options: ofWords, compute: multiBleu },
  'nltk-bleu': { name: 'BLEU (NLTK, method 3)', options: ofWords, compute: nltkBleu },
  ter: { name: 'TER (pyter)', options: { ...ofWords, official: true }, compute: ter },
  'chrf++': { name: 'chrF++', options: { lowercase: true }, compute: chrf },
  'exact-match': { name: 'Exact match (SQuAD)', options: {}, compute: exactMatch },
  'token-f1': { name: 'Token F1 (SQuAD)', options: {}, compute: tokenF1 },
}

/** The names of all metrics of texts. */
export const metricNames = Object.keys(metrics) as readonly MetricName[]

const optionKeys = {
  ...{ tokenizer: true, lowercase: true, official: true },
  ...{ normalize: true, modules: true, wordnet: true, paraphrases: true },
} as const satisfies OptionKeys<ScoreOptions>

/**
 * Refuses names that are no metrics, and options that none of them has: what would be asked for in vain.
 * @throws InvalidOptionError naming the metric or the option
 */
export function checkMetrics(names: readonly string[], options: ScoreOptions = {}): asserts names is readonly MetricName[] {
  checkKeys(options, optionKeys, 'score')
  if (!Array.isArray(names) || names.length === 0)
    throw new InvalidOptionError(`metrics must be one or more of ${metricNames.join(', ')}, got ${inWords(names)}`)
  for (const [i, name] of names.entries()) {
    if (!Object.hasOwn(metrics, name)) {
      const [near] = nearestNames(name, metricNames)
      throw new InvalidOptionError(
        `metrics: there is no "${name}".${near === undefined ? '' : ` Did you mean ${near}?`} There are ${metricNames.join(', ')}`,
      )
    }
    if (names.indexOf(name) < i) throw new InvalidOptionError(`metrics has ${name} twice`)
  }
  for (const [option, value] of Object.entries(options))
    if (value !== undefined && !names.some((name) => Object.hasOwn(metrics[name as MetricName].options, option)))
      throw new InvalidOptionError(`${option} is for other metrics than ${names.join(', ')}; leave it out`)
}

/**
 * Scores texts against their references, by one or more metrics.
 *
 * @param names in the order of the result
 * @throws InvalidOptionError for an unknown metric or option, or an option that no metric asked for has; InvalidDataError without
 * segments, or for one without references
 * @example
 * const { bleu, 'rouge-l': rouge } = score([{ hypothesis: 'a cat sat', references: ['the cat sat'] }], ['bleu', 'rouge-l'])
 */
export function score(segments: readonly Segment[], names: readonly MetricName[], options: ScoreOptions = {}): Scores {
  checkMetrics(names, options)
  return Object.fromEntries(
    names.map((name) => {
      const { compute, name: title, options: known } = metrics[name]
      return [name, { name: title, ...compute(segments, pickKeys(options, known as OptionKeys<ScoreOptions>)) }]
    }),
  )
}

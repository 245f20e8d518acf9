/** @file The scores of the two scorers that the paper used: measure_scores.py of the E2E challenge, and GenerationEval's eval.py. */
import { InvalidOptionError } from '../../errors.js'
import { score, type ScoreOptions } from '../../metrics/score.js'
import type { Segment, SegmentScore } from '../../metrics/segment.js'
import type { Bleu } from '../../metrics/bleu.js'

/** What METEOR is given beside texts. */
export type MeteorKnowledge = Pick<ScoreOptions, 'modules' | 'wordnet' | 'paraphrases'>

/** A score as a scorer prints it. */
export interface PrintedScore {
  /** The scorer's name; METEOR's tells what it matched, where that is not all. */
  readonly name: string
  /** On the scorer's scale. */
  readonly score: number
  /** Decimals that the scorer prints. */
  readonly decimals: number
  /** The score of each segment, where there is such a thing; undefined of one that does not count. */
  readonly segments?: readonly (SegmentScore | undefined)[]
}

/**
 * BLEU, NIST, METEOR, ROUGE-L and CIDEr as `measure_scores.py -p` computes them: METEOR of words that are split as for ROUGE-L.
 */
export function scoreE2e(segments: readonly Segment[], knowledge: MeteorKnowledge): PrintedScore[] {
  const names = { bleu: 'BLEU', nist: 'NIST', 'rouge-l': 'ROUGE_L', cider: 'CIDEr' } as const
  const found = score(segments, ['bleu', 'nist', 'rouge-l', 'cider'])
  const { meteor } = score(segments, ['meteor'], { ...knowledge, tokenizer: 'ptb' })
  const printed = Object.entries(names).map(([metric, name]): PrintedScore => ({
    ...found[metric as keyof typeof names]!,
    name,
    decimals: 4,
  }))
  printed.splice(2, 0, { ...meteor!, decimals: 4 })
  return printed
}

/** Scores of segments, a line each: columns apart by tabs, the names first; of BLEU also the one that never is nothing. */
export function segmentTable(scores: readonly PrintedScore[]): string {
  const columns = scores.flatMap(({ name, segments }) => {
    if (segments === undefined) return []
    const own = { name, values: segments.map((each) => each?.score) }
    if (name !== 'BLEU') return [own]
    return [own, { name: 'sentBLEU', values: (segments as Bleu['segments']).map(({ smoothed }) => smoothed) }]
  })
  const rows = (columns[0]?.values ?? []).map((_, i) => columns.map(({ values }) => values[i] ?? ''))
  return [columns.map(({ name }) => name), ...rows].map((row) => `${row.join('\t')}\n`).join('')
}

/** Metrics by the names that eval.py's `--metrics` takes. */
const evalMetrics = ['bleu', 'meteor', 'chrf++', 'ter'] as const

type EvalMetric = (typeof evalMetrics)[number]

/** @throws InvalidOptionError for a name that is no metric of eval.py, or one that needs a network of its own */
export function checkEvalMetrics(names: readonly string[]): asserts names is readonly EvalMetric[] {
  for (const name of names) {
    if ((evalMetrics as readonly string[]).includes(name)) continue
    const isNetwork = name === 'bert' || name === 'bleurt'
    throw new InvalidOptionError(
      `--metrics: ${isNetwork ? `"${name}" is told by a network that is not here` : `there is no "${name}"`}; there are ${evalMetrics.join(', ')}`,
    )
  }
}

/**
 * BLEU (both), METEOR, chrF++ and TER as eval.py computes them, in its order.
 * @param lineEnded whether the files end with a line break, behind which eval.py reads one more segment, of a TER of 1
 * @throws InvalidOptionError as {@link checkEvalMetrics}
 */
export function scoreGenerationEval(
  segments: readonly Segment[],
  names: readonly string[],
  knowledge: MeteorKnowledge,
  lineEnded: boolean,
): PrintedScore[] {
  checkEvalMetrics(names)
  const computed: Readonly<Record<EvalMetric, () => PrintedScore[]>> = {
    bleu: () => {
      const found = score(segments, ['multi-bleu', 'nltk-bleu'])
      const { 'multi-bleu': bleu, 'nltk-bleu': nltk } = found
      return [
        { name: 'BLEU', score: 100 * bleu!.score, decimals: 2 },
        { name: 'BLEU NLTK', score: nltk!.score, decimals: 2 },
      ]
    },
    meteor: () => {
      const { meteor } = score(segments, ['meteor'], { ...knowledge, tokenizer: 'nltk' })
      return [{ name: meteor!.name, score: meteor!.score, decimals: 2 }]
    },
    'chrf++': () => [{ name: 'chrF++', score: score(segments, ['chrf++'])['chrf++']!.score, decimals: 2 }],
    ter: () => [{ name: 'TER', score: score(segments, ['ter'], { official: lineEnded }).ter!.score, decimals: 2 }],
  }
  return evalMetrics.filter((name) => names.includes(name)).flatMap((name) => computed[name]())
}

/** @file Metrics of texts against test/oracle/write-metrics.py: odd corpora, with NLTK's BLEU and tokens. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bleu } from '../../src/metrics/bleu.js'
import { chrf } from '../../src/metrics/chrf.js'
import { cider } from '../../src/metrics/cider.js'
import { multiBleu } from '../../src/metrics/multi-bleu.js'
import { nist } from '../../src/metrics/nist.js'
import { nltkBleu } from '../../src/metrics/nltk-bleu.js'
import { rougeL } from '../../src/metrics/rouge-l.js'
import type { Segment } from '../../src/metrics/segment.js'
import { ter } from '../../src/metrics/ter.js'
import { mteval13a } from '../../src/metrics/tokenize/mteval-13a.js'
import { wordTokenize } from '../../src/metrics/tokenize/word-tokenize.js'

type Scores = readonly [corpus: number, segments: readonly (number | null)[], smoothed?: readonly number[]]

interface Case {
  readonly segments: readonly Segment[]
  readonly bleu: Scores
  readonly nist: Scores
  readonly multiBleu: number
  readonly nltkBleu: number
  readonly rougeL: Scores
  readonly cider: Scores
  readonly ter: Scores
  readonly chrf: Scores
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../fixtures/metrics/${name}.json`, import.meta.url), 'utf8')) as unknown
const cases = Object.entries(read('scores') as Record<string, Case>)

/** Equal to what Python says, as far as two orders of adding up are. */
function same(found: number | undefined, wanted: number | null | undefined): void {
  if (wanted === null || wanted === undefined) expect(found).toBe(wanted === null ? undefined : wanted)
  else expect(Math.abs(found! - wanted)).toBeLessThan(1e-9 * Math.max(1, Math.abs(wanted)))
}

describe.each(cases)('of %s', (_, { segments, ...wanted }) => {
  const words = { tokenizer: 'whitespace', lowercase: true } as const
  const metrics = {
    nist: () => nist(segments),
    rougeL: () => rougeL(segments, words),
    cider: () => cider(segments, words),
    ter: () => ter(segments),
    chrf: () => chrf(segments),
    bleu: () => bleu(segments),
  }

  it.each(Object.entries(metrics))('%s', (name, metric) => {
    const found = metric()
    const [corpus, each] = wanted[name as keyof typeof metrics]
    same(found.score, corpus)
    expect(found.segments).toHaveLength(segments.length)
    found.segments.forEach((segment, i) => same(segment?.score, each[i]))
  })

  it('smoothed BLEU of segments', () => {
    bleu(segments).segments.forEach(({ smoothed }, i) => same(smoothed, wanted.bleu[2]![i]))
  })

  it('multi-bleu and NLTK', () => {
    same(multiBleu(segments).score, wanted.multiBleu)
    same(nltkBleu(segments).score, wanted.nltkBleu)
  })
})

describe('words', () => {
  const lines = read('words') as readonly (readonly [string, readonly string[], readonly string[]])[]

  it("are NLTK's", () => {
    for (const [line, words] of lines) expect(wordTokenize(line), line).toEqual(words)
  })

  it('are those of 13a', () => {
    for (const [line, , words] of lines) expect(mteval13a(line), line).toEqual(words)
  })
})

/** @file Metrics of texts against the scripts that papers used: e2e-metrics (pymteval, coco-caption), pyter; and sacrebleu, on the E2E test set. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bleu } from '../../src/metrics/bleu.js'
import { chrf } from '../../src/metrics/chrf.js'
import { cider } from '../../src/metrics/cider.js'
import { multiBleu } from '../../src/metrics/multi-bleu.js'
import { nist } from '../../src/metrics/nist.js'
import { rougeL } from '../../src/metrics/rouge-l.js'
import type { Segment } from '../../src/metrics/segment.js'
import { ter } from '../../src/metrics/ter.js'
import { mteval13a } from '../../src/metrics/tokenize/mteval-13a.js'
import { ptbTokenize } from '../../src/metrics/tokenize/ptb.js'

const DATA = '../shared/data'
const present = existsSync(`${DATA}/e2e-metrics`)
const where = present ? '' : ' (no shared data)'
const read = <T>(name: string): T => JSON.parse(readFileSync(`${DATA}/e2e-metrics/${name}.json`, 'utf8')) as T
const words = { tokenizer: 'whitespace', lowercase: true } as const
const segmentsOf = (hypotheses: readonly string[], references: readonly (readonly string[])[]): Segment[] =>
  hypotheses.map((hypothesis, i) => ({ hypothesis, references: references[i]! }))

interface Example {
  readonly references: readonly (readonly string[])[]
  readonly hypotheses: readonly string[]
  readonly corpus: Readonly<Record<'BLEU' | 'NIST' | 'ROUGE_L_ws' | 'CIDEr_ws', number>>
  readonly segments: readonly Readonly<Record<'bleu' | 'bleu_plus1' | 'nist', number>>[]
  readonly cider_segments: readonly number[]
  readonly rouge_segments: readonly number[]
  readonly tokenised: readonly (readonly string[])[]
}

interface Golden {
  readonly example_inputs: {
    readonly refs_tok: readonly (readonly string[])[]
    readonly sys_tok: readonly string[]
    readonly scores: Readonly<Record<'ROUGE_L_on_tok' | 'CIDEr_on_tok', number>> &
      Readonly<Record<'rouge_first5' | 'cider_first5', readonly number[]>>
  }
}

describe.skipIf(!present)(`the example of e2e-metrics${where}`, () => {
  const example = present ? read<Example>('example-inputs') : undefined!
  const segments = present ? segmentsOf(example.hypotheses, example.references) : []
  const near = (found: readonly number[], wanted: readonly number[]): void =>
    wanted.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 9))

  it('BLEU and NIST', () => {
    expect(example.hypotheses.map(mteval13a)).toEqual(example.tokenised)
    const [b, n] = [bleu(segments), nist(segments)]
    near([b.score, n.score], [example.corpus.BLEU, example.corpus.NIST])
    near(b.segments.map(({ score }) => score), example.segments.map((each) => each.bleu)) // prettier-ignore
    near(b.segments.map(({ smoothed }) => smoothed), example.segments.map((each) => each.bleu_plus1)) // prettier-ignore
    near(n.segments.map(({ score }) => score), example.segments.map((each) => each.nist)) // prettier-ignore
  })

  it('ROUGE-L and CIDEr of words between white space', () => {
    const [r, c] = [rougeL(segments, words), cider(segments, words)]
    near([r.score, c.score], [example.corpus.ROUGE_L_ws, example.corpus.CIDEr_ws])
    near(r.segments.map(({ score }) => score), example.rouge_segments) // prettier-ignore
    near(c.segments.map(({ score }) => score), example.cider_segments) // prettier-ignore
  })

  it("ROUGE-L and CIDEr of Stanford's words", () => {
    const { refs_tok: references, sys_tok: hypotheses, scores } = read<Golden>('golden').example_inputs
    const tokenised = segmentsOf(hypotheses, references)
    const [r, c] = [rougeL(tokenised, words), cider(tokenised, words)]
    near([r.score, c.score], [scores.ROUGE_L_on_tok, scores.CIDEr_on_tok])
    near(r.segments.map(({ score }) => score), scores.rouge_first5) // prettier-ignore
    near(c.segments.map(({ score }) => score), scores.cider_first5) // prettier-ignore
    // Their words are not of Stanford's tokenizer itself, whose spelling is American and whose contractions are apart.
    const spelling = (text: string): string => text.replace(/ ('|n't)/g, '$1').replace(/center/g, 'centre')
    const ours = example.hypotheses.map((text) => spelling(ptbTokenize(text).join(' ')))
    expect(ours).toEqual(hypotheses.map((text) => text.replace(/center/g, 'centre')))
  })
})

const test = `${DATA}/e2e/test.txt`
const testSet = existsSync(test)

const groups = new Map<string, string[]>()
if (testSet)
  for (const line of readFileSync(test, 'utf8').trimEnd().split('\n')) {
    const [meaning, text] = line.trim().split('||')
    groups.set(meaning!, [...(groups.get(meaning!) ?? []), text!])
  }
const segments: Segment[] = [...groups.values()].flatMap(([hypothesis, ...references]) => references.length === 0 ? [] : [{ hypothesis: hypothesis!, references }]) // prettier-ignore

describe.skipIf(!testSet)(
  `the E2E test set, its first references against the others${testSet ? '' : ' (no shared data)'}`,
  () => {
    it('has the scores of the official scripts', () => {
      expect(segments).toHaveLength(616)
      expect(bleu(segments).score).toBeCloseTo(0.61177, 5)
      expect(nist(segments).score).toBeCloseTo(8.92901, 5)
      expect(rougeL(segments, words).score).toBeCloseTo(0.64024, 5)
      expect(cider(segments, words).score).toBeCloseTo(1.80805, 5)
    })
  },
)

describe.skipIf(!testSet)(`the E2E test set once more${testSet ? '' : ' (no shared data)'}`, () => {
  it('has the scores of sacrebleu 2.6', () => {
    // BLEU(smooth_method="none", lowercase=…) and CHRF(word_order=2, eps_smoothing=True), in hundredths there.
    expect(100 * multiBleu(segments).score).toBeCloseTo(59.615905791463234, 9)
    expect(100 * multiBleu(segments, { lowercase: true }).score).toBeCloseTo(61.17665260031042, 9)
    const { score, segments: each } = chrf(segments)
    expect(100 * score).toBeCloseTo(72.28221237100112, 9)
    expect(100 * each[4]!.score).toBeCloseTo(59.01377628691205, 9)
  })
})

describe('pyter', () => {
  const rate = (hypothesis: string, reference: string): number =>
    ter([{ hypothesis, references: [reference] }], { tokenizer: 'whitespace' }).score

  it('gives its own example and short texts their rates', () => {
    const hypothesis = 'THIS WEEK THE SAUDIS denied information published in the new york times'
    const reference = 'SAUDI ARABIA denied THIS WEEK information published in the AMERICAN new york times'
    expect(rate(hypothesis, reference)).toBeCloseTo(4 / 13, 12)
    expect(rate('b c d a', 'a b c d')).toBe(0.25)
    expect(rate('', 'a b')).toBe(1)
    expect(rate('x y z', 'a')).toBe(3)
    expect(rate('x y z', '')).toBe(1)
  })
})

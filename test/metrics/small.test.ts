/** @file Answers, GLUE, perplexity, the Treebank's words, and several metrics at once: values worked out by hand, and what is refused. */
import { describe, expect, it } from 'vitest'
import { InvalidDataError, InvalidOptionError } from '../../src/errors.js'
import {
  exactMatch,
  glue,
  metricNames,
  perplexity,
  ptbTokenize,
  score,
  tokenF1,
  type MetricName,
  type Segment,
} from '../../src/metrics/index.js'

const one = (hypothesis: string, ...references: string[]) => [{ hypothesis, references }]

describe('answers', () => {
  it('match but for articles, case, punctuation and white space', () => {
    expect(exactMatch(one('The  Cat!', 'dog', 'a cat')).score).toBe(1)
    expect(exactMatch(one('then cat', 'cat')).score).toBe(0)
    expect(exactMatch(one('an', '')).score).toBe(1)
    expect(exactMatch([...one('a', 'b'), ...one('b', 'b')])).toMatchObject({ score: 0.5, segments: [{ score: 0 }, { score: 1 }] })
  })

  it('share words, each as often as both have it', () => {
    expect(tokenF1(one('the black cat', 'cat')).score).toBeCloseTo(2 / 3, 12)
    expect(tokenF1(one('cat cat', 'cat dog bird', 'fish')).score).toBeCloseTo(2 / 5, 12)
    expect(tokenF1(one('', 'the')).score).toBe(1)
    expect(tokenF1(one('', 'cat')).score).toBe(0)
  })
})

describe('GLUE', () => {
  it('has the scores of each task', () => {
    const [predictions, labels] = [
      [1, 0, 1, 1],
      [1, 0, 0, 1],
    ]
    expect(glue('mrpc', predictions, labels)).toEqual({ accuracy: 0.75, f1: 0.8, combined: 0.775 })
    expect(glue('rte', predictions, labels)).toEqual({ accuracy: 0.75, combined: 0.75 })
    expect(glue('mnli', [2, 0, 1], [2, 0, 0]).accuracy).toBeCloseTo(2 / 3, 12)
    // tp 2, fp 1, tn 1: (2·1 − 1·0) / √(3·2·2·1)
    expect(glue('cola', predictions, labels).matthews).toBeCloseTo(2 / Math.sqrt(12), 12)
    const similar = glue('stsb', [1, 2, 9], [1, 2, 3])
    expect(similar.spearman).toBe(1)
    expect(similar.combined).toBeCloseTo((1 + similar.pearson!) / 2, 12)
  })

  it('refuses what has no score', () => {
    expect(() => glue('sst-2' as 'sst2', [1], [1])).toThrow(/unknown task "sst-2"; choose one of cola, sst2/)
    expect(() => glue('sst2', [1, 0], [1])).toThrow(/2 predictions and 1 labels/)
    expect(() => glue('sst2', [], [])).toThrow(InvalidDataError)
    expect(() => glue('sst2', [0.5], [1])).toThrow(/pair 1 has the class 0.5/)
    expect(() => glue('sst2', [0, 2], [1, 1])).toThrow(/pair 2 has the class 2; those of the task are whole numbers from 0 to 1/)
    expect(() => glue('mnli', [2], [3])).toThrow(/pair 1 has the class 3; .* from 0 to 2/)
  })
})

describe('perplexity', () => {
  it('weighs texts by their tokens', () => {
    expect(perplexity([Math.log(4), Math.log(4)])).toBeCloseTo(4, 12)
    expect(perplexity([0, Math.log(16)], [3, 1])).toBeCloseTo(2, 12)
    expect(() => perplexity([])).toThrow(InvalidDataError)
    expect(() => perplexity([1], [0])).toThrow(/0 tokens in all/)
    expect(() => perplexity([1, 2], [1])).toThrow(/2 losses, but 1 numbers of tokens/)
  })
})

describe("the Treebank's words", () => {
  it.each([
    ["It isn't in the city centre.", "it is n't in the city center"],
    ['(Cheap) "food", £20-25...', '-lrb- cheap -rrb- food # 20-25'],
    ["the Waterman's 5-star students' U.S. Mr. Smith", "the waterman 's 5-star students u.s. mr. smith"],
    ['We cannot, o’clock — 20gbp', "we can not o'clock 20gbp"],
    ['I wanna see the constructor of __proto__.', 'i wan na see the constructor of __proto__'],
    ['favourites, centred, discourse, hour', 'favorites centered discourse hour'],
  ])('%s', (text, wanted) => expect(ptbTokenize(text).join(' ')).toBe(wanted))
})

/** METEOR's modules that read nothing. */
const withoutData = { modules: ['exact', 'stem'] } as const

describe('several metrics', () => {
  it('each says its score, its name and its words', () => {
    const scores = score([...one('a cat sat', 'a cat sat'), ...one('dogs bark', 'dogs bark')], metricNames, {
      lowercase: true,
      ...withoutData,
    })
    expect(Object.keys(scores)).toEqual(metricNames)
    expect(scores['ter']).toMatchObject({ name: 'TER (pyter)', score: 0, tokenizer: 'nltk', lowercase: true })
    expect(scores['chrf++']).toMatchObject({ score: 1, tokenizer: 'characters and words' })
    expect(scores['token-f1']).toMatchObject({ score: 1, tokenizer: 'squad' })
  })

  it('the end of a file as eval.py reads it', () => {
    const segments = [...one('a b', 'a b'), ...one('a', 'b')]
    expect(score(segments, ['ter']).ter!.score).toBe(0.5)
    expect(score(segments, ['ter'], { official: true }).ter).toMatchObject({
      score: 2 / 3,
      segments: [{ score: 0 }, { score: 1 }],
    })
  })

  it('refuses names and options that are asked for in vain', () => {
    const ask =
      (names: string[], options = {}) =>
      () =>
        score(one('a', 'a'), names as MetricName[], options)
    expect(ask(['rougel'])).toThrow(/there is no "rougel". Did you mean rouge-l\?/)
    expect(ask([])).toThrow(/one or more of bleu/)
    expect(ask(['bleu', 'bleu'])).toThrow(/bleu twice/)
    expect(ask('bleu' as unknown as string[])).toThrow(/metrics must be one or more of bleu.*got the text "bleu"/)
    expect(ask(['exact-match'], { lowercase: false })).toThrow(/lowercase is for other metrics than exact-match/)
    expect(ask(['bleu'], { official: true })).toThrow(/official is for other metrics than bleu/)
    expect(ask(['chrf++'], { tokenizer: '13a' })).toThrow(InvalidOptionError)
    expect(ask(['bleu'], { tokenizer: 'moses' })).toThrow(/tokenizer must be one of 13a, ptb, nltk, whitespace/)
  })

  it.each(metricNames)('%s refuses segments without texts', (name) => {
    const ask = (segments: readonly unknown[]) => () => score(segments as Segment[], [name], name === 'meteor' ? withoutData : {})
    expect(ask([])).toThrow(/there are no segments/)
    expect(ask([...one('a', 'a'), { hypothesis: 'a', references: [] }])).toThrow(/segment 2 has no reference/)
    expect(ask([{ references: ['a'] }])).toThrow(InvalidDataError)
    expect(ask([null])).toThrow(/segment 1 is no object/)
  })
})

/** @file METEOR against its formula worked out by hand, and on words and phrases of our own making. */
import { describe, expect, it } from 'vitest'
import { InvalidDataError, InvalidOptionError } from '../../errors.js'
import { Random } from '../../util/rng.js'
import { meteor, type MeteorOptions } from './meteor.js'
import { readParaphrases } from './paraphrases.js'
import { readWordNet } from './wordnet.js'

const plain: MeteorOptions = { modules: ['exact', 'stem'] }
const scoreOf = (hypothesis: string, reference: string, options = plain): number =>
  meteor([{ hypothesis, references: [reference] }], options).score

/** The formula, of precision, recall, chunks and matched words. */
const formula = (p: number, r: number, chunks: number, words: number): number =>
  (1 / (0.15 / p + 0.85 / r)) * (1 - 0.6 * (chunks / words) ** 0.2)

const index = (words: Readonly<Record<string, readonly number[]>>, part: string): string =>
  '  1 WordNet 3.0 Copyright 2006 by nobody.  \n' +
  Object.entries(words)
    .map(([word, synsets]) => {
      const offsets = synsets.map((synset) => String(synset).padStart(8, '0')).join(' ')
      return `${word} ${part} ${synsets.length} 1 @ ${synsets.length} 0 ${offsets}  \n`
    })
    .join('')

/** A WordNet of a few words; its files come whole or cut anywhere. */
const tinyFiles: Readonly<Record<string, string>> = {
  'index.noun': index({ pub: [1, 2], inn: [2, 3], box: [4], case: [4, 5], mouse: [6], rodent: [6], car: [7], handful: [8] }, 'n'),
  'index.verb': index({ see: [1], spot: [1] }, 'v'),
  'index.adj': index({ cosy: [1], cozy: [1] }, 'a'),
  'index.adv': index({ well: [1] }, 'r'),
  'noun.exc': 'mice mouse\n',
  'verb.exc': 'saw see\nseen see\n',
  'adj.exc': '',
  'adv.exc': 'best well\n',
}
const tinyWordNet = (files = tinyFiles, step = 7) =>
  readWordNet((name) =>
    (async function* () {
      for (let i = 0; i < files[name]!.length; i += step) yield files[name]!.slice(i, i + step)
    })(),
  )

describe('the score', () => {
  it('of a text that is its reference is 1, and 0 where nothing is matched or there is nothing', () => {
    expect(scoreOf('The pub is near.', 'the pub is near .')).toBe(1)
    for (const [hypothesis, reference] of [
      ['pub', 'river'],
      ['', 'river'],
      ['river', ''],
      ['', ''],
    ])
      expect(scoreOf(hypothesis!, reference!)).toBe(0)
  })

  it('weighs content against function words, and modules', () => {
    // `the`, `is`: function words, weight 1/4; `pub`, `cosy`, `cheap`: content, 3/4.
    expect(scoreOf('the pub is cosy', 'the pub is cheap')).toBeCloseTo(formula(1.25 / 2, 1.25 / 2, 1, 3), 12)
    expect(scoreOf('pub', 'the pub is cheap')).toBeCloseTo(formula(1, 0.75 / 2, 1, 1), 12)
    // `located` and `locates` have a stem in common, worth 0.6; one chunk covers all: no penalty.
    expect(scoreOf('pub located', 'pub locates')).toBeCloseTo((1 + 0.6) / 2, 12)
    expect(scoreOf('pub located', 'pub locates', { modules: ['exact'] })).toBeCloseTo(formula(1 / 2, 1 / 2, 1, 1), 12)
  })

  it('of words in another order is less by the chunks they fall into', () => {
    const random = new Random(5)
    const words = Array.from({ length: 9 }, (_, i) => `word${String.fromCharCode(97 + i)}`)
    for (let trial = 0; trial < 30; trial++) {
      const order = words.map((_, i) => i)
      for (let i = order.length - 1; i > 0; i--) {
        const j = Math.floor(random.uniform() * (i + 1))
        ;[order[i], order[j]] = [order[j]!, order[i]!]
      }
      const chunks = order.filter((place, i) => i === 0 || place !== order[i - 1]! + 1).length
      const shuffled = order.map((i) => words[i]!).join(' ')
      const expected = chunks === 1 ? 1 : formula(1, 1, chunks, words.length)
      expect(scoreOf(shuffled, words.join(' '), { modules: ['exact'] })).toBeCloseTo(expected, 12)
      // A permutation and its inverse have the same number of chunks.
      expect(scoreOf(words.join(' '), shuffled, { modules: ['exact'] })).toBeCloseTo(expected, 12)
    }
  })

  it('is that of the best reference, the first of equals; the corpus has that of the summed counts', () => {
    const segments = [
      { hypothesis: 'the pub is cosy', references: ['a river', 'the pub is cheap', 'the pub was cosy', 'the pub is cheap'] },
      { hypothesis: 'near the river', references: ['near the river'] },
      { hypothesis: 'far', references: ['near', 'by'] },
    ]
    const { score, segments: scored } = meteor(segments, plain)
    expect(scored.map(({ bestReference }) => bestReference)).toEqual([2, 0, 0])
    expect(scored.map((segment) => segment.score)).toEqual([
      expect.closeTo(scoreOf('the pub is cosy', 'the pub was cosy'), 12),
      1,
      0,
    ])
    // Content and function words of all hypotheses: 2 + 2 + 1 and 2 + 1; of all references the same. Matched: 2 + 2 and 1 + 1.
    const share = (0.75 * 4 + 0.25 * 2) / (0.75 * 5 + 0.25 * 3)
    // The segment that is matched as a whole adds words, but no chunk.
    expect(score).toBeCloseTo(formula(share, share, 2, 6), 12)
  })

  it('counts what it is made of', () => {
    const [segment] = meteor([{ hypothesis: 'the pub located near', references: ['pub locates the near'] }], plain).segments
    expect(segment).toMatchObject({
      hypothesis: { content: 3, function: 1 },
      reference: { content: 3, function: 1 },
      matches: {
        exact: { hypothesis: { content: 2, function: 1 }, reference: { content: 2, function: 1 } },
        stem: { hypothesis: { content: 1, function: 0 }, reference: { content: 1, function: 0 } },
        synonym: { hypothesis: { content: 0, function: 0 } },
      },
      chunks: 3,
    })
  })
})

describe('synonyms', () => {
  it('are words with a synset in common, by themselves or by their base forms', async () => {
    const wordnet = await tinyWordNet()
    expect([wordnet.size, wordnet.version]).toEqual([13, '3.0'])
    const options: MeteorOptions = { modules: ['synonym'], wordnet }
    const pairs: readonly (readonly [string, string, boolean])[] = [
      ['pub', 'inn', true],
      ['pubs', 'inns', true],
      ['boxes', 'case', true],
      ['mice', 'rodents', true],
      ['saw', 'spotted', false],
      ['saw', 'spots', true],
      ['seen', 'spot', true],
      ['best', 'well', true],
      ['cosiest', 'cozy', false],
      ['pub', 'car', false],
      ['pub', 'spot', false],
      ['handsful', 'handful', false],
    ]
    for (const [a, b, are] of pairs) {
      const context = (word: string, other: string): number => scoreOf(`${word} x`, `${other} y`, options)
      expect(context(a, b) > 0, `${a} ${b}`).toBe(are)
      expect(context(b, a), `${b} ${a}`).toBe(context(a, b))
    }
  })

  it('are read of chunks cut anywhere, with any ends of lines', async () => {
    const windows = Object.fromEntries(Object.entries(tinyFiles).map(([name, text]) => [name, text.replaceAll('\n', '\r\n')]))
    for (const wordnet of [
      await tinyWordNet(tinyFiles, 1),
      await tinyWordNet(windows, 3),
      await readWordNet((name) => tinyFiles[name]!),
    ]) {
      expect(wordnet.size).toBe(13)
      expect(wordnet.synsetsOf('mice')).toEqual(wordnet.synsetsOf('rodent'))
    }
  })

  it.each([
    ['index.noun', 'pub n 2 1 @ 2 0 00000001  \n', /index\.noun, line 1: expected a word/],
    ['index.noun', 'pub n 1 1 @ 1 0 00000001  \n', /does not say its version/],
    ['index.verb', '{"not": "wordnet"}', /index\.verb, line 1/],
    ['verb.exc', 'saw see\nseen\n', /verb\.exc, line 2: expected a form and its base, found "seen"/],
  ])('refuses a damaged %s', async (name, text, message) => {
    await expect(tinyWordNet({ ...tinyFiles, [name]: text })).rejects.toThrow(message)
  })
})

describe('paraphrases', () => {
  const table = '0.5\nclose to\nnear\n1.0E-4\nin the centre of\nright in\n0.25\nprice range\nprices\n'

  it('match phrases in both directions, worth 0.6 a word', async () => {
    const options: MeteorOptions = { modules: ['exact', 'paraphrase'], paraphrases: await readParaphrases(table) }
    // `close` is content, `to` and `the` are function words: all is matched, in one chunk.
    expect(scoreOf('pub close to it', 'pub near it', options)).toBeCloseTo(
      1 / (0.15 / ((0.75 + 0.25 + 0.6) / 2) + 0.85 / ((0.75 + 0.25 + 0.6 * 0.75) / 1.75)),
      12,
    )
    expect(scoreOf('pub near it', 'pub close to it', options)).toBeGreaterThan(0.7)
    expect(scoreOf('right in town', 'in the centre of town', options)).toBeGreaterThan(0.6)
    expect(scoreOf('close', 'near', options)).toBe(0)
  })

  it('of which only those are kept that occur in the texts', async () => {
    const segments = [{ hypothesis: 'Close to it', references: ['near it', 'the price range'] }]
    expect((await readParaphrases(table)).size).toBe(6)
    expect((await readParaphrases(table, { segments })).size).toBe(2)
    const cut = await readParaphrases(table, { segments })
    const options = (paraphrases: typeof cut): MeteorOptions => ({ modules: ['exact', 'paraphrase'], paraphrases })
    expect(meteor(segments, options(cut))).toEqual(meteor(segments, options(await readParaphrases(table))))
  })

  it.each([
    ['0.5\nclose to\n', /ends after line 2, within a pair/],
    ['close to\n0.5\nnear\n', /line 1: expected a probability, found "close to"/],
    ['0.5\n \nnear\n', /line 2: expected a phrase/],
  ])('of a damaged table %j are refused', async (text, message) => {
    await expect(readParaphrases(text)).rejects.toThrow(InvalidDataError)
    await expect(readParaphrases(text)).rejects.toThrow(message)
  })
})

describe('the name and the options', () => {
  const segments = [{ hypothesis: 'a', references: ['a'] }]

  it('say what was used', async () => {
    const [wordnet, paraphrases] = [await tinyWordNet(), await readParaphrases('0.5\na\nb\n')]
    const other = await tinyWordNet({ ...tinyFiles, 'index.noun': tinyFiles['index.noun']!.replace('3.0', '3.1') })
    const names = [{ wordnet, paraphrases }, { wordnet }, { wordnet: other, paraphrases }, { wordnet: other }, plain].map(
      (options) => meteor(segments, options).name,
    )
    expect(names).toEqual([
      'METEOR',
      'METEOR (exact, stem, synonym)',
      'METEOR (WordNet 3.1)',
      'METEOR (exact, stem, synonym, WordNet 3.1)',
      'METEOR (exact, stem)',
    ])
  })

  it('are refused where they do not fit', async () => {
    const [wordnet, paraphrases] = [await tinyWordNet(), await readParaphrases('0.5\na\nb\n')]
    const refused = (options: object, message: RegExp): void => {
      expect(() => meteor(segments, options)).toThrow(InvalidOptionError)
      expect(() => meteor(segments, options)).toThrow(message)
    }
    refused({}, /synonym needs WordNet 3\.0.*wordnet-base/)
    refused({ modules: ['exact', 'paraphrase'] }, /paraphrase-en\.gz/)
    refused({ modules: ['exact'], wordnet }, /wordnet is given, but the modules are exact/)
    refused({ modules: ['exact'], paraphrases }, /paraphrases is given/)
    refused({ modules: [] }, /modules must be a list/)
    refused({ modules: 'exact' }, /modules must be a list/)
    refused({ modules: ['exact', 'stems'] }, /got .*stems/)
    refused({ modules: ['synonym'], wordnet: '/usr/share/wordnet' }, /wordnet must be what readWordNet gives/)
    refused({ modules: ['exact'], normalise: true }, /unknown option "normalise"; did you mean normalize/)
    expect(() => meteor([], plain)).toThrow(InvalidDataError)
    expect(() => meteor([...segments, { hypothesis: 'a', references: [] }], plain)).toThrow(/segment 2 has no reference/)
  })

  it('take texts as they are without normalisation', () => {
    expect(scoreOf('a-b .', 'a b .', plain)).toBe(1)
    expect(scoreOf('a-b .', 'a b .', { ...plain, normalize: false })).toBeLessThan(0.5)
  })

  it('split them by another tokenizer first, and say how', () => {
    const said = (options: MeteorOptions) => {
      const { tokenizer, segments: scored } = meteor([{ hypothesis: 'colour, (red)!', references: ['color red'] }], {
        ...plain,
        ...options,
      })
      return [tokenizer, scored[0]!.hypothesis.content + scored[0]!.hypothesis.function]
    }
    expect(said({})).toEqual(['meteor', 6])
    expect(said({ normalize: false })).toEqual(['whitespace', 2])
    // The Treebank's brackets are words of METEOR's list once they are small: `-lrb-`, which its normaliser takes apart.
    expect(said({ tokenizer: 'ptb', normalize: false })).toEqual(['ptb', 4])
    expect(said({ tokenizer: 'ptb' })[0]).toBe('ptb, meteor')
    expect(scoreOf('colour', 'color', { ...plain, tokenizer: 'ptb' })).toBe(1)
  })
})

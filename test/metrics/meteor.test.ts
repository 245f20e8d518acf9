/** @file METEOR against METEOR 1.5, stems against Snowball, and METEOR's data where they lie: folders of WordNet and of tables. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { FileError, InvalidDataError } from '../../src/errors.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { openParaphrases, openWordNet, WORDNET_FOLDER } from '../../src/metrics/meteor/folders.js'
import { meteor, type MeteorSegment } from '../../src/metrics/meteor/meteor.js'
import { meteorModules, type MeteorModule } from '../../src/metrics/meteor/modules.js'
import { porter2 } from '../../src/metrics/meteor/porter2.js'

const files = nodeFiles()
const temporary = mkdtempSync(join(tmpdir(), 'lowrank-meteor-'))
afterAll(() => rmSync(temporary, { recursive: true }))

it('stems are those of libstemmer 2.2', () => {
  const stems = JSON.parse(readFileSync('test/fixtures/metrics/meteor/stems.json', 'utf8')) as Record<string, string>
  expect(Object.keys(stems).length).toBeGreaterThan(2000)
  expect(Object.fromEntries(Object.keys(stems).map((word) => [word, porter2(word)]))).toEqual(stems)
})

describe.skipIf(!existsSync(WORDNET_FOLDER))("WordNet 3.0, of Debian's package", () => {
  it('has its 147,306 words, their synonyms, and those of their forms', async () => {
    const wordnet = await openWordNet(files)
    expect([wordnet.size, wordnet.version]).toEqual([147_306, '3.0'])
    const areSynonyms = (a: string, b: string): boolean => {
      const synsets = new Set(wordnet.synsetsOf(b))
      return wordnet.synsetsOf(a).some((synset) => synsets.has(synset))
    }
    for (const pair of ['car automobile', 'restaurants eatery', 'cheaper inexpensive', 'geese goose', 'children kid', 'ran runs'])
      expect(areSynonyms(...(pair.split(' ') as [string, string])), pair).toBe(true)
    for (const pair of ['car river', 'restaurant pub', 'city riverside'])
      expect(areSynonyms(...(pair.split(' ') as [string, string])), pair).toBe(false)
    expect(wordnet.synsetsOf('alimentum')).toEqual([])
  })
})

const goldens = '../shared/data/e2e-metrics/meteor.json'

/** What METEOR 1.5 prints of a segment: lengths, function words, matches by module (it has room for a fifth), chunks, matched words. */
function printed({ hypothesis, reference, matches, chunks }: MeteorSegment): number[] {
  const sides = ['hypothesis', 'reference'] as const
  const words = (side: (typeof sides)[number]): number =>
    meteorModules.reduce((sum, module) => sum + matches[module][side].content + matches[module][side].function, 0)
  return [
    ...[hypothesis, reference].map((side) => side.content + side.function),
    ...[hypothesis, reference].map((side) => side.function),
    ...meteorModules.flatMap((module) => [
      ...sides.map((side) => matches[module][side].content),
      ...sides.map((side) => matches[module][side].function),
    ]),
    chunks,
    ...sides.map(words),
  ]
}

// The texts are of the E2E challenge and stay where they are; without them or WordNet there is nothing to compare.
describe.skipIf(!existsSync(goldens) || !existsSync(WORDNET_FOLDER))('METEOR 1.5 on the example of e2e-metrics', () => {
  interface Goldens {
    readonly references: readonly string[][]
    readonly hypotheses: readonly string[]
    readonly results: readonly { modules: string; stats: string[]; segment: number[]; corpus: number }[]
  }

  it('has these scores and counts, of every segment and as a whole, whatever the modules', async () => {
    const { references, hypotheses, results } = JSON.parse(readFileSync(goldens, 'utf8')) as Goldens
    const segments = hypotheses.map((hypothesis, i) => ({ hypothesis, references: references[i]! }))
    const wordnet = await openWordNet(files)
    expect(results).toHaveLength(3)
    for (const expected of results) {
      const modules = expected.modules.split(' ') as MeteorModule[]
      const { score, segments: scored, name } = meteor(segments, { modules, ...(modules.includes('synonym') && { wordnet }) })
      expect(name).toBe(`METEOR (${modules.join(', ')})`)
      expect(score).toBeCloseTo(expected.corpus, 12)
      scored.forEach((segment, i) => {
        expect(segment.score).toBeCloseTo(expected.segment[i]!, 12)
        expect(printed(segment)).toEqual(expected.stats[i]!.split(' ').map(Number))
      })
    }
  })
})

describe('folders', () => {
  it('without WordNet are refused by what is missing and what to do', async () => {
    const bare = join(temporary, 'bare')
    await expect(openWordNet(files, bare)).rejects.toThrow(FileError)
    await expect(openWordNet(files, bare)).rejects.toThrow(
      /has no index\.noun.*"wordnet-base".*--wordnet DIR.*--meteor-modules exact,stem/,
    )
    writeFileSync(join(temporary, 'index.noun'), '')
    await expect(openWordNet(files, temporary)).rejects.toThrow(/has no noun\.exc/)
  })

  it('of METEOR have a table of paraphrases, which is unpacked as it is read', async () => {
    await expect(openParaphrases(files, temporary)).rejects.toThrow(/has no paraphrase-en\.gz.*--meteor-data DIR/)
    const path = join(temporary, 'paraphrase-en.gz')
    const table = Array.from({ length: 5000 }, (_, i) => `0.${i}\nphrase ${i}\nparaphrase ${i}\n`).join('')
    writeFileSync(path, gzipSync(table))
    expect((await openParaphrases(files, temporary)).size).toBe(10_000)
    const segments = [{ hypothesis: 'a phrase 17', references: ['a paraphrase 17'] }]
    const paraphrases = await openParaphrases(files, temporary, { segments })
    expect(paraphrases.size).toBe(2)
    expect(meteor(segments, { modules: ['exact', 'paraphrase'], paraphrases }).score).toBeGreaterThan(0.6)

    writeFileSync(path, gzipSync(table).subarray(0, 5000))
    await expect(openParaphrases(files, temporary)).rejects.toThrow(InvalidDataError)
    await expect(openParaphrases(files, temporary)).rejects.toThrow(/damaged or cut off/)
  })
})

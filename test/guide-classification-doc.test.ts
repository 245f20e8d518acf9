/**
 * @file docs/guide-classification.md word for word, as a reader types it: in a checkout where its base and its tables lie under the names
 * that it gives them. The base is tiny and knows nothing; the tables are some of Banking77's intents where the data set is there
 * (../shared/data), else questions to a library.
 */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { writeBertModel } from './support/bert-model.js'
import { blocksOf, documentBlocks, expectShown } from './support/document.js'
import { intents } from './support/intents.js'
import { Reader } from './support/reader.js'

const page = 'docs/guide-classification.md'
const banking = '../shared/data/banking77'

/** Lines of outputs whose words are the same for other rows; the figures are of the whole of Banking77. */
const STEADY =
  /^(\S+\.csv: |rows|tokens|length|labels|--group|to evaluate|\d[\d,]* rows|step|adapter|\s*loss|right|score|report|would|\s+(file|README|adapter|head)|nothing|merged)/

/** The first rows of each of the first labels of a table `text,category`, whose rows may run over lines. */
function firstRows(table: string, labels: number, rows: number): string {
  const [head, ...records] = table.match(/(?:"(?:[^"]|"")*"|[^"\n])+/g)!
  const byLabel = new Map<string, string[]>()
  for (const record of records) {
    const label = record.slice(record.lastIndexOf(',') + 1).trim()
    byLabel.set(label, [...(byLabel.get(label) ?? []), record])
  }
  return [head, ...[...byLabel.values()].slice(0, labels).flatMap((of) => of.slice(0, rows))].join('\n') + '\n'
}

describe.skipIf(process.platform === 'win32')(page, () => {
  const reader = new Reader()
  const isThere = existsSync(banking)
  const tableOf = (name: 'train' | 'test', rows: number): string =>
    isThere ? firstRows(readFileSync(`${banking}/${name}.csv`, 'utf8'), 6, rows) : intents[name]
  const [train, test] = [tableOf('train', 80), tableOf('test', 20)]
  reader.write('train.csv', train)
  reader.write('test.csv', test)
  writeBertModel(reader.file('google-bert/bert-base-uncased'), train.split('\n'))
  const labels = new Set(train.trim().split('\n').slice(1).map((line) => line.slice(line.lastIndexOf(',') + 1).trim())) // prettier-ignore

  it(`runs word for word, on ${isThere ? 'rows of Banking77' : 'rows of our own: ../shared/data/banking77 is not there'}`, async () => {
    const outputs = await reader.types(blocksOf('bash', page))
    const shown = documentBlocks(page).flatMap(({ language, text }) => (language === '' ? [text.split('\n')] : []))
    // The first block says what is what.
    expect(shown).toHaveLength(outputs.length - 1)
    for (const [i, lines] of shown.entries()) {
      const steady = lines.filter((line) => STEADY.test(line))
      expect(steady.length).toBeGreaterThan(0)
      expectShown(steady.join('\n'), outputs[i + 1]!, { form: true })
    }
    // Better than by chance.
    const accuracy = Number(/─\n\s*\S+\s+(\S+)/.exec(outputs[3]!)![1])
    expect(accuracy, outputs[3]).toBeGreaterThan(1.5 / labels.size)
    const head = { architectures: ['BertForSequenceClassification'], id2label: { ...[...labels].sort() } }
    for (const file of ['out/intents/head_config.json', 'out/intents-merged/config.json'])
      expect(JSON.parse(reader.read(file))).toMatchObject(head)
    expect(reader.read('out/intents.html')).toContain('<title>Intents')
  }, 300_000)

  it('compiles and runs', async () => {
    const output = await reader.program('intents', blocksOf('ts', page).join('\n'))
    const accuracies = [...output.matchAll(/^after \d+ steps: loss \S+, accuracy (\S+)$/gm)].map(([, value]) => Number(value))
    expect(Math.max(...accuracies)).toBeGreaterThan(1.5 / labels.size)
    const said = [...output.matchAll(/^(\S+) \((0\.\d+)\): (?:my card|why was)/gm)]
    expect(said.map(([, label]) => labels.has(label!))).toEqual([true, true])
  }, 300_000)
})

/** @file Texts to tokens and predictions to texts: the files of examples/NLG's scripts, byte for byte. */
import { existsSync, readFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { InvalidDataError } from '../../../src/errors.js'
import { memoryFiles, type MemoryFiles } from '../../../src/io/memory-files.js'
import { nodeFiles } from '../../../src/io/node-files.js'
import { openBytePairs } from '../../../src/paper/nlg/byte-pairs.js'
import { dataSets, textRows, type DataSet } from '../../../src/paper/nlg/data-sets.js'
import { decode, decodedPaths, styled, type CategoryFilter, type DecodeOptions } from '../../../src/paper/nlg/decode.js'
import { formattedPath, prepare, preparedPaths } from '../../../src/paper/nlg/prepare.js'
import { linesOf, readPredictedRows, readTextRows, readTokenRows } from '../../../src/paper/nlg/stage-files.js'
import { temporaryFolder } from '../../support/training.js'

interface Texts {
  /** What the scripts read. */
  readonly files: Readonly<Record<string, string>>
  readonly stages: Readonly<Record<DataSet, Readonly<Record<'formatted' | 'encoded' | 'bare', string>>>>
  readonly decoded: readonly {
    readonly dataSet: DataSet
    readonly flags: readonly string[]
    readonly files: Readonly<Record<string, string>>
  }[]
}
const texts = JSON.parse(readFileSync('test/fixtures/paper/nlg/texts.json', 'utf8')) as Texts
const inputs = { e2e: 'e2e.txt', webnlg: 'webnlg.json', dart: 'dart.json' } as const
const encode = { vocab: '.', addBos: true, addEos: true }

let files: MemoryFiles
beforeEach(() => void (files = memoryFiles(texts.files)))

describe.each(dataSets)('the rows of %s', (dataSet) => {
  const { formatted, encoded, bare } = texts.stages[dataSet]

  it('are written as format_converting_*.py and gpt2_encode.py write them', async () => {
    const found = await prepare(files, dataSet, inputs[dataSet], 'out/train.jsonl', encode)
    expect(await files.readText('out/train_formatted.jsonl')).toBe(formatted)
    expect(await files.readText('out/train.jsonl')).toBe(encoded)
    expect(found).toMatchObject({ formatted: 'out/train_formatted.jsonl', encoded: 'out/train.jsonl' })
    expect(found.rows).toBe(encoded.trimEnd().split('\n').length)
  })

  it('stay texts without a vocabulary, and become tokens later', async () => {
    await prepare(files, dataSet, inputs[dataSet], 'texts.jsonl')
    expect(await files.readText('texts.jsonl')).toBe(formatted)
    expect(await files.exists('texts_formatted.jsonl')).toBe(false)
    await prepare(files, 'formatted', 'texts.jsonl', 'bare.jsonl', { vocab: '.', addBos: false, addEos: false })
    expect(await files.readText('bare.jsonl')).toBe(bare)
  })
})

/** What a flag's value is in the list of those that a script was run with. */
const after = (flags: readonly string[], name: string): string | undefined =>
  flags.includes(name) ? flags[flags.indexOf(name) + 1] : undefined

function decodeOptions(dataSet: DataSet, flags: readonly string[] = []): DecodeOptions {
  return {
    ...{ vocab: '.', samples: `${dataSet}_predictions.jsonl`, inputs: `${dataSet}_formatted.jsonl` },
    ...{ references: 'out/refs', hypotheses: 'out/hyps', referenceType: dataSet },
    tokenize: flags.includes('--tokenize'),
    lower: flags.includes('--lower'),
    uniqueIds: after(flags, '--ref_unique_file'),
    referenceCount: Number(after(flags, '--ref_num') ?? 4),
    filter: (after(flags, '--filter') ?? 'all') as CategoryFilter,
  }
}

describe('predictions', () => {
  const write = (dataSet: DataSet): Promise<void> => files.write(`${dataSet}_formatted.jsonl`, texts.stages[dataSet].formatted)

  it.each(texts.decoded)('of $dataSet are decoded as gpt2_decode.py $flags does', async ({ dataSet, flags, files: expected }) => {
    await write(dataSet)
    const options = decodeOptions(dataSet, flags)
    await decode(files, options)
    expect([...decodedPaths(options)].sort()).toEqual(Object.keys(expected).sort())
    for (const [path, text] of Object.entries(expected)) expect(await files.readText(path), path).toBe(text)
  })

  it('have one line each, whatever is in them', async () => {
    const pairs = await openBytePairs(files, '.')
    const predict = pairs.encode('one\nmore\r.')
    await files.write('dart_predictions.jsonl', [0, 2].map((id) => `${JSON.stringify({ id, predict })}\n`).join(''))
    await write('dart')
    expect(await decode(files, decodeOptions('dart'))).toEqual({ segments: 2, references: 3, leftOut: 0, joined: 2 })
    expect(await files.readText('out/hyps')).toBe('one more .\none more .\n')
    // A reference too many for its files is counted, not told among those that were written.
    const one = decodeOptions('dart', ['--ref_num', '1'])
    expect(await decode(files, one)).toEqual({ segments: 2, references: 2, leftOut: 1, joined: 2 })
  })

  it('are refused where they are of other rows', async () => {
    await write('dart')
    const fails = async (predictions: readonly object[], message: string, options = decodeOptions('dart')) => {
      await files.write('dart_predictions.jsonl', predictions.map((row) => `${JSON.stringify(row)}\n`).join(''))
      await expect(decode(files, options)).rejects.toThrow(message)
      expect(await files.exists('out/hyps')).toBe(false)
    }
    const one = { id: 0, predict: [1] }
    await fails([{ id: 3, predict: [1] }], 'a prediction is of row 3, but dart_formatted.jsonl has 3 rows, from 0 on')
    await fails([one], '1 of 2 segments have no prediction: "🚀 : [title] : É"; the predictions are of other rows')
    await fails([{ id: 0, predict: [4000] }], 'token id 4000 is not in ./encoder.json')
    await fails([{ id: 0 }], 'dart_predictions.jsonl, line 1: found the fields "id"; expected "predict", a list of token ids')
    await fails([{ id: 0, predict: [0.5] }], '"predict" must be a list of token ids, as gpt2_beam.py writes it, but is a list')
    await fails([one], 'dart_formatted.jsonl, row 1 has no "cate", which --filter seen asks for', {
      ...decodeOptions('dart'),
      filter: 'seen',
    })
    await files.write('ids', '1\nx\n')
    await fails([one], 'ids, line 2: expected a whole number, found "x"', { ...decodeOptions('dart'), uniqueIds: 'ids' })
    await files.write('ids', '1\n')
    await fails([one], 'ids has 1 lines, but there are 3 texts', { ...decodeOptions('dart'), uniqueIds: 'ids' })
    await files.write('dart_formatted.jsonl', '{"context":"a","completion":"b","cate":false}\n')
    await fails([one], 'dart_formatted.jsonl: no row passes --filter seen', { ...decodeOptions('dart'), filter: 'seen' })
    await files.write('dart_formatted.jsonl', '{"context":"a","completion":"b","cate":1}\n')
    await fails([one], 'line 1: "cate" must be true or false, but is the number 1')
  })

  it('are in words of Python', () => {
    const style = { tokenize: true, lower: true }
    expect(styled("It's a_b, £20–½\u001cX\u0301", style)).toBe("it ' s a_b , £ 20 – ½ x \u0301")
    expect(styled(' A  B ', { tokenize: false, lower: false })).toBe(' A  B ')
  })
})

describe('files that are not as they were published', () => {
  it('are refused by the place', () => {
    expect(() => textRows('e2e', 'a||b\nno bars\n', 'x.txt')).toThrow(
      new InvalidDataError('x.txt, line 2: expected "meaning||text", found "no bars"'),
    )
    expect(() => textRows('webnlg', '{"entries": [{"2": {}}]}', 'x.json')).toThrow(
      'x.json, entries[0], 1: expected an object with "modifiedtripleset", found nothing',
    )
    expect(() => textRows('webnlg', '{"entries": [', 'x.json')).toThrow(/^x\.json is not valid JSON: .*; get the file again$/)
    expect(() => textRows('webnlg', '[]', 'x.json')).toThrow('x.json: expected an object with "entries", found a list')
    expect(() => textRows('dart', '{}', 'x.json')).toThrow('x.json: expected the list of examples, found an object')
    expect(() => textRows('dart', '[{"tripleset": [["a", "b"]], "annotations": []}]', 'x.json')).toThrow(
      'x.json[0], tripleset[0]: expected a triple, found a list of 2',
    )
    expect(() => textRows('dart', '[{"tripleset": [["a", "b", 3]], "annotations": []}]', 'x.json')).toThrow(
      'x.json[0], tripleset[0][2]: expected a text, found the number 3',
    )
  })

  it('are refused by line and field', async () => {
    await files.write('rows', '{"context": "a", "completion": "b"}\n\n{"context": [1], "completion": [-1]}\n')
    await expect(readTextRows(files, 'rows')).rejects.toThrow('rows, line 3: "context" must be a text')
    await expect(readTokenRows(files, 'rows')).rejects.toThrow(
      'rows, line 1: "context" must be a list of token ids, as gpt2_encode.py writes it, but is text',
    )
    await files.write('empty', '\n')
    await expect(readPredictedRows(files, 'empty')).rejects.toThrow('empty holds no row')
    const folder = memoryFiles({ 'v/vocab.bpe': '' })
    await expect(openBytePairs(folder, 'v')).rejects.toThrow(
      "--vocab v: expected GPT-2's encoder.json and vocab.bpe, or vocab.json and merges.txt, in this folder",
    )
  })
})

describe('names and lines', () => {
  it('are those of create_datasets.sh and of Python', () => {
    expect(['data/e2e/train.jsonl', 'a.b/train'].map(formattedPath)).toEqual([
      'data/e2e/train_formatted.jsonl',
      'a.b/train_formatted',
    ])
    expect(preparedPaths('e2e', 'a.jsonl', true)).toEqual(['a_formatted.jsonl', 'a.jsonl'])
    expect(preparedPaths('e2e', 'a.jsonl', false)).toEqual(['a.jsonl'])
    expect(preparedPaths('formatted', 'a.jsonl', true)).toEqual(['a.jsonl'])
    expect(linesOf('a \r\nb\rc\u0085\n\nd')).toEqual(['a', 'b', 'c', '', 'd'])
  })

  it('may be those of transformers', async () => {
    const { 'encoder.json': vocabulary, 'vocab.bpe': merges } = texts.files
    const pairs = await openBytePairs(memoryFiles({ 'v/vocab.json': vocabulary!, 'v/merges.txt': merges! }), 'v')
    expect(pairs.decode(pairs.encode('the cat <|endoftext|> é'))).toBe('the cat <|endoftext|> é')
    expect(pairs.encode('<|endoftext|>').length).toBeGreaterThan(5)
  })
})

const shared = '../shared/data'
const published = [
  ['e2e', 'e2e/test.txt', '9f774414e4dc88271fa2982ec21c8c1e2344c6c54d474e0e3ef8c8d677a49c9c', '32b4c41133c61d714642e128498a153b1864390f3b353981a95b62b442fbe07d'], // prettier-ignore
  ['webnlg', 'nlg/webnlg2017-dev.json', 'f92c32802d38cb520103e6edaa620da31b11db399fc81db8d02f83e7af33d3cd', 'ea13cfdc7352c296c79e89c1df2bbd59b5f4f298c8265e8c40decdd3cf22b972'], // prettier-ignore
] as const

describe('published files', () => {
  it.each(published)(
    'of %s become what the scripts make of them',
    async (dataSet, path, formatted, encoded) => {
      const missing = [path, 'gpt2-bpe/vocab.bpe'].find((name) => !existsSync(`${shared}/${name}`))
      if (missing !== undefined) return console.warn(`${missing} is not here; skipped`)
      const out = temporaryFolder()
      await prepare(nodeFiles(), dataSet, `${shared}/${path}`, `${out}/x.jsonl`, { ...encode, vocab: `${shared}/gpt2-bpe` })
      const hash = (name: string): string =>
        createHash('sha256')
          .update(readFileSync(`${out}/${name}`))
          .digest('hex')
      expect([hash('x_formatted.jsonl'), hash('x.jsonl')]).toEqual([formatted, encoded])
    },
    30_000,
  )
})

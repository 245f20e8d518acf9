/** @file Predictions of a file's rows: those of gpt2_beam.py, token by token. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { nodeFiles } from '../../../src/io/node-files.js'
import { predictRows, type BeamSettings } from '../../../src/paper/nlg/beam.js'
import { openGpt2, type OpenGpt2 } from '../../../src/paper/nlg/open-gpt2.js'
import { readTokenRows, type TokenRow } from '../../../src/paper/nlg/stage-files.js'
import { testEnvironment } from '../../support/training.js'

const folder = 'test/fixtures/paper/nlg'

interface Case extends Readonly<
  Partial<Record<'length_penalty' | 'no_repeat_ngram_size' | 'repetition_penalty' | 'min_length', number>>
> {
  readonly checkpoint: 'base' | 'full'
  readonly beam: number
  readonly eos_token_id?: readonly number[]
  readonly only?: readonly number[]
  readonly seq_len: number
  readonly eval_len: number
  readonly predict: readonly (readonly number[])[]
}
const { rank, alpha, cases } = JSON.parse(readFileSync(`${folder}/beams.json`, 'utf8')) as {
  readonly rank: number
  readonly alpha: number
  readonly cases: readonly Case[]
}

const settingsOf = (one: Case, batchSize = 3): BeamSettings => ({
  batchSize,
  sequenceLength: one.seq_len,
  textLength: one.eval_len,
  minLength: one.min_length ?? 0,
  beam: one.beam,
  lengthPenalty: one.length_penalty ?? 1,
  noRepeatNgramSize: one.no_repeat_ngram_size ?? 4,
  repetitionPenalty: one.repetition_penalty ?? 1,
  endTokenIds: one.eos_token_id ?? one.only ?? [],
})

let opened: Readonly<Record<'base' | 'full', OpenGpt2>>
let rows: TokenRow[]
beforeAll(async () => {
  const card = 'gpt2.sm'
  opened = {
    base: await openGpt2(testEnvironment(), { checkpoint: folder, card, loraDim: 0, loraAlpha: 128 }),
    full: await openGpt2(testEnvironment(), { checkpoint: `${folder}/model.full.pt`, card, loraDim: rank, loraAlpha: alpha }),
  }
  rows = await readTokenRows(nodeFiles(), `${folder}/rows.jsonl`)
})

describe('predictions', () => {
  it('are those of gpt2_beam.py', async () => {
    for (const one of cases) {
      const told: string[] = []
      const onProgress = (done: number, total: number) => void told.push(`${done}/${total}`)
      const found = await predictRows(opened[one.checkpoint], rows, { ...settingsOf(one), onProgress }, 'rows.jsonl')
      expect(found).toEqual(one.predict.map((predict, id) => ({ id, predict })))
      // Two of the eight rows have one context.
      expect(told).toEqual(['3/7', '6/7', '7/7'])
    }
  }, 20_000)

  it('do not depend on the batch', async () => {
    const one = cases[1]!
    const found = await predictRows(opened.full, rows, settingsOf(one, 1), 'rows.jsonl')
    expect(found.map(({ predict }) => predict)).toEqual(one.predict)
  })

  it('are refused for rows and lengths that the model cannot continue', async () => {
    const [one] = cases
    const ask = (changes: Partial<BeamSettings>, given: readonly TokenRow[] = rows) =>
      predictRows(opened.base, given, { ...settingsOf(one!), ...changes }, 'rows.jsonl')
    await expect(ask({ sequenceLength: 65 })).rejects.toThrow('--seq_len is 65, but the model has 64 positions')
    await expect(ask({ textLength: 40 })).rejects.toThrow('--eval_len (40) must be below --seq_len (40)')
    await expect(ask({ minLength: 21 })).rejects.toThrow('--min_length (21) must be at most --eval_len (20)')
    await expect(ask({}, [{ context: [], completion: [] }])).rejects.toThrow('rows.jsonl, row 1: the context has no token')
    await expect(ask({}, [rows[0]!, { context: [48], completion: [] }])).rejects.toThrow(
      "rows.jsonl, row 2: token id 48 is not in the model's vocabulary of 48",
    )
  })
})

/** @file Predictions of a file's rows: those of gpt2_beam.py, token by token. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { nodeFiles } from '../../../src/io/node-files.js'
import { predictFile, predictRows } from '../../../src/paper/nlg/beam.js'
import { resolveNlgBeam, type NlgBeamOptions, type ResolvedNlgBeam } from '../../../src/paper/nlg/beam-options.js'
import { openGpt2, type OpenGpt2 } from '../../../src/paper/nlg/open-gpt2.js'
import { readTokenRows, type TokenRow } from '../../../src/paper/nlg/stage-files.js'
import { temporaryFolder, testEnvironment } from '../../support/training.js'

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

/** With the script's own defaults where the case says nothing. */
function optionsOf({ checkpoint: _, predict: __, only, eos_token_id: ends, ...settings }: Case, batchSize = 3): ResolvedNlgBeam {
  const given = { data: 'rows.jsonl', init_checkpoint: folder, ...settings, batch_size: batchSize }
  return resolveNlgBeam({ ...given, eos_token_id: ends ?? only ?? [] })
}

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
      const found = await predictRows(opened[one.checkpoint], rows, { ...optionsOf(one), onProgress })
      expect(found).toEqual(one.predict.map((predict, id) => ({ id, predict })))
      // Two of the eight rows have one context.
      expect(told).toEqual(['3/7', '6/7', '7/7'])
    }
  }, 20_000)

  it('do not depend on the batch', async () => {
    const one = cases[1]!
    const found = await predictRows(opened.full, rows, optionsOf(one, 1))
    expect(found.map(({ predict }) => predict)).toEqual(one.predict)
  })

  it('are written beside the numbers of their rows', async () => {
    const one = cases.find(({ beam }) => beam === 1)!
    const out = temporaryFolder()
    const { beam, seq_len, eval_len } = one
    const options: NlgBeamOptions = {
      ...{ data: `${folder}/rows.jsonl`, init_checkpoint: `${folder}/model.lora.pt`, base_checkpoint: folder },
      ...{ beam, seq_len, eval_len, lora_dim: rank, lora_alpha: alpha, eos_token_id: one.eos_token_id!, work_dir: out },
    }
    expect(await predictFile(testEnvironment(), options)).toEqual({
      ...{ out: `${out}/beam_prediction.jsonl`, rows: 8, contexts: 7 },
    })
    const written = one.predict.map((predict, id) => `{"id": ${id}, "predict": [${predict.join(', ')}]}\n`).join('')
    expect(readFileSync(`${out}/beam_prediction.jsonl`, 'utf8')).toBe(written)
    await expect(predictFile(testEnvironment(), { ...options, init_checkpoint: folder })).rejects.toThrow(
      'holds no LoRA, but --lora_dim is 2; leave it out for the model alone',
    )
  })

  it('are refused for rows that the model cannot continue', async () => {
    const ask = (changes: Partial<ResolvedNlgBeam>, given: readonly TokenRow[] = rows) =>
      predictRows(opened.base, given, { ...optionsOf(cases[0]!), ...changes })
    await expect(ask({ seq_len: 65 })).rejects.toThrow('--seq_len is 65, but the model has 64 positions')
    await expect(ask({}, [{ context: [], completion: [] }])).rejects.toThrow('rows.jsonl, row 1: the context has no token')
    await expect(ask({}, [rows[0]!, { context: [48], completion: [] }])).rejects.toThrow(
      "rows.jsonl, row 2: token id 48 is not in the model's vocabulary of 48",
    )
  })

  it('are refused for options that do not go together', () => {
    const ask = (changes: Partial<NlgBeamOptions>) => () =>
      resolveNlgBeam({ data: 'rows.jsonl', init_checkpoint: folder, ...changes })
    expect(ask({ eval_len: 512 })).toThrow('--eval_len (512) must be below --seq_len (512)')
    expect(ask({ min_length: 257 })).toThrow('--min_length (257) must be at most --eval_len (256)')
    expect(ask({ lora_alpha: 32 })).toThrow('--lora_alpha is for LoRA, but --lora_dim is 0')
    expect(ask({ output_file: 'a/b' })).toThrow('--output_file is the name of a file in --work_dir, got "a/b"')
    expect(ask({ repetition_penalty: 0 })).toThrow('repetition_penalty')
    expect(ask({ platform: 'k8s' as never })).toThrow('platform must be "local": this is one process, got "k8s"')
    expect(ask({ eos_token_id: [-1] })).toThrow('eos_token_id must be a list of token ids')
  })
})

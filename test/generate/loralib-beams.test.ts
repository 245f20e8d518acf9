/** @file Beam searches of style "loralib": the tokens that gpt2_beam.py of microsoft/LoRA writes. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { generateBatch } from '../../src/generate/generate-batch.js'
import { generate } from '../../src/generate/generate.js'
import type { BatchOptions } from '../../src/generate/generate-options.js'
import { LoralibBeamSearch, type LoralibBeamSearchOptions } from '../../src/generate/loralib-beam-search.js'
import { openGpt2 } from '../../src/paper/nlg/open-gpt2.js'
import { testEnvironment, tinyModel } from '../support/training.js'

const folder = 'test/fixtures/paper/nlg'

interface Case {
  readonly checkpoint: 'base' | 'full'
  readonly beam: number
  readonly length_penalty?: number
  readonly no_repeat_ngram_size?: number
  readonly repetition_penalty?: number
  readonly min_length?: number
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
const contexts = readFileSync(`${folder}/rows.jsonl`, 'utf8')
  .trim()
  .split('\n')
  .map((line) => (JSON.parse(line) as { readonly context: readonly number[] }).context)

const endsOf = ({ eos_token_id: ends, only }: Case): readonly number[] => ends ?? only ?? []

/** The script's defaults are not ours. */
const optionsOf = (one: Case): BatchOptions => ({
  beamStyle: 'loralib',
  beams: one.beam,
  lengthPenalty: one.length_penalty ?? 1,
  noRepeatNgramSize: one.no_repeat_ngram_size ?? 4,
  repetitionPenalty: one.repetition_penalty ?? 1,
  minNewTokens: one.min_length ?? 0,
  maxNewTokens: one.eval_len,
  eosTokenIds: endsOf(one),
})

const subject = async (checkpoint: string, loraDim: number) => {
  const { model, adapter } = await openGpt2(testEnvironment(), { checkpoint, card: 'gpt2.sm', loraDim, loraAlpha: alpha })
  return adapter ?? model
}

describe('a beam search of style "loralib"', () => {
  it('finds what gpt2_beam.py finds, for all prompts together', async () => {
    const subjects = { base: await subject(folder, 0), full: await subject(`${folder}/model.full.pt`, rank) }
    const reasons = new Set<string>()
    for (const one of cases.filter(({ beam }) => beam > 1)) {
      const prompts = contexts.map((ids) => ({ inputIds: ids.slice(one.eval_len - one.seq_len) }))
      const found = await generateBatch(subjects[one.checkpoint], prompts, optionsOf(one))
      for (const [i, { ids, finishReason, beams }] of found.entries()) {
        const written = one.predict[i]!
        const end = finishReason === 'eos' ? [written[ids.length]!] : []
        expect(
          [...ids, ...end, ...new Array<number>(one.eval_len - ids.length - end.length).fill(0)],
          JSON.stringify(one),
        ).toEqual(written)
        if (finishReason === 'eos') expect(endsOf(one)).toContain(end[0])
        expect(beams).toHaveLength(1)
        reasons.add(finishReason)
      }
    }
    expect(reasons).toEqual(new Set(['eos', 'length']))
  })

  it('leaves beams that end for one step alone, gives the best whatever its length, and stops when none can beat it', () => {
    const options: LoralibBeamSearchOptions = {
      ...{
        beams: 2,
        limit: 4,
        ends: new Set([0]),
        lengthPenalty: 1,
        repetitionPenalty: 1,
        noRepeatNgramSize: 0,
        minNewTokens: 0,
      },
    }
    const search = new LoralibBeamSearch(options)
    const of = (...p: readonly number[]) => Float32Array.from(p, Math.log)
    expect(search.advance([of(0.5, 0.3, 0.2)])).toEqual([0])
    expect(search.running.map(({ ids }) => ids)).toEqual([[1]])
    // Both places are free again; ln 0.3 + ln 0.5, over 2, is less than ln 0.5.
    expect(search.advance([of(0.1, 0.5, 0.4)])).toEqual([0, 0])
    expect(search.best!.ids).toEqual([0])
    expect(search.best!.score).toBeCloseTo(Math.log(0.5), 6)
    expect(search.advance([of(0.001, 0.001, 0.998), of(0.3, 0.3, 0.4)])).toEqual([0, 1])
    search.advance([of(0.998, 0.001, 0.001), of(0.3, 0.3, 0.4)])
    expect(search.running).toEqual([])
    expect(search.results()).toMatchObject([{ ids: [1, 1, 2], reason: 'eos' }])

    const early = new LoralibBeamSearch(options)
    early.advance([of(0.9, 0.05, 0.05)])
    // ln 0.05 over 4 is not above ln 0.9, and sums only fall.
    expect(early.running).toEqual([])
    const negative = new LoralibBeamSearch({ ...options, lengthPenalty: -1 })
    negative.advance([of(0.4, 0.35, 0.25)])
    expect(negative.running).toEqual([])
  })

  it('says so where the options rule out every token, and what is broken', () => {
    const search = () =>
      new LoralibBeamSearch({
        ...{ beams: 2, limit: 9, ends: new Set<number>(), lengthPenalty: 1, repetitionPenalty: 1, noRepeatNgramSize: 1 },
        minNewTokens: 0,
      })
    const running = search()
    const advance = () => running.advance(running.running.map(() => Float32Array.of(3, 2, 1)))
    for (let i = 0; i < 3; i++) advance()
    expect(advance).toThrow('no token may follow the 3 so far: noRepeatNgramSize 1 and minNewTokens 0 rule out all 3')
    expect(() => search().advance([Float32Array.of(1, NaN)])).toThrow('the model gives NaN')
  })

  it('gives what it has when it is aborted', async () => {
    const options = { inputIds: [5], beams: 2, beamStyle: 'loralib', signal: AbortSignal.abort() } as const
    const found = await generate(tinyModel(), options)
    expect([found.ids, found.finishReason, found.beams]).toMatchObject([[], 'aborted', [{ score: 0 }]])
  })

  it('refuses what it does not read', async () => {
    const model = tinyModel()
    const ask = (options: Record<string, unknown>) =>
      generate(model, { inputIds: [1], beams: 2, beamStyle: 'loralib', ...options })
    await expect(ask({ earlyStopping: true })).rejects.toThrow(
      'earlyStopping is not of the beam search of style "loralib", which goes on to the last token and gives the best text; leave it out, or take beamStyle "transformers"',
    )
    await expect(ask({ numReturn: 2 })).rejects.toThrow('numReturn is not of')
    await expect(ask({ stop: 'x' })).rejects.toThrow('stop is not of')
    await expect(ask({ beams: 1 })).rejects.toThrow('beamStyle belongs to a beam search: set beams to at least 2')
    await expect(ask({ beamStyle: 'fairseq' })).rejects.toThrow('beamStyle must be "transformers" or "loralib", got "fairseq"')
  })
})

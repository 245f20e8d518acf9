/** @file GPT-2 as examples/NLG of microsoft/LoRA stores it: opened with and without LoRA, with the logits of its model file. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { logits as logitsOf } from '../../../src/adapter/forward.js'
import { InvalidModelError, InvalidOptionError } from '../../../src/errors.js'
import { encodeTorch } from '../../../src/formats/torch/index.js'
import { float32 } from '../../../src/graph/constants.js'
import { openGpt2, type Gpt2Source, type OpenGpt2 } from '../../../src/paper/nlg/open-gpt2.js'
import { cardConfig, modelCards } from '../../../src/paper/nlg/model-cards.js'
import { weightShapes } from '../../../src/models/registry.js'
import { temporaryFolder, testEnvironment } from '../../support/training.js'

const folder = 'test/fixtures/paper/nlg'
const { rank, alpha, logits } = JSON.parse(readFileSync(`${folder}/beams.json`, 'utf8')) as {
  readonly rank: number
  readonly alpha: number
  readonly logits: Readonly<Record<'base' | 'full', readonly (readonly number[])[]>>
}
const rows = readFileSync(`${folder}/rows.jsonl`, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as { readonly context: readonly number[] })

const open = (given: Partial<Gpt2Source> & { readonly checkpoint: string }): Promise<OpenGpt2> =>
  openGpt2(testEnvironment(), { card: 'gpt2.sm', loraDim: 0, loraAlpha: alpha, ...given })

/** The largest difference of the logits after two contexts. */
async function difference({ model, adapter }: OpenGpt2, expected: readonly (readonly number[])[]): Promise<number> {
  let largest = 0
  for (const [i, wanted] of expected.entries()) {
    const [found] = await logitsOf(adapter ?? model, [rows[i]!.context])
    const last = (found!.data as Float32Array).slice(-wanted.length)
    wanted.forEach((value, id) => (largest = Math.max(largest, Math.abs(value - Number(last[id])))))
  }
  return largest
}

describe('a checkpoint of GPT-2', () => {
  it("is transformers' pytorch_model.bin, named or by its folder, with the sizes of the config.json beside it", async () => {
    expect(await difference(await open({ checkpoint: `${folder}/pytorch_model.bin` }), logits.base)).toBeLessThan(2e-5)
    const opened = await open({ checkpoint: folder })
    expect([opened.adapter, opened.lora.size]).toEqual([undefined, 0])
    expect(await difference(opened, logits.base)).toBeLessThan(2e-5)
  })

  it('is what gpt2_ft.py saves at the end of an epoch: the model with its LoRA', async () => {
    const opened = await open({ checkpoint: `${folder}/model.full.pt`, loraDim: rank })
    expect(await difference(opened, logits.full)).toBeLessThan(2e-5)
    expect([...opened.lora.keys()].slice(0, 2)).toEqual([
      'transformer.h.0.attn.c_attn.lora_A',
      'transformer.h.0.attn.c_attn.lora_B',
    ])
    expect(opened.lora.get('transformer.h.1.attn.c_attn.lora_B')!.shape).toEqual([32, rank])
  })

  it('is what it saves at intervals: LoRA alone, with its model beside', async () => {
    const opened = await open({ checkpoint: `${folder}/model.lora.pt`, base: folder, loraDim: rank })
    expect(await difference(opened, logits.full)).toBeLessThan(2e-5)
  })

  it('is an adapter folder of PEFT, with its model beside', async () => {
    const { adapter } = await open({ checkpoint: `${folder}/model.full.pt`, loraDim: rank })
    const saved = `${temporaryFolder()}/adapter`
    await adapter!.save(saved)
    expect(await difference(await open({ checkpoint: saved, base: folder }), logits.full)).toBeLessThan(2e-5)
    await expect(open({ checkpoint: saved })).rejects.toThrow(/holds an adapter alone; name the model .* with --base_checkpoint/)
    await expect(open({ checkpoint: saved, base: folder, loraDim: 2 })).rejects.toThrow(/leave out --lora_dim and --lora_alpha/)
  })

  it('may have the endings of names that OpenAI used', async () => {
    const { model } = await open({ checkpoint: folder })
    const former = temporaryFolder()
    const tensors = [...model.weights].map(([name, { shape }]) => {
      const short = name.replace(/^transformer\./, '').replace(/(?<=ln_.)\.weight$/, '.g')
      return [short, float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)))] as const
    })
    writeFileSync(`${former}/old.bin`, encodeTorch(tensors))
    writeFileSync(`${former}/config.json`, readFileSync(`${folder}/config.json`))
    expect([...(await open({ checkpoint: `${former}/old.bin` })).model.weights.keys()]).toEqual([...model.weights.keys()])
  })

  it('is refused where it and the flags do not say the same', async () => {
    const full = `${folder}/model.full.pt`
    await expect(open({ checkpoint: full })).rejects.toThrow(
      new InvalidOptionError(
        `${full} holds LoRA of rank 2: give --lora_dim 2 and the --lora_alpha that it was trained with, or a checkpoint without LoRA`,
      ),
    )
    await expect(open({ checkpoint: full, loraDim: 4 })).rejects.toThrow('holds LoRA of rank 2, but --lora_dim is 4')
    await expect(open({ checkpoint: `${folder}/model.lora.pt`, loraDim: rank })).rejects.toThrow(
      /holds LoRA alone, as gpt2_ft\.py saves it .* with --base_checkpoint/,
    )
    await expect(open({ checkpoint: `${folder}/none.pt` })).rejects.toThrow(
      new InvalidModelError(`checkpoint "${folder}/none.pt" does not exist`),
    )
  })

  it('is refused for other sizes than the card has, and a card that is none', async () => {
    await expect(open({ checkpoint: folder, modelCard: 'gpt2.md' })).rejects.toThrow(
      `--model_card gpt2.md is 1024 wide, but ${folder} is 16 wide; give the card of this model with --model_card`,
    )
    await expect(open({ checkpoint: folder, modelCard: 'gpt2.xl' })).rejects.toThrow(
      '--model_card is one of gpt2.sm, gpt2.md, gpt2.lg, or the config.json of a GPT-2 of other sizes; "gpt2.xl" is neither',
    )
    const alone = temporaryFolder()
    mkdirSync(`${alone}/config`)
    writeFileSync(`${alone}/model.pt`, readFileSync(`${folder}/model.full.pt`))
    writeFileSync(`${alone}/config/config.json`, readFileSync(`${folder}/config.json`))
    const opened = await open({ checkpoint: `${alone}/model.pt`, modelCard: `${alone}/config`, loraDim: rank })
    expect(opened.model.vocabularySize).toBe(48)
  })
})

describe('the cards', () => {
  it("have the parameters of transformers' gpt2, gpt2-medium and gpt2-large", () => {
    const counts = modelCards.map((card) =>
      [...weightShapes(cardConfig(card)).values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0),
    )
    expect(counts).toEqual([124_439_808, 354_823_168, 774_030_080])
  })
})

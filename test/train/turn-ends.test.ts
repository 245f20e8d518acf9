/** @file A base model that learns turns stops where they end, though its own generation_config.json names another token. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { AdapterSet, addLora, combineAdapters, generate, generateBatch, loadAdapter, loadModel, merge } from '../../src/index.js'
import type { WarningEvent } from '../../src/train/events.js'
import { CHATML, writeChatModel } from '../support/chat-model.js'
import { runTraining, temporaryFolder, writeRows } from '../support/training.js'

const work = temporaryFolder()
const IM_END = 2
const rows = writeRows(join(work, 'rows.jsonl'), [
  { messages: [{ role: 'user', content: 'What is 2+2?' }, { role: 'assistant', content: 'It is 4.' }] }, // prettier-ignore
  { messages: [{ role: 'user', content: 'Who are you?' }, { role: 'assistant', content: 'The quick brown fox.' }] }, // prettier-ignore
])
const question = { messages: [{ role: 'user', content: 'What is 2+2?' }], maxNewTokens: 40 }
const options = { data: rows, steps: 150, learningRate: 1e-2, schedule: 'constant', warmup: 0 } as const
const readEnds = (folder: string): unknown =>
  (JSON.parse(readFileSync(join(folder, 'generation_config.json'), 'utf8')) as Record<string, unknown>)['eos_token_id']
const warnings = (events: readonly { event: string }[]): string[] =>
  events.filter((e): e is WarningEvent => e.event === 'warning').map(({ message }) => message)

describe('turns that end where the base does not stop', () => {
  const base = writeChatModel(join(work, 'base'))
  const out = join(work, 'out')
  let said: string[] = []
  let inMemory: string | undefined

  beforeAll(async () => {
    const model = await loadModel(base, { threads: 1 })
    const adapter = await addLora(model, { r: 16, targetModules: 'all-linear' })
    said = warnings((await runTraining(adapter, { ...options, out })).events)
    inMemory = (await generate(adapter, question)).finishReason
  }, 120_000)

  it('says so once, and stops there from then on', () => {
    expect(said).toEqual([
      `learned turns end in "<|im_end|>" (token ${IM_END}), where the model's generation_config.json does not stop; ` +
        'generation with what is trained here stops there, and generation_config.json beside it says so to other programs',
    ])
    expect(inMemory).toBe('eos')
  })

  it('writes it into the folder as transformers reads it', () => {
    const config = JSON.parse(readFileSync(join(out, 'generation_config.json'), 'utf8')) as Record<string, unknown>
    // The base's own file with the token added; with `_from_model_config` transformers would make it anew.
    const { _from_model_config: _, ...own } = JSON.parse(readFileSync(join(base, 'generation_config.json'), 'utf8')) as Record<
      string,
      unknown
    >
    expect(config).toEqual({ ...own, eos_token_id: [0, IM_END] })
  })

  it('is obeyed by whoever loads the adapter: alone, in a set, by row, combined, merged', async () => {
    const model = await loadModel(base, { threads: 1 })
    const adapter = await loadAdapter(model, out)
    const alone = await generate(adapter, question)
    expect(alone).toMatchObject({ finishReason: 'eos', text: 'It is 4.' })
    expect((await generate(model, question)).finishReason).toBe('length')
    expect((await generate(adapter, { ...question, beams: 2 })).finishReason).toBe('eos')

    const set = new AdapterSet(model)
    await set.add('chat', adapter)
    set.setAdapter('chat')
    expect((await generate(set, question)).text).toBe(alone.text)
    const mixed = await generateBatch(
      set,
      [
        { messages: question.messages, adapter: 'chat' },
        { messages: question.messages, adapter: null },
      ],
      { maxNewTokens: 40 },
    )
    expect(mixed.map(({ finishReason }) => finishReason)).toEqual(['eos', 'length'])

    const combined = combineAdapters(model, [{ adapter, weight: 1 }])
    expect((await generate(combined, question)).text).toBe(alone.text)
    await combined.save(join(work, 'combined'))
    expect(readEnds(join(work, 'combined'))).toEqual([0, IM_END])

    const merged = join(work, 'merged')
    for (const overwrite of [false, true]) await merge(adapter).save(merged, { overwrite })
    expect(readEnds(merged)).toEqual([0, IM_END])
    expect((await generate(await loadModel(merged, { threads: 1 }), question)).text).toBe(alone.text)
    await merge(adapter).save(join(work, 'merged-onnx'), { format: 'onnx' })
    expect(readEnds(join(work, 'merged-onnx'))).toEqual([0, IM_END])
  }, 120_000)
})

describe('other ends', () => {
  const trained = async (name: string, template: string, generationConfig?: object): Promise<[said: string[], out: string]> => {
    const folder = writeChatModel(join(work, name), template)
    if (generationConfig !== undefined) writeFileSync(join(folder, 'generation_config.json'), JSON.stringify(generationConfig))
    const adapter = await addLora(await loadModel(folder, { threads: 1 }), { r: 2 })
    const out = join(work, `${name}-out`)
    const { events } = await runTraining(adapter, { ...options, steps: 2, out })
    return [warnings(events), out]
  }

  it('are left alone where generation stops at them', async () => {
    const [said, out] = await trained('stops', CHATML, { eos_token_id: [0, IM_END], temperature: 0.5 })
    expect(said).toEqual([])
    expect(existsSync(join(out, 'generation_config.json'))).toBe(false)
    // The last of the closing's tokens is one.
    expect((await trained('phi', `${CHATML}{% if not add_generation_prompt %}<|endoftext|>{% endif %}`))[0]).toEqual([])
  })

  it('are found in front of what is not learned, and are the last of several', async () => {
    const tagged = (inner: string, outer: string): string =>
      `{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}${inner}{% endgeneration %}${outer}{% else %}{{ m.content }}{% endif %}{% endfor %}`
    expect((await trained('newline', tagged('<|im_start|><|im_end|>', '\n')))[0]).toEqual([
      expect.stringMatching(/^learned turns end in "<\|im_start\|><\|im_end\|>" \(token 2\), where the model's/),
    ])
    // Tags that leave out the end token teach none.
    expect((await trained('outside', tagged('', '<|im_end|>')))[0]).toEqual([
      expect.stringMatching(/^the chat template ends learned turns with no special token/),
    ])
  })

  it('are learned from preferences too', async () => {
    const adapter = await addLora(await loadModel(writeChatModel(join(work, 'dpo')), { threads: 1 }), { r: 2 })
    const turn = (role: string, content: string) => ({ role, content })
    const pair = { prompt: [turn('user', 'a')], chosen: [turn('assistant', 'b')], rejected: [turn('assistant', 'c')] }
    const data = writeRows(join(work, 'pairs.jsonl'), [pair])
    const { events } = await runTraining(adapter, { ...options, data, objective: 'dpo', steps: 2 })
    expect(warnings(events)).toEqual([expect.stringMatching(/^learned turns end in "<\|im_end\|>"/)])
    expect(adapter.endTokenIds).toEqual([IM_END])
  })

  it('are told where there is none', async () => {
    const [said, out] = await trained('open', CHATML.replace('<|im_end|>\n{% endfor %}', '\n{% endfor %}'))
    expect(said).toEqual([
      expect.stringMatching(/^the chat template ends learned turns with no special token \(the last ends in /),
    ])
    expect(existsSync(join(out, 'generation_config.json'))).toBe(false)
  })
})

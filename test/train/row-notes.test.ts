/** @file What is worth knowing of the rows is said once: fields that nothing reads, rows that were cut. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Tokenizer } from '../../src/data/tokenizer.js'
import { addLora, evaluate, loadModel, planTraining } from '../../src/index.js'
import type { WarningEvent } from '../../src/train/events.js'
import { CHATML, writeChatModel } from '../support/chat-model.js'
import { runTraining, temporaryFolder, writeRows } from '../support/training.js'

const work = temporaryFolder()
mkdirSync(join(work, 'm'))
const withTools = `{% if tools %}{{ tools | length }}{% endif %}${CHATML}<|endoftext|>`
const model = await loadModel(writeChatModel(join(work, 'm'), withTools), { threads: 1 })
const user = { role: 'user', content: 'a' }
const assistant = { role: 'assistant', content: 'b' }

async function said(rows: readonly unknown[], options: object = {}): Promise<string[]> {
  const messages: string[] = []
  const data = writeRows(join(work, 'rows.jsonl'), rows)
  await evaluate(model, { data, batchSize: 2, onWarning: (message) => messages.push(message), ...options })
  return messages
}

describe('fields that nothing reads', () => {
  it('are told once, all in one line', async () => {
    const rows = [
      { id: 1, source: 'web', prompt: 'a', completion: 'b', empty: null },
      { id: 2, text: 'c' },
      { id: 3, input_ids: [5, 6], token_type_ids: [0, 0], label: true },
    ]
    expect(await said(rows)).toEqual(['nothing reads these fields of the rows: "id", "source", "token_type_ids"'])
  })

  it('are not that by which rows are kept together', async () => {
    const rows = ['a', 'b', 'a', 'b'].map((customer, id) => ({ id, customer, prompt: 'a', completion: 'b' }))
    expect(await said(rows, { valSplit: 0.5, valSplitBy: 'customer' })).toEqual(['nothing reads these fields of the rows: "id"'])
  })

  it('are those of messages and of the template too, where the template mentions them nowhere', async () => {
    const rows = [
      {
        messages: [
          { ...user, name: 'n' },
          { ...assistant, weight: 1, reasoning_content: 'r' },
        ],
        tools: [{ a: 1 }],
      },
      { messages: [user, assistant], documents: [{ text: 't' }], chat_template_kwargs: { enable_thinking: true } },
    ]
    expect(await said(rows)).toEqual([
      'nothing reads these fields of the rows: "messages[].name", "messages[].reasoning_content", "documents", "chat_template_kwargs.enable_thinking"',
    ])
    expect(await said([{ messages: [user, assistant], tools: [{ a: 1 }] }])).toEqual([])
  })

  it('are contents that the template does not write; parts that it does not take are refused', async () => {
    const silent = writeChatModel(
      join(work, 'silent'),
      CHATML.replace('{% for m in messages %}', "{% for m in messages if m.role != 'tool' %}").replace(
        '{{ m.content }}',
        '{% if not m.tool_calls %}{{ m.content if m.content is string else "" }}{% else %}{{ m.tool_calls | length }}{% endif %}',
      ),
    )
    const told: string[] = []
    const options = { data: '', onWarning: (message: string) => told.push(message) }
    const call = { ...assistant, tool_calls: [{ function: { name: 'f' } }] }
    const dialogue = { messages: [user, call, { role: 'tool', content: '3' }, assistant] }
    const model = await loadModel(silent, { threads: 1 })
    await evaluate(model, { ...options, data: writeRows(join(work, 'lost.jsonl'), [dialogue]) })
    expect(told).toEqual(['nothing reads these fields of the rows: "content of \\"assistant\\"", "content of \\"tool\\""'])
    const parts = { messages: [{ role: 'user', content: [{ type: 'text', text: 'a' }] }, assistant] }
    await expect(evaluate(model, { ...options, data: writeRows(join(work, 'parts.jsonl'), [parts]) })).rejects.toThrow(
      'parts.jsonl, line 1: the chat template takes no content in parts, such as that of message 0 ("user"); write it as one text.',
    )
  })

  it('are told of preferences, and at most ten', async () => {
    const more = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`f${i}`, i]))
    const row = { prompt: 'a', chosen: 'b', rejected: 'c', ...more }
    const adapter = await addLora(model, { r: 2 })
    const messages: string[] = []
    const data = writeRows(join(work, 'pairs.jsonl'), [row])
    await evaluate(adapter, { data, objective: 'dpo', onWarning: (message) => messages.push(message) })
    expect(messages).toEqual([expect.stringMatching(/^nothing reads these fields of the rows: "f0", .*"f9", and 4 more$/)])
  })

  it('are events of a run, of its evaluation rows too', async () => {
    const data = writeRows(join(work, 'train.jsonl'), [{ id: 1, text: 'a b' }])
    const evalData = writeRows(join(work, 'eval.jsonl'), [{ id: 1, split: 'test', text: 'a b' }])
    const { events } = await runTraining(await addLora(model, { r: 2 }), { data, evalData, steps: 2 })
    const warnings = events.filter((e): e is WarningEvent => e.event === 'warning')
    expect(warnings.map(({ message }) => message)).toEqual(['nothing reads these fields of the rows: "id", "split"'])
  })
})

describe('what becomes of the contents of a dialogue', () => {
  afterEach(() => vi.restoreAllMocks())
  const data = writeRows(join(work, 'dialogues.jsonl'), [{ messages: [user, assistant] }, { messages: [assistant] }])

  it('is looked for until it is told, for it costs a rendering', async () => {
    const looks = vi.spyOn(Tokenizer.prototype, 'lostContents')
    const adapter = await addLora(model, { r: 2 })
    const { steps } = await runTraining(adapter, { data, evalData: data, epochs: 3, batchSize: 1 })
    expect([steps.length, looks.mock.calls.length]).toEqual([6, 4])
  })

  it('is not looked for where nobody is told', async () => {
    const looks = vi.spyOn(Tokenizer.prototype, 'lostContents')
    await evaluate(model, { data })
    await planTraining(await addLora(model, { r: 2 }), { data, evalData: data, steps: 1 })
    expect(looks).not.toHaveBeenCalled()
    await evaluate(model, { data, onWarning: () => undefined })
    expect(looks).toHaveBeenCalledTimes(2)
  })
})

describe("rows that are longer than the model's positions", () => {
  const long = { text: 'a b '.repeat(300) }

  it('are cut there, which is said', async () => {
    expect(await said([{ text: 'a' }, long])).toEqual([
      expect.stringMatching(/^1 row is longer than the model's 256 positions and was cut: .*rows\.jsonl, line 2$/),
    ])
  })

  it('are cut at maxLength without a word', async () => {
    expect(await said([long], { maxLength: 100 })).toEqual([])
  })
})

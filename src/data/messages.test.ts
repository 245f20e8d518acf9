/**
 * @file Messages and template variables of rows: what is read of each notation, floats as Python writes them, and refusals by
 * field.
 */
import { describe, expect, it } from 'vitest'
import { keptNumber } from '../util/exact-json.js'
import { PythonFloat } from '../util/python-json.js'
import { learnedTurns } from './learning-signs.js'
import { messagesField, templateVariables, type Message } from './messages.js'
import type { Row } from './rows.js'
import { openRows } from './open-rows.js'
import { memoryFiles } from '../../test/support/data.js'
import { ChatTemplate } from './chat-template.js'

const row = (value: Record<string, unknown>): Row => ({ value, file: 'd.jsonl', line: 7 })
const user = { role: 'user', content: 'hi' }
const call = { type: 'function', function: { name: 'f', arguments: { x: 1 } } }

describe('messagesField', () => {
  it('leaves further fields and absent contents of calls as they are', () => {
    const messages = [
      user,
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', name: 'f', tool_call_id: '1', content: '3' },
      { role: 'assistant', tool_calls: [call] },
      { role: 'assistant', content: '', reasoning_content: 'so' },
      { role: 'user', content: [{ type: 'text', text: 'a' }, { text: 'b' }] },
    ]
    expect(messagesField(row({ messages }), 'messages')).toEqual(messages)
  })

  it.each([
    [[{ role: 'user' }], '"messages"[0].content must be text, found nothing'],
    [[{ role: 'assistant', content: null, tool_calls: [] }], '"messages"[0].content must be text, found null'],
    [[{ role: 'user', content: 4 }], '"messages"[0].content must be text or a list of parts, found the number 4'],
    [[{ role: 'user', content: ['a'] }], '"messages"[0].content[0] must be a part {"type": "text", "text"}, found text'],
    [
      [user, { role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }],
      '"messages"[1].content[0] is of type "image_url"; only text can be learned from here',
    ],
    [[{ content: 'a' }], '"messages"[0].role must be text, found nothing'],
  ])('refuses %j', (messages, message) => {
    expect(() => messagesField(row({ messages }), 'messages')).toThrow(message)
  })
})

describe('a row of JSON lines', () => {
  it('reaches the template with its floats and large integers', async () => {
    const json =
      '{"messages": [{"role": "assistant", "tool_calls": [{"arguments": {"x": 1.0, "y": 1, "id": 12345678901234567890}}]}], ' +
      '"tools": [{"default": 2.0}], "chat_template_kwargs": {"t": 3.0, "u": 3}}'
    const read = await (await openRows(memoryFiles({ 'd.jsonl': json }), 'd.jsonl')).row(0)
    const source =
      '{{ messages[0].tool_calls[0].arguments | tojson }} {{ messages[0].tool_calls }} {{ tools[0].default }} {{ t }} {{ u }}'
    const template = new ChatTemplate(source, 'x', {}, () => new Date(0))
    // As transformers prints it.
    expect(template.render(messagesField(read, 'messages'), false, templateVariables(read))).toBe(
      '{"x": 1.0, "y": 1, "id": 12345678901234567890} ' +
        "[{'arguments': {'x': 1.0, 'y': 1, 'id': 12345678901234567890}}] 2.0 3.0 3",
    )
  })
})

describe('templateVariables', () => {
  const tools = [{ type: 'function', function: { name: 'f' } }]

  it('gives tools, documents and chat_template_kwargs, which go first', () => {
    const documents = [{ title: 'a', text: 'b' }]
    expect(templateVariables(row({ tools, documents, chat_template_kwargs: { enable_thinking: false } }))).toEqual({
      tools,
      documents,
      enable_thinking: false,
    })
    expect(templateVariables(row({ tools, chat_template_kwargs: { tools: [{ name: 'g' }] } }))).toEqual({
      tools: [{ name: 'g' }],
    })
    expect(templateVariables(row({ tools: null, documents: undefined }))).toEqual({})
    expect(templateVariables(row({ tools: [] }))).toEqual({})
  })

  it('reads JSON in a text, as tables hold it, with its floats', () => {
    const { tools: read } = templateVariables(row({ tools: '[{"name": "f", "default": 1.0}]' })) as { tools: object[] }
    expect(read).toEqual([{ name: 'f', default: 1 }])
    expect(keptNumber(read[0]!, 'default')).toEqual(new PythonFloat(1))
    expect(templateVariables(row({ tools: 'null', chat_template_kwargs: '{"a": 1, "b": 2.0}' }))).toEqual({
      a: 1,
      b: new PythonFloat(2),
    })
    expect(() => templateVariables(row({ tools: '[{]' }))).toThrow('d.jsonl, line 7: "tools" is not valid JSON')
  })

  it.each([
    [{ tools: { name: 'f' } }, '"tools" must be a list of objects, or such a list as JSON text; found an object'],
    [{ tools: ['f'] }, 'found a list with other entries'],
    [{ chat_template_kwargs: { chat_template: 'rag' } }, '"chat_template_kwargs".chat_template chooses another template'],
    [{ chat_template_kwargs: [1] }, '"chat_template_kwargs" must be an object, found a list'],
    [
      { chat_template_kwargs: { add_generation_prompt: true } },
      '"chat_template_kwargs".add_generation_prompt says what is rendered',
    ],
  ])('refuses %j', (value, message) => {
    expect(() => templateVariables(row(value))).toThrow(message)
  })
})

describe('learnedTurns', () => {
  const learned = (messages: readonly Message[], isLearned = true) => learnedTurns(row({}), 'messages', messages, isLearned)
  const answer = (sign: object): Message => ({ role: 'assistant', content: 'b', ...sign })

  it('learns the assistant, without the turns that say otherwise', () => {
    expect(learned([user, answer({}), { role: 'tool', content: 'x' }])).toEqual([false, true, false])
    for (const sign of [{ weight: 0 }, { weight: '0' }, { loss: false }, { train: false }, { training: 0 }, { masked: true }])
      expect(learned([user, answer(sign), answer({})])).toEqual([false, false, true])
    for (const sign of [{ weight: 1 }, { weight: new PythonFloat(1) }, { loss: true }, { masked: false }, { weight: null }])
      expect(learned([user, answer(sign)])).toEqual([false, true])
    expect(learned([{ ...user, weight: 0 }, answer({})])).toEqual([false, true])
    expect(learned([user, answer({ weight: 0 })], false)).toEqual([false, false])
  })

  it.each([
    [[answer({ weight: 0.5 })], '"messages"[0].weight is the number 0.5; a turn is learned or not: expected 0 or 1'],
    [[answer({ mask: 1 })], '"messages"[0].mask says what of a turn is learned in a way that is not known here'],
    [[answer({ train_detail: [] })], '"messages"[0].train_detail says'],
    [[{ ...user, weight: 1 }], '"messages"[0].weight asks for a turn of "user" to be learned, but only those of "assistant" are'],
  ])('refuses %j', (messages, message) => {
    expect(() => learned(messages)).toThrow(message)
  })

  it('refuses a learned turn in a prompt', () => {
    expect(() => learned([user, answer({ weight: 1 })], false)).toThrow('those of the prompt are not')
  })
})

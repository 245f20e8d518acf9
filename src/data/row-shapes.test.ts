/** @file The shape of a row told by its fields, Stanford Alpaca's prompt, and rows of no shape refused by what they lack. */
import { describe, expect, it } from 'vitest'
import { alpacaPrompt, readShape } from './row-shapes.js'

const shape = (value: Record<string, unknown>) => readShape({ value, file: 'd.jsonl', line: 7 })

describe('readShape', () => {
  it('tells the shapes apart by their fields and ignores foreign ones', () => {
    expect(shape({ text: 'a', id: 4, prompt: null })).toEqual({ kind: 'text', text: 'a' })
    expect(shape({ prompt: 'a', completion: 'b' })).toEqual({ kind: 'completion', prompt: 'a', completion: 'b' })
    const message = { role: 'user', content: 'hi' }
    expect(shape({ messages: [message] })).toEqual({ kind: 'messages', messages: [message], learned: [false], variables: {} })
    expect(shape({ prompt: [message], completion: [message] })).toEqual({
      kind: 'chat-completion',
      prompt: [message],
      completion: [message],
      learned: [true],
      variables: {},
    })
    expect(shape({ input_ids: [1, 2], attention_mask: [1, 0], labels: [-100, 2] })).toEqual({
      kind: 'tokens',
      inputIds: [1, 2],
      attentionMask: [1, 0],
      labels: [-100, 2],
    })
  })

  it('makes the prompt of Stanford Alpaca', () => {
    expect(shape({ instruction: 'Add.', input: '1 2', output: '3' })).toEqual({
      kind: 'completion',
      prompt:
        'Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:',
      completion: '3',
    })
    const without =
      'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSing.\n\n### Response:'
    expect(shape({ instruction: 'Sing.', input: '', output: 'La' })).toEqual({
      kind: 'completion',
      prompt: without,
      completion: 'La',
    })
    expect(alpacaPrompt('Sing.')).toBe(without)
  })

  it.each([
    [{ question: 'a', answer: 'b' }, 'd.jsonl, line 7: found the fields "question", "answer"; expected one of {"input_ids"'],
    [{}, 'found the fields (none)'],
    [{ prompt: 'a' }, 'Missing beside what is there: "completion".'],
    [
      { text: 'a', prompt: 'b', completion: 'c' },
      'd.jsonl, line 7: the fields "text", "prompt", "completion" fit more than one shape',
    ],
    [{ text: 'a', label: 1 }, 'd.jsonl, line 7: {"text", "label"} trains a classifier'],
    [{ text: 4 }, 'd.jsonl, line 7: "text" must be text, found the number 4'],
    [
      { prompt: 'a', completion: [{ role: 'user', content: 'x' }] },
      '"prompt" and "completion" must both be text or both be lists',
    ],
    [{ messages: [] }, '"messages" is an empty list'],
    [{ messages: [{ role: 'user' }] }, 'd.jsonl, line 7: "messages"[0].content must be text, found nothing'],
    [{ messages: ['hi'] }, '"messages"[0] must be a message {"role", "content"}, found text'],
    [{ messages: 'hi' }, '"messages" must be a list of messages, found text'],
    [{ input_ids: [] }, '"input_ids" is empty'],
    [{ input_ids: '[1]' }, '"input_ids" must be a list of integers, found text'],
    [{ input_ids: [1, 2.5] }, '"input_ids"[1] must be an integer, found the number 2.5'],
    [{ input_ids: [1, 2], labels: [1] }, '"labels" holds 1 numbers and "input_ids" 2'],
    [{ input_ids: [1], attention_mask: [2] }, '"attention_mask"[0] is 2; expected 0 or 1'],
  ])('refuses %j', (value, message) => {
    expect(() => shape(value)).toThrow(message)
  })
})

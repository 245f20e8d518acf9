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

  it("takes ShareGPT's turns, roles by other names, calls and a system prompt beside them", () => {
    const call = { name: 'f', arguments: { x: 1 } }
    expect(
      shape({
        system: 'be kind',
        conversations: [
          { from: 'human', value: 'hi' },
          { from: 'function_call', value: JSON.stringify(call) },
          { from: 'observation', value: '3' },
          { from: 'gpt', value: 'three', weight: 0 },
          { from: 'human', value: 'bye' },
          { from: 'gpt', value: 'bye' },
        ],
      }),
    ).toEqual({
      kind: 'messages',
      messages: [
        { role: 'system', content: 'be kind' },
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: '', tool_calls: [{ type: 'function', function: call }] },
        { role: 'tool', content: '3' },
        { role: 'assistant', content: 'three', weight: 0 },
        { role: 'user', content: 'bye' },
        { role: 'assistant', content: 'bye' },
      ],
      learned: [false, false, true, false, false, false, true],
      variables: {},
    })
    const turns = [{ role: 'human', content: 'a' }, { role: 'Bot', content: 'b' }, { role: 'model', content: 'c' }] // prettier-ignore
    for (const field of ['messages', 'conversations'])
      expect(shape({ [field]: turns })).toMatchObject({
        messages: [{ role: 'user' }, { role: 'assistant' }, { role: 'assistant' }],
        learned: [false, true, true],
      })
  })

  it("takes OpenAI's files: weights, calls whose arguments are text, tools", () => {
    const tools = [{ type: 'function', function: { name: 'f' } }]
    const read = shape({
      tools,
      parallel_tool_calls: false,
      messages: [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b', weight: 0 },
        {
          role: 'assistant',
          tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: '{"x": 1.0}' } }],
          weight: 1,
        },
      ],
    })
    expect(read).toMatchObject({ learned: [false, false, true], variables: { tools } })
    const { messages } = read as Extract<typeof read, { kind: 'messages' }>
    expect(messages[2]!['tool_calls']).toEqual([{ id: '1', type: 'function', function: { name: 'f', arguments: { x: 1 } } }])
  })

  it("takes the instruction of Alpaca's own data, whose text is the whole once more", () => {
    expect(shape({ instruction: 'Sing.', input: '', output: 'La', text: 'Below is … La' })).toMatchObject({
      kind: 'completion',
      completion: 'La',
    })
  })

  it('takes the shape of the columns that were chosen by name', () => {
    const value = { text: 'a', prompt: 'b', completion: 'c' }
    const chosen = new Set(['prompt', 'completion'])
    expect(readShape({ value, file: 'd', line: 1, chosen })).toEqual({ kind: 'completion', prompt: 'b', completion: 'c' })
  })

  it.each([
    [
      { conversations: [{ from: 'narrator', value: 'x' }] },
      'd.jsonl, line 7: "conversations"[0].from is "narrator"; expected one of human',
    ],
    [
      { conversations: [{ from: 'function_call', value: 'f(1)' }] },
      '"conversations"[0].value is no JSON; expected the call of a function',
    ],
    [{ conversations: [{ from: 'human' }] }, '"conversations"[0].content must be text, found nothing'],
    [
      {
        system: 'a',
        conversations: [
          { from: 'system', value: 'b' },
          { from: 'gpt', value: 'c' },
        ],
      },
      '"system" stands beside a dialogue that begins with a system turn',
    ],
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

/**
 * @file Calls of tools in the formats of several families: what a template writes is read back, in whatever pieces it comes; what is
 * forced is a call with valid arguments; dialogues are given back as templates take them.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Message } from '../../src/data/messages.js'
import { loadTokenizer, type Tokenizer } from '../../src/data/tokenizer.js'
import { InvalidDataError, InvalidOptionError } from '../../src/errors.js'
import { generate } from '../../src/generate/generate.js'
import type { Model } from '../../src/model/model.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { toolCallFormat } from '../../src/tool-calls/tool-call-format.js'
import { ToolCallParser, type ToolCallEvent } from '../../src/tool-calls/tool-call-parser.js'
import { ToolCalls } from '../../src/tool-calls/tool-calls.js'
import { toolMessages } from '../../src/tool-calls/tool-messages.js'
import { Random } from '../../src/util/rng.js'
import { randomText } from '../constrain/random-text.js'
import { memoryFiles } from '../support/data.js'
import { testEnvironment } from '../support/training.js'

const trl = JSON.parse(readFileSync('test/fixtures/jinja/trl.json', 'utf8')) as {
  readonly templates: Readonly<Record<string, string>>
}
const vocabulary = JSON.parse(readFileSync('test/fixtures/chat/model/tokenizer.json', 'utf8')) as { added_tokens: object[] }

/** Marks that are tokens, special ones and others. */
const marks = [
  '<tool_call>',
  '</tool_call>',
  '[TOOL_CALLS]',
  '<|tool_call|>',
  '<|/tool_call|>',
  '<calls>',
  '<call>',
  '<sep>',
  '</call>',
  '</calls>',
]
const added = marks.map((content, i) => ({
  id: 361 + i,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: content !== '<tool_call>' && content !== '</tool_call>', // prettier-ignore
}))

const chatml = (answer: string): string =>
  '{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n' +
  `{% if m.tool_calls %}${answer}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}` +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'

/** Templates in the manner of families that the fixture has none of. */
const templates: Readonly<Record<string, string>> = {
  qwen3: trl.templates['qwen3_training']!,
  llama: chatml(
    '{% if m.tool_calls | length > 1 %}{{ raise_exception("one call at once") }}{% endif %}{% set c = m.tool_calls[0].function %}' +
      '{"name": "{{ c.name }}", "parameters": {{ c.arguments | tojson }}}',
  ),
  mistral: chatml(
    '[TOOL_CALLS] [{% for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception("nine") }}{% endif %}' +
      '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}, "id": "{{ c.id }}"}{% if not loop.last %}, {% endif %}{% endfor %}]',
  ),
  phi: chatml(
    '<|tool_call|>[{% for c in m.tool_calls %}{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}' +
      '{% if not loop.last %}, {% endif %}{% endfor %}]<|/tool_call|>',
  ),
  deepseek: chatml(
    '{{ "<calls>" }}{% for c in m.tool_calls %}{% if not loop.first %}{{ "\\n" }}{% endif %}' +
      '{{ "<call>function<sep>" + c.function.name + "\\n```json\\n" + c.function.arguments + "\\n```</call>" }}{% endfor %}{{ "</calls>" }}',
  ),
}

async function tokenizerOf(template: string): Promise<Tokenizer> {
  const files = {
    'm/tokenizer.json': JSON.stringify({ ...vocabulary, added_tokens: [...vocabulary.added_tokens, ...added] }),
    'm/tokenizer_config.json': JSON.stringify({ eos_token: '<|im_end|>' }),
    'm/chat_template.jinja': template,
  }
  return (await loadTokenizer(memoryFiles(files), 'm'))!
}

const callsOf = async (template: string) => {
  const tokenizer = await tokenizerOf(template)
  return { tokenizer, calls: await ToolCalls.of({ path: 'm', tokenizer: () => Promise.resolve(tokenizer) } as unknown as Model) }
}

const tools = [
  {
    type: 'function' as const,
    function: {
      name: 'get_weather',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string', maxLength: 5 }, days: { type: 'integer', minimum: 1, maximum: 9 } },
        required: ['city', 'days'],
      },
    },
  },
  { type: 'function' as const, function: { name: 'stop-it' } },
]

const asked = [
  { id: 'call_abcdefghijk', name: 'get_weather', arguments: { city: 'O"sl}o\\ é', days: 3 } },
  { id: 'call_lmnopqrstuv', name: 'stop-it', arguments: { a: [{ b: '</tool_call>' }, 1.5], c: {} } },
]
const message = (calls: typeof asked): Message => ({
  role: 'assistant',
  content: '',
  tool_calls: calls.map(({ id, name, arguments: passed }) => ({
    id,
    type: 'function',
    function: { name, arguments: JSON.stringify(passed) },
  })),
})

/** Cuts a text into pieces. */
function pieces(text: string, seed: number): string[] {
  const random = Random.derive(seed, 'pieces')
  const parts: string[] = []
  for (let at = 0; at < text.length;) {
    const end = at + 1 + Math.floor(random.uniform() * 6)
    parts.push(text.slice(at, end))
    at = end
  }
  return parts
}

function gathered(events: readonly ToolCallEvent[]) {
  let text = ''
  const calls: { name: string; arguments: string }[] = []
  for (const event of events) {
    if (event.type === 'text') text += event.text
    else if (event.type === 'call') calls.push({ name: event.name, arguments: '' })
    else calls[event.index]!.arguments += event.text
  }
  return { text, calls: calls.map(({ name, arguments: json }) => ({ name, arguments: JSON.parse(json) as unknown })) }
}

describe.each(Object.keys(templates))('the calls of %s', (name) => {
  const question = { role: 'user', content: 'x' }

  it('that its template writes are read again, whole and in pieces', async () => {
    const { tokenizer, calls } = await callsOf(templates[name]!)
    expect(calls.parallel).toBe(name !== 'llama')
    const format = toolCallFormat(tokenizer)
    for (const some of name === 'llama' ? [asked.slice(0, 1), asked.slice(1)] : [asked, asked.slice(0, 1)]) {
      const variables = { tools }
      const prompt = tokenizer.applyChatTemplate([question], { addGenerationPrompt: true, variables })
      const whole = tokenizer.applyChatTemplate(calls.messages([question, message(some)]), { variables })
      const answer = whole.slice(prompt.length, whole.lastIndexOf('<|im_end|>')).replace(/^<think>\s*<\/think>\s*/, '')
      for (let seed = 0; seed < 20; seed++) {
        const parser = new ToolCallParser(format, tools.map((tool) => tool.function.name)) // prettier-ignore
        const events = [...pieces(answer, seed).flatMap((piece) => parser.push(piece)), ...parser.finish()]
        expect(gathered(events)).toEqual({
          text: '',
          calls: some.map(({ name: called, arguments: passed }) => ({ name: called, arguments: passed })),
        })
        expect(new Set(events.flatMap((event) => (event.type === 'call' ? [event.id] : []))).size).toBe(some.length)
      }
    }
  })

  it('come token by token, special marks too, with the text before them', async () => {
    const { tokenizer, calls } = await callsOf(templates[name]!)
    const prompt = tokenizer.applyChatTemplate([question], { addGenerationPrompt: true, variables: { tools } })
    const whole = tokenizer.applyChatTemplate(calls.messages([question, message(asked.slice(0, 1))]), { variables: { tools } })
    const answer = whole.slice(prompt.length, whole.lastIndexOf('<|im_end|>')).replace(/^<think>\s*<\/think>\s*/, '')
    const before = name === 'llama' ? '' : 'I ask. '
    const reader = calls.reader(tools, () => 'call_1')
    const events = tokenizer.encode(before + answer, { addSpecialTokens: false }).flatMap((id) => {
      const text = tokenizer.isSpecial(id) ? '' : new TextDecoder().decode(tokenizer.tokenBytes(id))
      return reader.push({ id, text })
    })
    events.push(...reader.finish())
    expect([reader.text, reader.calls.length, reader.calls[0]!.id, reader.calls[0]!.name]).toEqual([
      before,
      1,
      'call_1',
      'get_weather',
    ])
    // The name is told before the arguments are there, and these in pieces.
    expect(events.findIndex(({ type }) => type === 'call')).toBeLessThan(events.findIndex(({ type }) => type === 'arguments'))
    expect(events.filter(({ type }) => type === 'arguments').length).toBeGreaterThan(3)
  })

  it('that are forced are calls of the tools with arguments by their schema', async () => {
    const { tokenizer, calls } = await callsOf(templates[name]!)
    const [any, one] = [calls.constraint(tools), calls.constraint(tools, { name: 'get_weather' })]
    let several = 0
    for (let seed = 0; seed < 30; seed++) {
      const constraint = seed % 2 === 0 ? any : one
      const { ids, isWhole } = randomText(tokenizer, constraint, seed)
      if (!isWhole) continue
      const reader = calls.reader(tools)
      // As text comes from a model: whole characters, special tokens not in it.
      const stream = ids.map((id) => ({ id, text: tokenizer.isSpecial(id) ? '' : tokenizer.decode([id]) }))
      for (const event of stream) reader.push(event)
      reader.finish()
      expect(reader.text.trim()).toBe('')
      expect(reader.calls.length).toBeGreaterThan(0)
      if (reader.calls.length > 1) several++
      for (const call of reader.calls) {
        const passed = JSON.parse(call.arguments) as { city?: string; days: number }
        if (call.name === 'get_weather')
          expect([typeof passed.city, passed.days >= 1 && passed.days <= 9]).toEqual(['string', true])
        else expect([call.name, seed % 2]).toEqual(['stop-it', 0])
      }
    }
    if (name === 'llama') expect(several).toBe(0)
    expect(() => calls.constraint(tools, { name: 'fly' })).toThrow('there is no tool "fly"; there are get_weather, stop-it')
    expect(() => calls.constraint([])).toThrow(InvalidOptionError)
  })
})

describe('answers that are no calls', () => {
  const events = async (template: string, text: string, seed = 1) => {
    const parser = new ToolCallParser(toolCallFormat(await tokenizerOf(template)), ['get_weather'])
    return [...pieces(text, seed).flatMap((piece) => parser.push(piece)), ...parser.finish()]
  }

  it.each([
    '',
    'Hello.',
    'a < b, and <tool',
    '<tool_call> is a mark',
    '{"name": "x"}',
    '{"answer": 1, "name": "get_weather"}',
    '{',
    ' {"name": "other", "parameters": {}}',
  ])('stay text: %s', async (text) => {
    for (const template of [templates['qwen3']!, templates['llama']!])
      for (let seed = 0; seed < 5; seed++) {
        const found = await events(template, text, seed)
        expect(found.every(({ type }) => type === 'text')).toBe(true)
        expect(found.map((event) => (event.type === 'text' ? event.text : '')).join('')).toBe(text)
      }
  })

  it('are told as they come, but for what may be a mark', async () => {
    const parser = new ToolCallParser(toolCallFormat(await tokenizerOf(templates['qwen3']!)), undefined)
    expect(parser.push('Hello <')).toEqual([{ type: 'text', text: 'Hello ' }])
    expect(parser.push('b')).toEqual([{ type: 'text', text: '<b' }])
  })

  it('are no calls where one was cut off before its arguments, and its beginning is no text', async () => {
    for (const cut of ['<tool_call>', '<tool_call>\n{"na', '<tool_call>{"name": "get_we'])
      expect(await events(templates['qwen3']!, cut)).toEqual([])
  })

  it('may be calls in other white space, cut off, and with arguments as a text of JSON', async () => {
    const other =
      '<tool_call>{"name":"f","arguments":"{\\"a\\":1}"}</tool_call> <tool_call> { "name" : "g" , "arguments" : {"b": [1'
    const parser = new ToolCallParser(toolCallFormat(await tokenizerOf(templates['qwen3']!)), undefined, () => 'id')
    expect([...parser.push(other), ...parser.finish()]).toEqual([
      { type: 'call', index: 0, id: 'id', name: 'f' },
      { type: 'arguments', index: 0, text: '{"a":1}' },
      { type: 'call', index: 1, id: 'id', name: 'g' },
      { type: 'arguments', index: 1, text: '{"b": [1' },
    ])
  })
})

describe('dialogues with calls', () => {
  const result: Message = { role: 'tool', tool_call_id: 'call_abcdefghijk', content: 'sunny' }

  it('have arguments as objects or text, ids of the length, names with results', async () => {
    const given = [message(asked.slice(0, 1)), result]
    const mistral = toolMessages(given, toolCallFormat(await tokenizerOf(templates['mistral']!)))
    expect(mistral).toMatchObject([
      { tool_calls: [{ id: 'cdefghijk', function: { arguments: asked[0]!.arguments } }] },
      { tool_call_id: 'cdefghijk', name: 'get_weather' },
    ])
    const deepseek = toolMessages(given, toolCallFormat(await tokenizerOf(templates['deepseek']!)))
    expect(deepseek).toMatchObject([
      { tool_calls: [{ id: 'call_abcdefghijk', function: { arguments: JSON.stringify(asked[0]!.arguments) } }] },
      { name: 'get_weather' },
    ])
  })

  it('are refused where arguments are no object', async () => {
    const format = toolCallFormat(await tokenizerOf(templates['qwen3']!))
    const wrong = { ...message([]), tool_calls: [{ id: 'a', function: { name: 'f', arguments: '[1]' } }] }
    expect(() => toolMessages([result, wrong], format)).toThrow(
      'messages[1].tool_calls[0].function.arguments must be an object of JSON as text, got "[1]"',
    )
  })
})

describe('models that are not known to call tools', () => {
  it.each([
    ['{% for m in messages %}{{ m.content }}{% endfor %}', 'm: the chat template takes no tools, so that'],
    [
      chatml(
        '{% for c in m.tool_calls %}{{ c.function.name }}({% for k, v in c.function.arguments | items %}{{ k }}={{ v }}{% endfor %}){% endfor %}',
      ),
      'm: its chat template does not write calls of tools as a name and an object',
    ],
  ])('%s', async (template, refusal) => {
    await expect(callsOf(template)).rejects.toThrow(InvalidDataError)
    await expect(callsOf(template)).rejects.toThrow(refusal)
  })

  it('tools that are none, or whose schemas cannot be kept', async () => {
    const { calls } = await callsOf(templates['qwen3']!)
    const tool = (fields: object) => [{ type: 'function' as const, function: { name: 'f', ...fields } }]
    expect(() => calls.constraint(tool({ parameters: { type: 'object', not: {} } }))).toThrow(
      'the parameters of the tool "f": schema at #: the keyword "not"',
    )
    expect(() => calls.reader(tool({ name: 'a b' }))).toThrow('tool 0: the name must be')
    expect(() => calls.reader([...tool({}), ...tool({})])).toThrow('tool 1: there is another one of the name "f"')
    expect(() => calls.reader(tool({ parameters: 3 }))).toThrow('tool 0: the parameters must be a JSON Schema')
  })
})

it('a model of random weights is made to call', async () => {
  const model = await FolderModel.open('test/fixtures/chat/model', testEnvironment())
  const tokenizer = await tokenizerOf(templates['llama']!)
  const calls = await ToolCalls.of({ path: 'm', tokenizer: () => Promise.resolve(tokenizer) } as unknown as Model)
  const { text, finishReason } = await generate(model, {
    prompt: 'x',
    maxNewTokens: 200,
    temperature: 1,
    constraint: calls.constraint(tools, { name: 'get_weather' }),
  })
  expect(finishReason).not.toBe('length')
  expect(JSON.parse(text)).toEqual({
    name: 'get_weather',
    parameters: { city: expect.any(String) as string, days: expect.any(Number) as number },
  })
})

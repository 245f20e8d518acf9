/** @file The stretches of the assistant in templates of many shapes, against what test/oracle/write-chat-spans.py notes. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseExactJson } from '../util/exact-json.js'
import { ChatTemplate } from './chat-template.js'
import type { Message, TemplateVariables } from './messages.js'

interface Fixture {
  readonly variables: Readonly<Record<string, string>>
  readonly dialogues: Readonly<Record<string, { readonly messages: readonly Message[]; readonly tools?: unknown }>>
  readonly cases: readonly {
    readonly name: string
    readonly template: string
    readonly rows: readonly { readonly dialogue: string; readonly text: string; readonly learned: readonly string[] }[]
  }[]
}

const file = resolve(import.meta.dirname, '../../test/fixtures/chat/spans.json')
const { variables, dialogues, cases } = parseExactJson(readFileSync(file, 'utf8')) as Fixture
const templateOf = (source: string): ChatTemplate => new ChatTemplate(source, 'x', variables, () => new Date(2024, 6, 26))
/** The stretches as texts; neighbours are one. */
function cutOut({ text, spans }: ReturnType<ChatTemplate['renderAssistant']>): string[] {
  const joined: { start: number; end: number }[] = []
  for (const { start, end } of spans) {
    const last = joined.at(-1)
    if (last?.end === start) last.end = end
    else joined.push({ start, end })
  }
  return joined.map(({ start, end }) => text.slice(start, end))
}
const given = (tools: unknown): { variables?: TemplateVariables } => (tools === undefined ? {} : { variables: { tools } })

describe.each(cases)('$name', ({ template, rows }) => {
  const chat = templateOf(template)

  it.each(rows)('$dialogue', ({ dialogue, text, learned }) => {
    const { messages, tools } = dialogues[dialogue]!
    const rendered = chat.renderAssistant(messages, given(tools))
    expect(rendered.text).toBe(text)
    expect(cutOut(rendered)).toEqual(learned)
  })

  it('without a turn, and as completions', () => {
    const { messages } = dialogues['three']!
    const all = cutOut(chat.renderAssistant(messages))
    const without = messages.map(({ role }, index) => role === 'assistant' && index !== 3)
    expect(cutOut(chat.renderAssistant(messages, { learned: without }))).toEqual([all[0], all[2]])
    expect(cutOut(chat.renderCompletion(messages.slice(0, 5), messages.slice(5)))).toEqual([all[2]])
    const { text, spans } = chat.renderCompletion(messages.slice(0, 1), messages.slice(1))
    expect(spans.map(({ start, end }) => [start, end])).toEqual([[text.indexOf(all[0]!), text.length]])
    const parts = cutOut(
      chat.renderCompletion(messages.slice(0, 1), messages.slice(1), { learned: [true, true, false, true, true] }),
    )
    expect(parts).toHaveLength(2)
    expect(parts[0]!.startsWith(all[0]!)).toBe(true)
    expect(parts[1]!.endsWith(all[2]!)).toBe(true)
    expect(parts.join('')).not.toContain(all[1])
  })
})

const user = (content: string): Message => ({ role: 'user', content })
const assistant = (content: string, more: object = {}): Message => ({ role: 'assistant', content, ...more })

describe('turns', () => {
  const thinking =
    "{% for m in messages %}{% if m.role == 'user' %}<u>{{ m.content }}{% else %}<a>{{ m.content }}</a>{% endif %}{% endfor %}" +
    '{% if add_generation_prompt %}<a><think>\n{% endif %}'

  it('begin behind the generation prompt where all of it is there', () => {
    expect(cutOut(templateOf(thinking).renderAssistant([user('x'), assistant('<think>\nso</think>y'), assistant('z')]))).toEqual([
      'so</think>y</a>',
      'z</a>',
    ])
  })

  it('begin with the dialogue, or where a template refuses dialogues without a question', () => {
    expect(cutOut(templateOf(thinking).renderAssistant([assistant('hello'), user('x')]))).toEqual(['hello</a>'])
    const strict = `{% if messages | selectattr('role', 'equalto', 'user') | list | length == 0 %}{{ raise_exception('No question') }}{% endif %}${thinking}`
    expect(cutOut(templateOf(strict).renderAssistant([assistant('hello'), user('x')]))).toEqual(['hello</a>'])
  })

  it('may be left out, also of those that a template marks itself', () => {
    const tagged =
      "{% for m in messages %}{% if m.role == 'assistant' %}<a>{% generation %}{{ m.content }}</a>{% endgeneration %}{% else %}<u>{{ m.content }}{% endif %}{% endfor %}" +
      "{% if messages[-1].role == 'assistant' %}{% generation %}<end>{% endgeneration %}{% endif %}"
    const messages = [user('x'), assistant('y'), user('x'), assistant('z')]
    const learned = (...at: number[]) => ({ learned: messages.map((_, i) => at.includes(i)) })
    expect(cutOut(templateOf(tagged).renderAssistant(messages))).toEqual(['y</a>', 'z</a><end>'])
    expect(cutOut(templateOf(tagged).renderAssistant(messages, learned(3)))).toEqual(['z</a><end>'])
    expect(cutOut(templateOf(tagged).renderAssistant(messages, learned(1)))).toEqual(['y</a>'])
    expect(cutOut(templateOf(tagged).renderAssistant(messages, learned()))).toEqual([])
  })

  it('of long dialogues are as those of short ones', () => {
    const { template } = cases.find(({ name }) => name === 'thinking in the generation prompt and in the last turn')!
    const messages = Array.from({ length: 60 }, (_, i) => [user(`q${i}`), assistant(`a${i}`)]).flat()
    const learned = cutOut(templateOf(template).renderAssistant(messages))
    expect(learned).toHaveLength(60)
    expect(learned.slice(57)).toEqual(['a57<|im_end|>\n', 'a58<|im_end|>\n', '\n</think>\n\na59<|im_end|>\n'])
    expect(learned.slice(0, 57).every((text, i) => text === `a${i}<|im_end|>\n`)).toBe(true)
  })

  it('of any shape of content: parts, and calls without one', () => {
    const parts =
      '{% for m in messages %}<{{ m.role }}>{% for p in m.content or [] %}{{ p.text }}{% endfor %}{% for c in m.tool_calls or [] %}[{{ c.function.name }}]{% endfor %}</>{% endfor %}' +
      '{% if add_generation_prompt %}<assistant>{% endif %}'
    const text = (value: string) => [{ type: 'text', text: value }]
    const call = { type: 'function', function: { name: 'f', arguments: {} } }
    const messages: Message[] = [
      { role: 'user', content: text('x') },
      { role: 'assistant', content: text('y') },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'assistant', tool_calls: [call] },
    ]
    expect(templateOf(parts).renderAssistant(messages).spans).toHaveLength(3)
    expect(cutOut(templateOf(parts).renderAssistant(messages))).toEqual(['y</>', '[f]</>', '[f]</>'])
  })

  it.each([
    ["{{ messages | map(attribute='content') | sort | join }}", 1],
    ['{% for m in messages %}{{ m.content }}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}', 1],
    ["{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", 1],
  ])('that cannot be told are refused: %s', (source, index) => {
    expect(() => templateOf(source).renderAssistant([user('x'), assistant('b'), user('a')])).toThrow(
      `x: the chat template renders message ${index} so that the assistant's part cannot be told. Put {% generation %} tags`,
    )
  })
})

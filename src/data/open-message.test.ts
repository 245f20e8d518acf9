/** @file Dialogues that end within their last message, against transformers' continue_final_message. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseExactJson } from '../util/exact-json.js'
import { ChatTemplate } from './chat-template.js'
import type { Message, TemplateVariables } from './messages.js'

interface Dialogue {
  readonly messages: readonly Message[]
  readonly tools?: unknown
}
interface Spans {
  readonly variables: Readonly<Record<string, string>>
  readonly dialogues: Readonly<Record<string, Dialogue>>
  readonly cases: readonly { readonly name: string; readonly template: string }[]
}
interface Open {
  readonly parts: string
  readonly dialogues: Readonly<Record<string, Dialogue>>
  readonly cases: readonly (readonly [template: string, dialogue: string, text: string | null])[]
}

const read = (name: string): unknown =>
  parseExactJson(readFileSync(resolve(import.meta.dirname, '../../test/fixtures/chat', name), 'utf8'))
const spans = read('spans.json') as Spans
const open = read('open-messages.json') as Open
const templateOf = (source: string): ChatTemplate => new ChatTemplate(source, 'x', spans.variables, () => new Date(2024, 6, 26))

describe('the last message left open', () => {
  it.each(open.cases)('%s: %s', (name, dialogue, text) => {
    const template = templateOf(name === 'parts' ? open.parts : spans.cases.find((each) => each.name === name)!.template)
    const { messages, tools } = (spans.dialogues[dialogue] ?? open.dialogues[dialogue])!
    const variables: TemplateVariables = tools === undefined ? {} : { tools }
    const render = (): string => template.renderOpen(messages, variables)
    if (text === null) expect(render).toThrow('x: the last message cannot be continued: it has no text.')
    else expect(render()).toBe(text)
  })

  it('names a template that does not write it, and a dialogue of nothing', () => {
    expect(() => templateOf('none').renderOpen([{ role: 'user', content: 'Hi' }])).toThrow('does not write its content')
    expect(() => templateOf('none').renderOpen([])).toThrow('there are no messages')
  })
})

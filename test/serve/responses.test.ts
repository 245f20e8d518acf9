/** @file POST /v1/responses as OpenAI's client and the AI SDK's default provider ask for it and read it. */
import { createOpenAI } from '@ai-sdk/openai'
import { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { KeptResponses } from '../../src/serve/responses/kept-responses.js'
import { serveTools } from './tool-model.js'

const { client } = await serveTools()
const openai = new OpenAI({ ...client, maxRetries: 0 })
const provider = createOpenAI(client)
const city = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 4 } },
  required: ['city'],
  additionalProperties: false,
}
const base = { model: 'tools', input: 'Hi', temperature: 0 }
const weather = { type: 'function' as const, name: 'weather', parameters: city, strict: true }

describe("OpenAI's client", () => {
  it('gets a text, cut off and whole, the same as of a chat', async () => {
    const cut = await openai.responses.create({ ...base, instructions: 'Be.', max_output_tokens: 6 })
    expect(cut).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      instructions: 'Be.',
      error: null,
    })
    expect(cut.usage).toMatchObject({ output_tokens: 6, output_tokens_details: { reasoning_tokens: 0 } })
    expect(cut.output).toHaveLength(1)
    const chat = await openai.chat.completions.create({
      model: 'tools',
      messages: [
        { role: 'system', content: 'Be.' },
        { role: 'user', content: 'Hi' },
      ],
      temperature: 0,
      max_tokens: 6,
    })
    expect(cut.output_text).toBe(chat.choices[0]!.message.content)
    expect(cut.usage!.input_tokens).toBe(chat.usage!.prompt_tokens)
    const whole = await openai.responses.create({
      ...base,
      text: { format: { type: 'json_schema', name: 'place', schema: city, strict: true } },
    })
    expect([whole.status, JSON.parse(whole.output_text)]).toEqual(['completed', { city: expect.any(String) as string }])
  })

  it('gets the events of a text in their order', async () => {
    const stream = await openai.responses.create({ ...base, max_output_tokens: 4, stream: true })
    const events = []
    for await (const event of stream) events.push(event)
    const types = events.map(({ type }) => type)
    expect([...new Set(types)]).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.incomplete',
    ])
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, i) => i))
    const deltas = events.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []))
    const last = events.at(-1)!
    if (last.type !== 'response.incomplete' || last.response.output[0]?.type !== 'message') throw new Error('no message')
    expect(last.response.output[0].content[0]).toMatchObject({ type: 'output_text', text: deltas.join('') })
    expect(last.response.output[0].status).toBe('incomplete')
    // The client's own gathering of events comes to the same.
    const final = await openai.responses.stream({ ...base, max_output_tokens: 4 }).finalResponse()
    expect(final.output_text).toBe(deltas.join(''))
  })

  it('gets calls, whole and in events, and gives results back', async () => {
    const asked = { ...base, tools: [weather], tool_choice: { type: 'function' as const, name: 'weather' } }
    const { output, id } = await openai.responses.create(asked)
    const [call] = output
    if (call?.type !== 'function_call') throw new Error('no call')
    expect([call.name, call.status, JSON.parse(call.arguments)]).toEqual([
      'weather',
      'completed',
      { city: expect.any(String) as string },
    ])
    const types: string[] = []
    let json = ''
    for await (const event of await openai.responses.create({ ...asked, stream: true })) {
      types.push(event.type)
      if (event.type === 'response.function_call_arguments.delta') json += event.delta
    }
    expect([...new Set(types)].slice(2)).toEqual([
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
    ])
    expect(json).toBe(call.arguments)
    const result = { type: 'function_call_output' as const, call_id: call.call_id, output: 'sun' }
    const rest = { ...base, tools: [weather], max_output_tokens: 3 }
    const whole = await openai.responses.create({ ...rest, input: [{ role: 'user', content: 'Hi' }, call, result] })
    // By name the same dialogue is kept.
    const named = await openai.responses.create({ ...rest, input: [result], previous_response_id: id })
    expect([named.output_text, named.usage!.input_tokens]).toEqual([whole.output_text, whole.usage!.input_tokens])
    const again = await openai.responses.create({
      ...rest,
      input: [{ role: 'user', content: 'Hi' }, { type: 'item_reference', id: call.id! }, result],
    })
    expect(again.output_text).toBe(whole.output_text)
  })

  it('is told what cannot be', async () => {
    const refused = (more: object) => openai.responses.create({ ...base, ...more })
    await expect(refused({ previous_response_id: 'resp_x' })).rejects.toMatchObject({
      status: 400,
      code: 'previous_response_not_found',
      param: 'previous_response_id',
    })
    await expect(refused({ input: [{ type: 'item_reference', id: 'msg_x' }] })).rejects.toMatchObject({
      status: 400,
      param: 'input[0]',
    })
    await expect(refused({ tools: [{ type: 'web_search' }] })).rejects.toThrow('only tools of type "function" are known')
    await expect(refused({ background: true })).rejects.toThrow('not supported by this server; wait for the answer')
    await expect(refused({ text: { format: { type: 'json_schema', name: 'x', schema: { not: {} } } } })).rejects.toThrow(
      'the keyword "not"',
    )
    await expect(
      refused({ input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }] }),
    ).rejects.toMatchObject({ status: 400 })
    await expect(refused({ model: 'nobody' })).rejects.toMatchObject({ status: 404 })
    const { id } = await refused({ store: false, max_output_tokens: 1 })
    await expect(refused({ previous_response_id: id })).rejects.toMatchObject({ status: 400 })
  })
})

describe('the default provider of the AI SDK', () => {
  it('writes and streams texts and objects', async () => {
    const asked = { model: provider('tools'), prompt: 'Hi', temperature: 0, maxOutputTokens: 8, maxRetries: 0 }
    const { text, finishReason, usage } = await generateText(asked)
    expect([finishReason, usage.outputTokens]).toEqual(['length', 8])
    const streamed = streamText(asked)
    let all = ''
    for await (const delta of streamed.textStream) all += delta
    expect([all, await streamed.finishReason]).toEqual([text, 'length'])
    const { object } = await generateObject({ ...asked, maxOutputTokens: 100, schema: jsonSchema(city as never) })
    expect(object).toEqual({ city: expect.any(String) as string })
  })

  it('calls a tool and goes on, naming what it was told', async () => {
    const results: unknown[] = []
    const tools = { weather: tool({ inputSchema: jsonSchema(city as never), execute: (input) => (results.push(input), 'sun') }) }
    const asked = { model: provider('tools'), prompt: 'Hi', temperature: 0, maxOutputTokens: 150, maxRetries: 0, tools }
    const first = await generateText({ ...asked, toolChoice: { type: 'tool', toolName: 'weather' } })
    expect([first.finishReason, results.length]).toEqual(['tool-calls', 1])
    // Its messages name the call that the server keeps.
    const next = await generateText({
      ...asked,
      prompt: undefined as never,
      messages: [{ role: 'user', content: 'Hi' }, ...first.response.messages],
      stopWhen: stepCountIs(1),
    })
    expect(next.usage.inputTokens).toBeGreaterThan(first.usage.inputTokens! + 20)
    const kinds = new Set<string>()
    for await (const part of streamText({
      ...asked,
      toolChoice: 'required',
      providerOptions: { openai: { parallelToolCalls: false } },
    }).fullStream)
      kinds.add(part.type)
    expect([...kinds]).toEqual(
      expect.arrayContaining(['tool-input-start', 'tool-input-delta', 'tool-call', 'tool-result', 'finish']),
    )
  })
})

it('nobody finds what was told to another key', async () => {
  const { client: keyed } = await serveTools({ apiKeys: ['one', 'two'] })
  const [one, two] = ['one', 'two'].map((apiKey) => new OpenAI({ ...keyed, apiKey, maxRetries: 0 })) as [OpenAI, OpenAI]
  const { id } = await one.responses.create({ ...base, max_output_tokens: 1 })
  await expect(two.responses.create({ ...base, previous_response_id: id, max_output_tokens: 1 })).rejects.toMatchObject({
    status: 400,
  })
  expect((await one.responses.create({ ...base, previous_response_id: id, max_output_tokens: 1 })).id).not.toBe(id)
})

it('the oldest answers are forgotten, with their parts', () => {
  const kept = new KeptResponses()
  const message = (id: string, text = '') => ({ type: 'message' as const, id, status: 'completed' as const, role: 'assistant' as const, content: [{ type: 'output_text' as const, text, annotations: [], logprobs: [] }] }) // prettier-ignore
  for (let i = 0; i < 1001; i++) kept.keep(undefined, `r${i}`, [], [message(`m${i}`)])
  expect([kept.dialogue(undefined, 'r0'), kept.item(undefined, 'm0'), kept.item('key-1', 'm1')]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  expect(kept.item(undefined, 'm1000')).toMatchObject({ id: 'm1000' })
  for (let i = 0; i < 5; i++) kept.keep('key-1', `s${i}`, [], [message(`n${i}`, 'x'.repeat(2 ** 22))])
  expect([kept.item(undefined, 'm1000'), kept.item('key-1', 'n0'), kept.item('key-1', 'n4')?.id]).toEqual([
    undefined,
    undefined,
    'n4',
  ])
})

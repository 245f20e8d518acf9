/** @file Answers in JSON and calls of tools over HTTP, as the clients of OpenAI, the AI SDK and LangChain ask for them and read them. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { ChatOpenAI } from '@langchain/openai'
import { generateObject, generateText, jsonSchema, streamText, tool } from 'ai'
import OpenAI, { BadRequestError } from 'openai'
import { describe, expect, it } from 'vitest'
import { serveTools } from './tool-model.js'

const { client } = await serveTools()
const openai = new OpenAI({ ...client, maxRetries: 0 })
const messages = [{ role: 'user' as const, content: 'Hi' }]
const city = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 4 } },
  required: ['city'],
  additionalProperties: false,
}
const tools = [
  { type: 'function' as const, function: { name: 'weather', description: 'Tells the weather.', parameters: city } },
  { type: 'function' as const, function: { name: 'stop', parameters: { type: 'object', properties: {} } } },
]
const base = { model: 'tools', messages, seed: 3, max_tokens: 150 }

describe('response_format', () => {
  it('json_schema: the answer is valid, in one piece and streamed', async () => {
    const response_format = { type: 'json_schema' as const, json_schema: { name: 'place', schema: city, strict: true } }
    const { choices } = await openai.chat.completions.create({ ...base, response_format })
    expect(choices[0]!.finish_reason).toBe('stop')
    expect(JSON.parse(choices[0]!.message.content!)).toEqual({ city: expect.any(String) as string })
    const stream = await openai.chat.completions.create({ ...base, response_format, stream: true })
    let text = ''
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    expect(text).toBe(choices[0]!.message.content)
    const parsed = await openai.chat.completions.parse({ ...base, response_format })
    expect(parsed.choices[0]!.message.parsed).toEqual(JSON.parse(text))
  })

  it('json_object: an object, or a beginning of one that says so', async () => {
    const { choices } = await openai.chat.completions.create({
      ...base,
      temperature: 0,
      response_format: { type: 'json_object' },
    })
    const { finish_reason, message } = choices[0]!
    expect(message.content).toMatch(/^\s?\{/)
    if (finish_reason === 'stop') expect(JSON.parse(message.content!)).toBeTypeOf('object')
    else expect(finish_reason).toBe('length')
  })

  it('generateObject of the AI SDK', async () => {
    const provider = createOpenAICompatible({ name: 'lowrank', supportsStructuredOutputs: true, ...client })
    const { object } = await generateObject({
      model: provider('tools'),
      prompt: 'Hi',
      seed: 3,
      schema: jsonSchema(city as never),
      maxRetries: 0,
    })
    expect(object).toEqual({ city: expect.any(String) as string })
  })

  it('withStructuredOutput of LangChain', async () => {
    const chat = new ChatOpenAI({ model: 'tools', apiKey: 'x', configuration: client, maxRetries: 0, maxTokens: 150 })
    expect(await chat.withStructuredOutput(city, { name: 'place', method: 'jsonSchema' }).invoke('Hi')).toEqual({
      city: expect.any(String) as string,
    })
    expect(await chat.withStructuredOutput(city, { name: 'place', method: 'functionCalling' }).invoke('Hi')).toEqual({
      city: expect.any(String) as string,
    })
  })
})

describe('tools', () => {
  it('required: one call of a tool, in one piece and streamed', async () => {
    const asked = { ...base, tools, tool_choice: 'required' as const, parallel_tool_calls: false }
    const { choices, usage } = await openai.chat.completions.create(asked)
    const { message, finish_reason } = choices[0]!
    expect([finish_reason, message.content, message.tool_calls?.length]).toEqual(['tool_calls', null, 1])
    const call = message.tool_calls![0]!
    if (call.type !== 'function') throw new Error('no function')
    expect(['weather', 'stop']).toContain(call.function.name)
    expect(call.id).toMatch(/^call_\w{24}$/)
    expect(usage!.completion_tokens).toBeGreaterThan(5)
    const stream = openai.chat.completions.stream(asked)
    const streamed = await stream.finalChatCompletion()
    expect(streamed.choices[0]!.message.tool_calls![0]).toMatchObject({
      type: 'function',
      function: { name: call.function.name, arguments: call.function.arguments },
    })
    expect(streamed.choices[0]!.finish_reason).toBe('tool_calls')
  })

  it('by name, with arguments by its schema, and given back with the result', async () => {
    const { choices } = await openai.chat.completions.create({
      ...base,
      tools,
      tool_choice: { type: 'function', function: { name: 'weather' } },
    })
    const [call] = choices[0]!.message.tool_calls!
    if (call?.type !== 'function') throw new Error('no function')
    expect([call.function.name, JSON.parse(call.function.arguments)]).toEqual(['weather', { city: expect.any(String) as string }])
    const next = await openai.chat.completions.create({
      ...base,
      max_tokens: 5,
      tools,
      messages: [...messages, choices[0]!.message, { role: 'tool', tool_call_id: call.id, content: 'sun' }],
    })
    expect(next.usage!.prompt_tokens).toBeGreaterThan(30)
    // A template that writes no tools still writes the calls of the dialogue.
    await openai.chat.completions.create({
      ...base,
      max_tokens: 5,
      messages: [...messages, choices[0]!.message, { role: 'tool', tool_call_id: call.id, content: 'sun' }],
    })
  })

  it('auto and none: a model that does not call answers in text', async () => {
    for (const tool_choice of ['auto', 'none'] as const) {
      const { choices } = await openai.chat.completions.create({ ...base, temperature: 0, max_tokens: 8, tools, tool_choice })
      expect([choices[0]!.message.tool_calls, choices[0]!.finish_reason]).toEqual([undefined, 'length'])
      expect(choices[0]!.message.content).not.toBe('')
    }
  })

  it('the AI SDK calls and goes on', async () => {
    const provider = createOpenAICompatible({ name: 'lowrank', ...client })
    const asked: unknown[] = []
    const weather = tool({ inputSchema: jsonSchema(city as never), execute: (input) => (asked.push(input), 'sun') })
    const all = {
      model: provider('tools'),
      prompt: 'Hi',
      seed: 3,
      tools: { weather },
      toolChoice: { type: 'tool', toolName: 'weather' } as const,
      maxRetries: 0,
    }
    const { toolCalls, finishReason } = await generateText(all)
    expect([toolCalls[0]!.toolName, finishReason, asked.length]).toEqual(['weather', 'tool-calls', 1])
    const streamed = streamText(all)
    const kinds = new Set<string>()
    for await (const part of streamed.fullStream) kinds.add(part.type)
    expect([...kinds]).toEqual(
      expect.arrayContaining(['tool-input-start', 'tool-input-delta', 'tool-call', 'tool-result', 'finish']),
    )
    expect(asked[1]).toEqual(toolCalls[0]!.input)
  })

  it('log probabilities stay beside the tokens', async () => {
    const stream = await openai.chat.completions.create({ ...base, tools, logprobs: true, max_tokens: 6, stream: true })
    let told = 0
    for await (const { choices } of stream) told += choices[0]?.logprobs?.content?.length ?? 0
    expect(told).toBe(6)
  })
})

describe('what is refused', () => {
  const refusal = async (more: object) => {
    try {
      await openai.chat.completions.create({ ...base, ...more })
    } catch (error) {
      expect(error).toBeInstanceOf(BadRequestError)
      return error as BadRequestError
    }
    throw new Error('it was not refused')
  }

  it.each([
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { not: {} } } } },
      'response_format',
      'schema at #: the keyword "not"',
    ],
    [{ response_format: { type: 'json_object' }, tools }, 'response_format', '`response_format` and `tools` cannot both be kept'],
    [{ tool_choice: 'required' }, 'tool_choice', 'there are no `tools`'],
    [{ tools, tool_choice: { type: 'function', function: { name: 'fly' } } }, 'tool_choice', 'there is no tool "fly"'],
    [{ tools: [tools[0], tools[0]] }, 'tools', 'another one of the name "weather"'],
    [
      { tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', if: {} } } }], tool_choice: 'required' },
      'tools',
      'the parameters of the tool "f": schema at #: the keyword "if"',
    ],
    [
      {
        messages: [
          ...messages,
          {
            role: 'assistant',
            content: '',
            tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '1' } }],
          },
        ],
      },
      'messages',
      'messages[1].tool_calls[0].function.arguments must be an object',
    ],
  ] as const)('%j', async (more, param, message) => {
    const error = await refusal(more)
    expect(error.message).toContain(message)
    expect(error.param).toBe(param)
  })
})

/** @file The clients that people have, unmodified: chat, streams, embeddings, errors, aborts, over a handler and a socket. */
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { APICallError, embedMany, generateText, streamText } from 'ai'
import { resolve } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listen, type Listener } from '../../src/cli/serve/listen.js'
import { embed, generate, loadAdapter, loadModel } from '../../src/index.js'
import { createServer, type Server } from '../../src/serve/index.js'
import { openModel, serve, writeAdapter, type Served } from './served.js'

const messages = [{ role: 'user' as const, content: 'Hi' }]
const key = 'secret'
const baseURL = 'http://localhost:8000/v1'
let served: Served
let embedder: Server
let text: string
let listener: Listener

/** As a client's own fetch, which rejects what was aborted. */
const through =
  (server: Server): typeof fetch =>
  async (input, init) => {
    const response = await server.fetch(new Request(input, init))
    init?.signal?.throwIfAborted()
    return response
  }

beforeAll(async () => {
  const red = await writeAdapter('red', 1)
  served = await serve({ adapters: { red }, apiKeys: [key] })
  text = (await generate(await loadAdapter(await openModel(), red), { messages, maxNewTokens: 8 })).text
  embedder = await createServer(await loadModel(resolve(import.meta.dirname, '../fixtures/sentence/bert'), { threads: 1 }))
  listener = await listen((request) => served.server.fetch(request), { host: '127.0.0.1', port: 0, bodyTimeout: 5000 })
})
afterAll(() => listener.close())

const idle = (): Promise<void> => expect.poll(() => served.server.engine.running).toBe(0)

describe.each(['handler', 'socket'])('openai, over a %s', (way) => {
  const client = (options: Partial<ConstructorParameters<typeof OpenAI>[0]> = {}): OpenAI =>
    new OpenAI({
      ...{ apiKey: key, maxRetries: 0 },
      ...(way === 'handler' ? { baseURL, fetch: through(served.server) } : { baseURL: `${listener.url}/v1` }),
      ...options,
    })
  const asked = { model: 'red', messages, temperature: 0, max_tokens: 8 }

  it('lists models', async () => {
    const ids: string[] = []
    for await (const { id } of client().models.list()) ids.push(id)
    expect(ids).toEqual(['tiny-chat', 'red'])
    expect(await client().models.retrieve('red')).toMatchObject({ id: 'red', object: 'model' })
  })

  it('chats, whole and streamed', async () => {
    const { data, response } = await client().chat.completions.create(asked).withResponse()
    expect(data.choices[0]!.message.content).toBe(text)
    expect(data).toMatchObject({ _request_id: response.headers.get('x-request-id') })
    const stream = await client().chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } })
    let [streamed, total] = ['', 0]
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta.content ?? ''
      total = chunk.usage?.total_tokens ?? total
    }
    expect([streamed, total]).toEqual([text, data.usage!.total_tokens])
    const runner = client().chat.completions.stream(asked)
    expect(await runner.finalContent()).toBe(text)
    expect((await client().completions.create({ model: 'red', prompt: 'Hi', temperature: 0 })).choices[0]!.text).not.toBe('')
  })

  it('has errors of its own classes', async () => {
    const { chat } = client()
    await expect(chat.completions.create({ ...asked, temperature: -1 })).rejects.toMatchObject({ status: 400, param: 'temperature', constructor: OpenAI.BadRequestError }) // prettier-ignore
    await expect(chat.completions.create({ ...asked, model: 'x' })).rejects.toMatchObject({ code: 'model_not_found', constructor: OpenAI.NotFoundError }) // prettier-ignore
    await expect(client({ apiKey: 'wrong' }).models.list()).rejects.toMatchObject({ constructor: OpenAI.AuthenticationError })
  })

  it('ends what it aborts', async () => {
    const long = { ...asked, max_tokens: 200, ignore_eos: true }
    const stream = await client().chat.completions.create({ ...long, stream: true })
    for await (const _ of stream) break
    await idle()
    const abortion = new AbortController()
    const whole = client().chat.completions.create(long, { signal: abortion.signal })
    await expect.poll(() => served.server.engine.running).toBe(1)
    abortion.abort()
    await expect(whole).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    await idle()
    await expect.poll(() => served.log.filter(({ aborted }) => aborted).length).toBeGreaterThanOrEqual(2)
  })
})

describe('openai', () => {
  const client = (server: Server): OpenAI => new OpenAI({ apiKey: key, maxRetries: 0, baseURL, fetch: through(server) })

  it('embeds, in base64 as it asks by default and in numbers', async () => {
    const input = ['where is the key', 'it rains']
    const own = await embed(await loadModel(resolve(import.meta.dirname, '../fixtures/sentence/bert'), { threads: 1 }), input)
    for (const encoding of [{}, { encoding_format: 'float' as const }, { encoding_format: 'base64' as const }]) {
      const { data, usage } = await client(embedder).embeddings.create({ model: 'bert', input, ...encoding })
      if (!('encoding_format' in encoding) || encoding.encoding_format === 'float')
        data.forEach(({ embedding }, i) => expect(embedding).toEqual(Array.from(own[i]!)))
      else expect(typeof data[0]!.embedding).toBe('string')
      expect(usage.prompt_tokens).toBeGreaterThan(4)
    }
  })
})

describe('the AI SDK', () => {
  const compatible = (server: Server) =>
    createOpenAICompatible({ name: 'lowrank', baseURL, apiKey: key, fetch: through(server), includeUsage: true }) // prettier-ignore
  const options = { prompt: 'Hi', temperature: 0, maxOutputTokens: 8, maxRetries: 0 }

  it.each(['compatible', 'openai'])('writes text with the provider %s', async (name) => {
    const openai = createOpenAI({ baseURL, apiKey: key, fetch: through(served.server) })
    const model = name === 'openai' ? openai.chat('red') : compatible(served.server)('red')
    const whole = await generateText({ model, ...options })
    expect([whole.text, whole.finishReason]).toEqual([text, 'length'])
    expect(whole.usage.outputTokens).toBe(8)
    const { textStream, usage } = streamText({ model, ...options })
    let streamed = ''
    for await (const piece of textStream) streamed += piece
    expect([streamed, (await usage).outputTokens]).toEqual([text, 8])
  })

  it('embeds', async () => {
    const { embeddings, usage } = await embedMany({ model: compatible(embedder).textEmbeddingModel('bert'), values: ['a', 'b'] })
    expect([embeddings.length, usage.tokens > 0]).toEqual([2, true])
  })

  it('has errors and aborts', async () => {
    const model = compatible(served.server)('nobody')
    await expect(generateText({ model, ...options })).rejects.toMatchObject({ statusCode: 404, message: expect.stringContaining('`nobody` does not exist'), constructor: APICallError }) // prettier-ignore
    const abortion = new AbortController()
    const { textStream } = streamText({ model: compatible(served.server)('red'), ...options, maxOutputTokens: 200, abortSignal: abortion.signal, providerOptions: { lowrank: { ignore_eos: true } } }) // prettier-ignore
    for await (const _ of textStream) abortion.abort()
    await idle()
  })
})

describe('LangChain', () => {
  const configuration = { baseURL, fetch: undefined as unknown as typeof fetch }
  const chat = (): ChatOpenAI =>
    new ChatOpenAI({ model: 'red', apiKey: key, temperature: 0, maxTokens: 8, maxRetries: 0, configuration: { ...configuration, fetch: through(served.server) } }) // prettier-ignore

  it('chats, whole and streamed', async () => {
    const answer = await chat().invoke('Hi')
    expect(answer.content).toBe(text)
    expect(answer.usage_metadata).toMatchObject({ output_tokens: 8 })
    let streamed = ''
    let output = 0
    for await (const chunk of await chat().stream('Hi')) {
      streamed += chunk.content as string
      output += (chunk.usage_metadata as { output_tokens: number } | undefined)?.output_tokens ?? 0
    }
    expect([streamed, output]).toEqual([text, 8])
  })

  it('embeds', async () => {
    const embeddings = new OpenAIEmbeddings({ model: 'bert', apiKey: key, maxRetries: 0, configuration: { ...configuration, fetch: through(embedder) } }) // prettier-ignore
    expect(await embeddings.embedDocuments(['a', 'b'])).toHaveLength(2)
    expect((await embeddings.embedQuery('a')).length).toBeGreaterThan(8)
  })
})

/** @file The door of a server: names of requests, keys, origins, bodies, errors, the log, what it says of itself. */
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import type { openApiDocument } from '../../src/serve/routes/openapi.js'
import { routes } from '../../src/serve/routes/index.js'
import { serve } from './served.js'

const chat = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 2, temperature: 0 }
const error = async (response: Response) => ((await response.json()) as { error: Record<string, unknown> }).error

describe('errors', async () => {
  const { get, post, log } = await serve({ maxBodyBytes: 2000 })

  it.each([
    ['', 400, { message: 'The body is empty; a JSON object was expected.', param: null }],
    ['{"messages": [', 400, { message: expect.stringContaining('The body is not valid JSON'), code: 'invalid_json' }],
    ['[]', 400, { message: expect.stringContaining('The body: Invalid input: expected object') }],
    [{}, 400, { message: expect.stringContaining('`messages`: Invalid input'), param: 'messages' }],
    [{ messages: [] }, 400, { param: 'messages' }],
    [{ messages: [{ content: 'x' }] }, 400, { param: 'messages[0].role' }],
    [{ messages: [{ role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'image_url', image_url: { url: 'x' } }] }] }, 400, { param: 'messages[0].content[1].type', message: expect.stringContaining('only parts of type "text" are read') }], // prettier-ignore
    [{ ...chat, temperature: -1 }, 400, { param: 'temperature' }],
    [{ ...chat, temperature: '1' }, 400, { param: 'temperature' }],
    [{ ...chat, top_p: 0 }, 400, { param: 'top_p' }],
    [{ ...chat, n: 0 }, 400, { param: 'n' }],
    [{ ...chat, logit_bias: { word: 1 } }, 400, { message: expect.stringContaining('must name a token by its id') }],
    [{ ...chat, logit_bias: { 5000: 1 } }, 400, { message: expect.stringContaining('token 5000') }],
    [{ ...chat, top_logprobs: 3 }, 400, { param: 'top_logprobs' }],
    [{ ...chat, stream_options: { include_usage: true } }, 400, { param: 'stream_options' }],
    [{ ...chat, max_completion_tokens: 3 }, 400, { param: 'max_tokens' }],
    [{ ...chat, grammar: 'root ::= "a"' }, 400, { param: 'grammar', message: expect.stringContaining('use response_format') }],
    [{ ...chat, reasoning_effort: 'high' }, 400, { param: 'reasoning_effort' }],
    [{ ...chat, documents: [{ text: 'a' }] }, 400, { param: 'documents' }],
    [{ ...chat, n_predict: 3 }, 400, { param: 'n_predict' }],
    [{ ...chat, best_of: 3 }, 400, { param: 'best_of' }],
    [{ ...chat, chat_template_kwargs: { messages: [] } }, 400, { param: 'chat_template_kwargs' }],
    [{ ...chat, repeat_penalty: 1.1, repetition_penalty: 1.2 }, 400, { param: 'repeat_penalty' }],
    [{ ...chat, continue_final_message: true, add_generation_prompt: true }, 400, { param: 'continue_final_message' }],
    [{ ...chat, model: 'nobody' }, 404, { param: 'model', code: 'model_not_found' }],
    [{ ...chat, model: '../../etc/passwd' }, 404, { code: 'model_not_found' }],
    [{ ...chat, lora: [{ id: 3, scale: 1 }] }, 400, { param: 'lora[0]' }],
    [{ ...chat, lora: [{ scale: 1 }] }, 400, { param: 'lora[0]' }],
    [{ ...chat, lora: [], adapter_id: 'x' }, 400, { param: 'adapter_id' }],
    [
      { ...chat, messages: [{ role: 'user', content: 'Hi '.repeat(300) }] },
      400,
      { code: 'context_length_exceeded', param: 'messages' },
    ],
    [`{"messages":[{"role":"user","content":"x","more":${'['.repeat(300)}${']'.repeat(300)}}]}`, 400, { code: 'json_too_deep' }],
    [{ ...chat, lora: [{ name: 'x', scale: 1e30 }] }, 400, { param: 'lora[0].scale' }],
    [{ ...chat, tools: [{ type: 'function', function: { name: 'f' } }] }, 400, { message: expect.stringMatching(/^`tools`: tiny-chat: the chat template takes no tools/) }], // prettier-ignore
    [{ ...chat, response_format: { type: 'xml' } }, 400, { message: '`response_format.type`: must be "text", "json_object" or "json_schema"' }], // prettier-ignore
    ['x'.repeat(3000), 413, { code: 'body_too_large' }],
  ])('of %j', async (body, status, expected) => {
    const response = await post('/v1/chat/completions', body)
    expect(response.status).toBe(status)
    expect(await error(response)).toMatchObject({ type: 'invalid_request_error', ...expected })
    expect(log.at(-1)).toMatchObject({ status, path: '/v1/chat/completions', id: response.headers.get('x-request-id') })
    expect(log.at(-1)!.error).toBeTypeOf('string')
  })

  it('of fields that ask for nothing there are none, and unknown ones are not looked at', async () => {
    const idle = { functions: null, modalities: ['text'], mirostat: 0, seed: null, stop: null, tools: null, bad_words: [], x: 1 }
    expect((await post('/v1/chat/completions', { ...chat, ...idle })).status).toBe(200)
  })

  it('of paths and methods', async () => {
    const nowhere = await post('/v1/nothing', {})
    expect([nowhere.status, (await error(nowhere))['code']]).toEqual([404, 'unknown_url'])
    const wrong = await get('/v1/chat/completions')
    expect([wrong.status, wrong.headers.get('allow'), (await error(wrong))['code']]).toEqual([405, 'POST', 'method_not_allowed'])
    expect((await get('/v1/models/%E0%A4%A')).status).toBe(404)
  })

  it('of bytes that are no text', async () => {
    const { server } = await serve()
    const body = Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d)
    const response = await server.fetch(new Request('http://localhost/v1/completions', { method: 'POST', body }))
    expect([response.status, (await error(response))['message']]).toEqual([400, expect.stringContaining('not valid UTF-8')])
  })

  it('of a mistake of ours says nothing of it to the client', async () => {
    const { server, post: ask, log: lines, errors } = await serve()
    server.engine.start = () => {
      throw new RangeError('secret')
    }
    const response = await ask('/v1/chat/completions', chat)
    expect(response.status).toBe(500)
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(JSON.stringify(await error(response))).not.toContain('secret')
    expect(lines.at(-1)!.error).toBe('RangeError: secret')
    expect(errors).toHaveLength(1)
  })
})

describe('bodies', () => {
  it('that are too large are not read to their end', async () => {
    const { server } = await serve({ maxBodyBytes: 1000 })
    let sent = 0
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(((sent += 300), 300)).fill(32)),
    })
    const response = await server.fetch(
      new Request('http://localhost/v1/completions', { method: 'POST', body, duplex: 'half' } as RequestInit),
    )
    expect(response.status).toBe(413)
    expect(sent).toBeLessThan(3000)
  })

  it('that take too long are refused', async () => {
    const { server } = await serve({ bodyTimeout: 0.05 })
    const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(Uint8Array.of(0x7b)) })
    const response = await server.fetch(
      new Request('http://localhost/v1/completions', { method: 'POST', body, duplex: 'half' } as RequestInit),
    )
    expect([response.status, response.headers.get('x-should-retry')]).toEqual([408, 'false'])
  })
})

describe('names of requests', async () => {
  const { get } = await serve()

  it('are given, or taken from a proxy where they are names', async () => {
    expect((await get('/health')).headers.get('x-request-id')).toMatch(/^req-/)
    expect((await get('/health', { 'x-request-id': 'proxy-7' })).headers.get('x-request-id')).toBe('proxy-7')
    expect((await get('/health', { 'x-request-id': 'a b' })).headers.get('x-request-id')).toMatch(/^req-/)
    expect(Number((await get('/health')).headers.get('openai-processing-ms'))).toBeGreaterThanOrEqual(0)
  })
})

describe('keys', async () => {
  const { get, log } = await serve({ apiKeys: ['one', 'two'] })

  it.each([
    [{}, 401],
    [{ authorization: 'Bearer three' }, 401],
    [{ authorization: 'Bearer on' }, 401],
    [{ authorization: 'one' }, 401],
    [{ authorization: 'Bearer one' }, 200],
    [{ authorization: 'bearer  two' }, 200],
  ])('%j', async (headers: Record<string, string>, status) => {
    const response = await get('/v1/models', headers)
    expect(response.status).toBe(status)
    if (status === 401) expect(await error(response)).toMatchObject({ code: 'invalid_api_key' })
    else expect(log.at(-1)!.key).toMatch(/^key-[12]$/)
    expect(JSON.stringify(log.at(-1))).not.toMatch(/three|two/)
  })

  it('are not asked for where only life is told', async () => {
    expect((await get('/health')).status).toBe(200)
    expect((await get('/ready')).status).toBe(503)
    expect((await get('/metrics')).status).toBe(401)
  })
})

describe('pages', () => {
  const from = (origin: string) => ({ origin })

  it('of other origins may not ask, with or without the leave to read the answer', async () => {
    const { get, post } = await serve()
    expect((await get('/v1/models', from('http://localhost:8000'))).status).toBe(200)
    for (const origin of ['https://evil.example', 'null', 'http://localhost:9000'])
      expect((await post('/v1/chat/completions', chat, from(origin))).status).toBe(403)
  })

  it('of allowed ones may, with whatever headers their client sends', async () => {
    const { server, get } = await serve({ cors: ['https://app.example'] })
    const asked = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-stainless-os,authorization' }
    const preflight = await server.fetch(
      new Request('http://localhost/v1/models', { method: 'OPTIONS', headers: { origin: 'https://app.example', ...asked } }),
    )
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(preflight.headers.get('access-control-allow-headers')).toBe('x-stainless-os,authorization')
    const answer = await get('/v1/models', from('https://app.example'))
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(answer.headers.get('access-control-expose-headers')).toContain('x-request-id')
    expect((await get('/v1/models', from('https://evil.example'))).headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('a server', async () => {
  const { server, get, post } = await serve({ maxRows: 3 })

  it('is alive at once, ready once it is warm, and neither takes nor drops requests when it is closed', async () => {
    expect(await (await get('/health')).json()).toEqual({ status: 'ok' })
    const cold = await get('/ready')
    expect([cold.status, cold.headers.get('retry-after'), await error(cold)]).toMatchObject([503, '1', { message: 'Loading model', code: 503 }]) // prettier-ignore
    await server.warmUp()
    expect((await get('/ready')).status).toBe(200)
    const running = post('/v1/chat/completions', { ...chat, max_tokens: 40, ignore_eos: true })
    await new Promise((resolve) => setTimeout(resolve, 5))
    const closed = server.close()
    expect((await get('/ready')).status).toBe(503)
    expect((await post('/v1/chat/completions', chat)).status).toBe(503)
    expect(((await (await running).json()) as { usage: object }).usage).toMatchObject({ completion_tokens: 40 })
    await closed
  })

  it('tells what it runs, as llama.cpp does', async () => {
    expect(await (await get('/props')).json()).toMatchObject({
      default_generation_settings: { n_ctx: 256 },
      total_slots: 3,
      model_path: 'tiny-chat',
      chat_template: expect.stringContaining('<|im_start|>'),
      eos_token: '<|endoftext|>',
    })
  })

  it('counts what it does', async () => {
    const text = await (await get('/metrics')).text()
    expect(text).toContain('# TYPE lowrank_requests_total counter\n')
    expect(text).toContain('lowrank_requests_total{endpoint="/v1/chat/completions",adapter="base",status="200"} 1\n')
    expect(text).toContain('lowrank_generation_tokens_total{adapter="base"} 40\n')
    expect(text).toMatch(/lowrank_time_to_first_token_seconds_bucket\{le="\+Inf"\} 1\n/)
    expect(text).toMatch(/lowrank_time_per_output_token_seconds_count 39\n/)
    expect(text).toContain('lowrank_requests_running 0\n')
  })

  it('describes itself in OpenAPI, every route with its schemas', async () => {
    const document = (await (await get('/openapi.json')).json()) as ReturnType<typeof openApiDocument> & {
      paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: Record<string, unknown> }> } }>>
    }
    expect(Object.keys(document.paths)).toHaveLength(new Set(routes.map(({ path }) => path)).size)
    const body = document.paths['/v1/chat/completions']!['post']!.requestBody!.content['application/json']!.schema
    expect(body).toMatchObject({ type: 'object', required: ['messages'] })
    expect(body['properties']).toMatchObject({
      temperature: { description: expect.stringContaining('likeliest') },
      grammar: { deprecated: true },
    })
    expect(document.paths['/v1/models/{model}']).toBeDefined()
  })
})

it.each([
  [{ apiKeys: [''] }, 'apiKeys must be a list of texts'],
  [{ maxRows: 0 }, 'maxRows must be a whole number of at least 1'],
  [{ timeout: 0 }, 'timeout must be'],
  [{ ports: 1 }, 'unknown option "ports"'],
  [{ adapters: { 'tiny-chat': 'x' } }, 'is the name of the base model'],
])('options are checked: %j', async (options, message) => {
  await expect(serve(options as object)).rejects.toThrow(message)
})

it('needs nothing of Node: it can be bundled for pages and service workers', async () => {
  const { outputFiles, errors } = await build({
    ...{ entryPoints: ['src/serve/index.ts'], bundle: true, platform: 'browser', format: 'esm', target: 'es2022' },
    ...{ write: false, logLevel: 'silent', external: ['onnxruntime-*', '#onnxruntime-wasm'] },
  })
  expect(errors).toEqual([])
  expect(outputFiles[0]!.text).not.toMatch(/from ?"node:|require\("node:/)
})

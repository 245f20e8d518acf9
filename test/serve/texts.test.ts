/** @file Texts over HTTP: they are what the library writes, whole and streamed, with whatever is asked beside them. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { generate, loadAdapter, loadModel, type FolderModel } from '../../src/index.js'
import { createServer, DeadlineError } from '../../src/serve/index.js'
import { chatAnswer, chatChunk } from '../../src/serve/schemas/chat.js'
import { completionAnswer } from '../../src/serve/schemas/completions.js'
import { writeChatModel } from '../support/chat-model.js'
import { events, openModel, serve, work, writeAdapter, type Served } from './served.js'

type Chat = z.infer<typeof chatAnswer>
type Completion = z.infer<typeof completionAnswer>

const messages = [{ role: 'user', content: 'Tell me of héllo 😀' }]
let model: FolderModel
let served: Served
let red: string
beforeAll(async () => {
  model = await openModel()
  red = await writeAdapter('red', 1)
  served = await serve({ adapters: { red, blue: await writeAdapter('blue', 2) } })
})

const chat = async (body: object): Promise<Chat> => {
  const response = await served.post('/v1/chat/completions', { messages, temperature: 0, max_tokens: 12, ...body })
  const answer: unknown = await response.json()
  expect(response.status, JSON.stringify(answer)).toBe(200)
  // Answers are what the document says of them.
  return chatAnswer.strict().parse(answer)
}
const complete = async (body: object): Promise<Completion> => {
  const response = await served.post('/v1/completions', { temperature: 0, max_tokens: 6, ...body })
  const answer: unknown = await response.json()
  expect(response.status, JSON.stringify(answer)).toBe(200)
  return completionAnswer.strict().parse(answer)
}
const textOf = ({ choices }: Chat): string => choices[0]!.message.content!

describe('chat', () => {
  it('is what the library writes, of the base and of adapters', async () => {
    const options = { messages, maxNewTokens: 12 }
    expect(textOf(await chat({}))).toBe((await generate(model, options)).text)
    const own = (await generate(await loadAdapter(model, red), options)).text
    for (const way of [
      { model: 'red' },
      { lora: [{ name: 'red' }] },
      { lora: [{ id: 0, scale: 1 }] },
      { adapter_id: 'red' },
      { adapters: 'red' },
    ])
      // prettier-ignore
      expect(textOf(await chat(way))).toBe(own)
    expect(own).not.toBe(textOf(await chat({ lora: [{ name: 'red', scale: 0 }] })))
  })

  it('tells what was read and written, and by whom', async () => {
    const answer = await chat({ model: 'red' })
    expect(answer).toMatchObject({ model: 'red', choices: [{ index: 0, finish_reason: 'length', logprobs: null }] })
    const { usage } = answer
    expect(usage).toMatchObject({ completion_tokens: 12, total_tokens: usage.prompt_tokens + 12 })
    expect(served.log.at(-1)).toMatchObject({ adapters: ['red'], promptTokens: usage.prompt_tokens, completionTokens: 12 })
  })

  it('gives several texts, each with the next seed', async () => {
    const sampled = { temperature: 1.5, seed: 7, top_k: 50 }
    const three = (await chat({ ...sampled, n: 3 })).choices.map(({ message }) => message.content)
    const alone = await Promise.all([7, 8, 9].map((seed) => chat({ ...sampled, seed })))
    expect(three).toEqual(alone.map(textOf))
    expect(new Set(three).size).toBeGreaterThan(1)
    const [one, two] = [await chat({ temperature: 1.5, seed: -1 }), await chat({ temperature: 1.5 })]
    expect(textOf(one)).not.toBe(textOf(two))
  })

  it('passes on what says how a text is written', async () => {
    const fields = {
      ...{ temperature: 0.9, top_p: 0.9, top_k: 40, min_p: 0.01, seed: 3, repetition_penalty: 1.3, presence_penalty: 0.5 },
      ...{ frequency_penalty: 0.2, no_repeat_ngram_size: 2, logit_bias: { 42: 5 }, ignore_eos: true, min_tokens: 3 },
    }
    const options = {
      ...{ temperature: 0.9, topP: 0.9, topK: 40, minP: 0.01, seed: 3, repetitionPenalty: 1.3, presencePenalty: 0.5 },
      ...{ frequencyPenalty: 0.2, noRepeatNgramSize: 2, logitBias: { 42: 5 }, ignoreEos: true, minNewTokens: 3 },
    }
    expect(textOf(await chat(fields))).toBe((await generate(model, { messages, maxNewTokens: 12, ...options })).text)
  })

  it('stops at texts and tokens', async () => {
    const { text, ids } = await generate(await loadAdapter(model, red), { messages, maxNewTokens: 12 })
    const stop = text.slice(3, 5)
    const stopped = await chat({ model: 'red', stop })
    expect(stopped.choices[0]).toMatchObject({ message: { content: text.slice(0, text.indexOf(stop)) }, finish_reason: 'stop' })
    const ended = await chat({ model: 'red', stop_token_ids: [ids[4]!] })
    expect(ended.usage.completion_tokens).toBe(ids.indexOf(ids[4]!))
  })

  it('tells how likely tokens were, with their bytes', async () => {
    const { choices } = await chat({ model: 'red', logprobs: true, top_logprobs: 2 })
    const { logprobs } = await generate(await loadAdapter(model, red), { messages, maxNewTokens: 12, logprobs: 2 })
    const { content } = choices[0]!.logprobs!
    content.forEach(({ logprob }, i) => expect(logprob).toBeCloseTo(logprobs![i]!.logprob, 4))
    expect(content.every(({ top_logprobs }) => top_logprobs.length === 2)).toBe(true)
    const bytes = Uint8Array.from(content.flatMap((token) => token.bytes))
    expect(new TextDecoder().decode(bytes)).toBe(choices[0]!.message.content)
  })

  it('goes on with the last message', async () => {
    const open = [...messages, { role: 'assistant', content: 'It is ' }]
    const tokenizer = (await model.tokenizer())!
    const prompt = tokenizer.encode(tokenizer.openLastMessage(open), { addSpecialTokens: false })
    const { text } = await generate(model, { inputIds: prompt, maxNewTokens: 12 })
    expect(textOf(await chat({ messages: open, continue_final_message: true }))).toBe(text)
  })

  it('is of models with a chat template', async () => {
    const bare = writeChatModel(join(work, 'bare'))
    rmSync(join(bare, 'chat_template.jinja'))
    const plain = await createServer(await loadModel(bare, { threads: 1 }))
    const body = JSON.stringify({ messages })
    const response = await plain.fetch(new Request('http://localhost/v1/chat/completions', { method: 'POST', body }))
    const { error } = (await response.json()) as { error: object }
    expect(response.status).toBe(400)
    expect(error).toMatchObject({ param: 'messages', message: expect.stringContaining('has no chat template') })
  })

  it('takes contents in parts, and the name that newer clients have for the system', async () => {
    const plain = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'a\nb' }] // prettier-ignore
    const parts = [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'text', text: 'b' }] }, // prettier-ignore
    ]
    const prompt = async (body: object): Promise<unknown> => (await served.post('/apply-template', body)).json()
    expect(await prompt({ messages: parts })).toEqual(await prompt({ messages: plain }))
  })
})

describe('a stream', () => {
  const stream = async (body: object) => {
    const response = await served.post('/v1/chat/completions', {
      messages,
      temperature: 0,
      max_tokens: 12,
      stream: true,
      ...body,
    })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    const data = await events(response)
    expect(data.at(-1)).toBe('[DONE]')
    return data.slice(0, -1).map((each) => chatChunk.strict().parse(JSON.parse(each)))
  }

  it('is the whole in pieces', async () => {
    const whole = await chat({ model: 'blue', n: 2, temperature: 1, seed: 5 })
    const chunks = await stream({ model: 'blue', n: 2, temperature: 1, seed: 5, stream_options: { include_usage: true } })
    const text = (index: number): string =>
      chunks
        .flatMap(({ choices }) => choices.flatMap((each) => (each.index === index ? [each.delta.content ?? ''] : [])))
        .join('')
    expect([text(0), text(1)]).toEqual(whole.choices.map(({ message }) => message.content))
    expect(new Set(chunks.map(({ id, created }) => `${id} ${created}`)).size).toBe(1)
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: 'assistant', content: '' })
    // What was read for the one is there for the other.
    const cached = { cached_tokens: expect.any(Number) as number }
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { ...whole.usage, prompt_tokens_details: cached } })
    expect(chunks.at(-1)!.usage!.prompt_tokens_details.cached_tokens).toBeGreaterThan(0)
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true)
    expect(chunks.filter(({ choices }) => choices[0]?.finish_reason === 'length')).toHaveLength(2)
    expect(served.log.at(-1)).toMatchObject({ stream: true, completionTokens: whole.usage.completion_tokens, texts: 2 })
  })

  it('has log probabilities beside the tokens, and no usage where none is asked for', async () => {
    const chunks = await stream({ logprobs: true })
    expect(chunks.flatMap(({ choices }) => choices[0]!.logprobs?.content ?? [])).toHaveLength(12)
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false)
  })

  it('has whole characters alone', async () => {
    const tokenizer = (await model.tokenizer())!
    const bias = Object.fromEntries(tokenizer.encode('😀é').map((id) => [id, 30]))
    const chunks = await stream({ logit_bias: bias, temperature: 2, seed: 1, max_tokens: 40 })
    const pieces = chunks.flatMap(({ choices }) => choices[0]!.delta.content ?? [])
    const { text } = await generate(model, { messages, maxNewTokens: 40, logitBias: bias, temperature: 2, seed: 1 })
    expect(pieces.join('')).toBe(text)
    expect(pieces.slice(0, -1).some((piece) => /[\uD800-\uDBFF]$/.test(piece))).toBe(false)
  })

  it('ends what runs when its reader leaves', async () => {
    const response = await served.post('/v1/chat/completions', { messages, stream: true, max_tokens: 150, ignore_eos: true })
    const reader = response.body!.getReader()
    await reader.read()
    await reader.cancel()
    await expect.poll(() => served.server.engine.running).toBe(0)
    expect(served.log.at(-1)).toMatchObject({ aborted: true, stream: true })
    expect(served.log.at(-1)!.completionTokens).toBeLessThan(150)
  })

  it('sends comments while nothing comes, and tells in a frame what breaks it', async () => {
    const slow = await serve({ keepAlive: 0.02 })
    slow.server.engine.start = async function* () {
      yield { index: 0, id: 1, text: 'a' }
      await new Promise((resolve) => setTimeout(resolve, 300))
      throw new DeadlineError(200)
    }
    const response = await slow.post('/v1/chat/completions', { messages, stream: true })
    const text = await response.text()
    expect(text).toContain(': keep-alive\n\n')
    expect(text).toMatch(/data: \{"error":\{"message":"the request was not done within 200 ms[^\n]*"timeout"\}\}\n\n$/)
  })
})

describe('a request without a stream', () => {
  it('ends with its signal', async () => {
    const abortion = new AbortController()
    const body = { messages, max_tokens: 200, ignore_eos: true }
    const asked = served.post('/v1/chat/completions', body, {}, abortion.signal)
    await expect.poll(() => served.server.engine.running).toBe(1)
    abortion.abort()
    expect((await asked).status).toBe(499)
    await expect.poll(() => served.server.engine.running).toBe(0)
  })

  it('that cannot go on is refused, and those beside it are what they are alone', async () => {
    const other = { prompt: 'Hello there', max_tokens: 20, ignore_eos: true }
    const alone = (await complete(other)).choices[0]!.text
    for (const temperature of [0, 1])
      for (const bad of [{ repetition_penalty: 1e-300 }, { lora: [{ name: 'red', scale: 1e308 }] }]) {
        const [beside, refused] = await Promise.all([complete(other), served.post('/v1/completions', { ...other, ...bad, temperature })]) // prettier-ignore
        expect(refused.status, JSON.stringify(bad)).toBe(400)
        expect(beside.choices[0]!.text).toBe(alone)
      }
  })

  it('of many texts ends them all with its signal, running or waiting, and nothing suspects a leak', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error): unknown => warnings.push(warning)
    process.on('warning', warned)
    const abortion = new AbortController()
    const asked = served.post('/v1/completions', { prompt: 'Hi', n: 40, max_tokens: 200, ignore_eos: true }, {}, abortion.signal)
    await expect.poll(() => served.server.engine.waiting).toBeGreaterThan(0)
    abortion.abort()
    expect((await asked).status).toBe(499)
    const { engine } = served.server
    await expect.poll(() => engine.running + engine.waiting).toBe(0)
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })

  it('is refused where as many wait as may', async () => {
    const small = await serve({ maxRows: 1, maxQueue: 1 })
    const body = { messages, max_tokens: 100, ignore_eos: true }
    const all = await Promise.all([1, 2, 3, 4].map(() => small.post('/v1/chat/completions', body)))
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 429, 429])
    const refused = all.find(({ status }) => status === 429)!
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({ error: { type: 'rate_limit_error', code: 'queue_full' } })
  })

  it('is refused for good where it asks for more texts than fit', async () => {
    const small = await serve({ maxRows: 2, maxQueue: 1 })
    expect((await small.post('/v1/completions', { prompt: ['a', 'b', 'c'], max_tokens: 1 })).status).toBe(200)
    const many = await small.post('/v1/completions', { prompt: ['a', 'b', 'c', 'd'], max_tokens: 1 })
    expect([many.status, await many.json()]).toMatchObject([400, { error: { param: 'prompt' } }])
    expect((await small.post('/v1/completions', { prompt: 'a', n: 4 })).status).toBe(400)
  })

  it('has a time', async () => {
    const hasty = await serve({ timeout: 0.01 })
    const response = await hasty.post('/v1/chat/completions', { messages, max_tokens: 240, ignore_eos: true })
    expect([response.status, response.headers.get('x-should-retry')]).toEqual([504, 'false'])
  })
})

describe('completions', () => {
  it('are what the library writes, of texts and tokens, one and several', async () => {
    const prompts = ['Roses are', 'Once']
    const own = await Promise.all(prompts.map((prompt) => generate(model, { prompt, maxNewTokens: 6 })))
    const answer = await complete({ prompt: prompts, n: 1 })
    expect(answer.choices.map(({ text }) => text)).toEqual(own.map(({ text }) => text))
    const tokenizer = (await model.tokenizer())!
    const ids = prompts.map((prompt) => tokenizer.encodePrompt(prompt))
    expect((await complete({ prompt: ids })).choices).toEqual(answer.choices)
    expect((await complete({ prompt: ids[0]! })).choices[0]!.text).toBe(own[0]!.text)
    expect((await complete({ prompt: prompts, n: 2 })).choices.map(({ index }) => index)).toEqual([0, 1, 2, 3])
    expect((await complete({ prompt: 'Once', max_tokens: null })).usage!.completion_tokens).toBe(16)
  })

  it('give the prompt back, alone and with log probabilities', async () => {
    expect((await complete({ prompt: 'Roses are', max_tokens: 0, echo: true })).choices[0]).toMatchObject({
      text: 'Roses are',
      finish_reason: 'length',
      logprobs: null,
    })
    const { choices } = await complete({ prompt: 'Roses are', max_tokens: 0, echo: true, logprobs: 1 })
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0]!.logprobs!
    const { promptLogprobs } = await generate(model, { prompt: 'Roses are', maxNewTokens: 0, promptLogprobs: 1 })
    expect(tokens.join('')).toBe('Roses are')
    expect(token_logprobs).toEqual(promptLogprobs!.map((each) => each?.logprob ?? null))
    expect(top_logprobs![0]).toBeNull()
    expect(text_offset).toEqual(tokens.map((_, i) => tokens.slice(0, i).join('').length))
  })

  it('answer lm-evaluation-harness: what a choice is worth, and whether it would have been written', async () => {
    const tokenizer = (await model.tokenizer())!
    const context = tokenizer.encodePrompt('Roses are')
    const greedy = (await generate(model, { prompt: 'Roses are', maxNewTokens: 2 })).ids
    const prompt = [
      [...context, ...greedy],
      [...context, ...tokenizer.encode('é')],
    ]
    const request = { prompt, temperature: 0, max_tokens: 1, logprobs: 1, seed: 1234, echo: true }
    // The token behind the prompt is left out by the harness, so it must always be there, at the end of a text too.
    for (const end of [{}, { stop_token_ids: [...Array(358).keys()] }]) {
      const { choices } = await complete({ ...request, ...end })
      const scores = choices.map(({ logprobs }, i) => {
        const found = logprobs!.token_logprobs.slice(context.length, -1)
        expect(found).toHaveLength(prompt[i]!.length - context.length)
        const tops = logprobs!.top_logprobs!.slice(context.length, -1)
        return { sum: found.reduce<number>((a, b) => a + b!, 0), greedy: found.every((x, k) => x === Math.max(...Object.values(tops[k]!))) } // prettier-ignore
      })
      expect(scores.map((score) => score.greedy)).toEqual([true, false])
      const { promptLogprobs } = await generate(model, { inputIds: prompt[0]!, maxNewTokens: 0, promptLogprobs: 0 })
      const own = promptLogprobs!.slice(context.length).reduce((sum, each) => sum + each!.logprob, 0)
      expect(scores[0]!.sum).toBeCloseTo(own, 3)
    }
  })

  it('stream', async () => {
    const whole = await complete({ prompt: 'Roses', echo: true })
    const response = await served.post('/v1/completions', {
      prompt: 'Roses',
      temperature: 0,
      max_tokens: 6,
      echo: true,
      stream: true,
    })
    const chunks = (await events(response)).slice(0, -1).map((each) => completionAnswer.strict().parse(JSON.parse(each)))
    expect(chunks.map(({ choices }) => choices[0]!.text).join('')).toBe(whole.choices[0]!.text)
    expect(chunks.at(-1)!.choices[0]!.finish_reason).toBe('length')
  })

  it.each([
    [{ prompt: 'a'.repeat(70_000) }, 'prompt'],
    [{ prompt: [] }, 'prompt'],
    [{ prompt: [[1], ['a']] }, 'prompt[1][0]'],
    [{ prompt: [400] }, 'prompt'],
    [{ prompt: 'a', suffix: 'b' }, 'suffix'],
    [{ prompt: 'a', best_of: 3 }, 'best_of'],
    [{ prompt: 'a', max_tokens: 0 }, 'max_tokens'],
    [{ prompt: 'a', logprobs: 6 }, 'logprobs'],
    [{ prompt: 'a', echo: true, logprobs: 1, stream: true }, 'stream'],
  ])('refuse %j', async (body, param) => {
    const response = await served.post('/v1/completions', body)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { param } })
  })
})

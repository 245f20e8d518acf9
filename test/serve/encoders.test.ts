/** @file Models with a head over HTTP: what the library says of the same rows. */
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { addLora, embed, loadAdapter, loadModel, predict, type AnswerPrediction, type TagsPrediction } from '../../src/index.js'
import { createServer, type Server } from '../../src/serve/index.js'
import {
  answerAnswer,
  classifyAnswer,
  embeddingsAnswer,
  rerankAnswer,
  tokenClassifyAnswer,
} from '../../src/serve/schemas/encoders.js'
import { work } from './served.js'

const fixtures = resolve(import.meta.dirname, '../fixtures')
const open = (name: string) => loadModel(join(fixtures, name), { threads: 1 })
const ask = async (server: Server, path: string, body: object): Promise<{ status: number; json: unknown }> => {
  const response = await server.fetch(new Request(`http://localhost${path}`, { method: 'POST', body: JSON.stringify(body) }))
  return { status: response.status, json: await response.json() }
}
const of = async <T extends z.ZodType>(schema: T, server: Server, path: string, body: object): Promise<z.infer<T>> => {
  const { status, json } = await ask(server, path, body)
  expect(status, JSON.stringify(json)).toBe(200)
  return schema.parse(json)
}
const texts = ['the soup was cold', 'a fine day']

describe('embeddings', async () => {
  const model = await open('sentence/bert')
  const server = await createServer(model)

  it('are those of the library', async () => {
    await server.warmUp()
    const own = await embed(model, texts)
    const { data, usage } = await of(embeddingsAnswer, server, '/v1/embeddings', { input: texts })
    expect(data.map(({ embedding }) => embedding)).toEqual(own.map((vector) => Array.from(vector)))
    expect(usage.total_tokens).toBe(usage.prompt_tokens)
    const width = own[0]!.length
    expect((await ask(server, '/v1/embeddings', { input: 'a', dimensions: width })).status).toBe(200)
    const cases = [[{ input: 'a', dimensions: width - 1 }, 'dimensions'], [{ input: [1, 2] }, 'input'], [{ input: [] }, 'input']] as const // prettier-ignore
    for (const [body, param] of cases)
      expect(await ask(server, '/v1/embeddings', body)).toMatchObject({ status: 400, json: { error: { param } } })
  })

  it('put documents in order', async () => {
    const own = await embed(model, [texts[0]!, texts[1]!, texts[0]!])
    const cosine = own[0]!.reduce((sum, x, i) => sum + x * own[1]![i]!, 0) / (Math.hypot(...own[0]!) * Math.hypot(...own[1]!))
    const { results } = await of(rerankAnswer, server, '/v1/rerank', {
      query: texts[0],
      documents: [texts[1], { text: texts[0] }],
    })
    expect(results.map(({ index }) => index)).toEqual([1, 0])
    expect(results[0]!.relevance_score).toBeCloseTo(1, 5)
    expect(results[1]!.relevance_score).toBeCloseTo(cosine, 5)
    const one = await of(rerankAnswer, server, '/rerank', { query: 'a', documents: texts, top_n: 1, return_documents: false })
    expect([one.results.length, 'document' in one.results[0]!]).toEqual([1, false])
  })

  it('write no text', async () => {
    expect(await ask(server, '/v1/chat/completions', { messages: [{ role: 'user', content: 'a' }] })).toMatchObject({
      status: 400,
      json: { error: { code: 'wrong_task' } },
    })
    expect(await ask(server, '/v1/classify', { input: 'a' })).toMatchObject({
      status: 400,
      json: { error: { code: 'wrong_task' } },
    })
  })
})

describe('classes', () => {
  it('of one label and of several, and numbers', async () => {
    for (const name of ['classes', 'several-labels', 'number']) {
      const model = await open(`predict/${name}`)
      const server = await createServer(model)
      const own = await predict(model, texts)
      const { data } = await of(classifyAnswer, server, '/v1/classify', { input: texts })
      data.forEach((found, i) => {
        const said = own[i]!
        if ('value' in said) return expect(found).toMatchObject({ label: null, probs: [said.value].flat() })
        const { scores } = said as unknown as { scores: { label: string; score: number }[] }
        expect(found.label).toBe(scores[0]!.label)
        scores.forEach(({ label, score }) => expect(found.probs[model.task.labels.indexOf(label)]).toBe(score))
        return expect(found.num_classes).toBe(scores.length)
      })
      expect(data.some((found) => 'labels' in found)).toBe(name === 'several-labels')
    }
  })

  it('relevance is the sigmoid of a model of pairs with one output', async () => {
    const model = await open('predict/number')
    const server = await createServer(model)
    const [said] = (await predict(model, [{ text: 'a', text_pair: texts[0]! }])) as [{ value: number }]
    const { results } = await of(rerankAnswer, server, '/v1/rerank', { query: 'a', documents: [texts[0]] })
    expect(results[0]!.relevance_score).toBeCloseTo(1 / (1 + Math.exp(-said.value)), 6)
    const two = await createServer(await open('predict/classes'))
    expect(await ask(two, '/v1/rerank', { query: 'a', documents: ['b'] })).toMatchObject({ status: 400 })
  })

  it('tags and answers', async () => {
    const tagger = await open('predict/tags')
    const tags = (await predict(tagger, texts)) as TagsPrediction[]
    const { data } = await of(tokenClassifyAnswer, await createServer(tagger), '/v1/token-classify', { input: texts })
    expect(data).toEqual(tags.map((each, index) => ({ index, ...each })))
    const reader = await open('predict/answers')
    const row = { question: 'how was the soup', context: 'the soup was cold and the day was fine' }
    const [found] = (await predict(reader, [row], { topK: 2 })) as [AnswerPrediction]
    const said = await of(answerAnswer, await createServer(reader), '/v1/answer', { ...row, top_k: 2 })
    expect(said).toMatchObject({ ...found })
  })
})

it('adapters of a head are models too, and wait for each other', async () => {
  const model = await open('predict/classes')
  const adapter = await addLora(model, { r: 2, alpha: 64, initLoraWeights: false })
  const path = join(work, 'adapters', 'moods')
  await adapter.save(path)
  const server = await createServer(model, {
    adapters: { moods: path },
    loadAdapter: (base, from) => loadAdapter(base, from),
    maxQueue: 1,
  })
  await server.warmUp()
  const own = (await predict(await loadAdapter(model, path), texts)) as unknown as {
    label: string
    scores: { score: number }[]
  }[]
  const probs = async (body: object): Promise<number[]> =>
    (await of(classifyAnswer, server, '/v1/classify', { input: texts, ...body })).data.map((each) => Math.max(...each.probs))
  const adapted = await probs({ model: 'moods' })
  adapted.forEach((each, i) => expect(each).toBeCloseTo(own[i]!.scores[0]!.score, 5))
  expect(await probs({})).not.toEqual(adapted)
  const both = await Promise.all([probs({ model: 'moods' }), probs({})])
  expect(both[0]).toEqual(adapted)
  const many = await Promise.all(Array.from({ length: 5 }, () => ask(server, '/v1/classify', { input: texts })))
  expect(many.map(({ status }) => status).sort()).toEqual([200, 200, 429, 429, 429])
  await server.close()
  expect((await ask(server, '/v1/classify', { input: 'a' })).status).toBe(503)
})

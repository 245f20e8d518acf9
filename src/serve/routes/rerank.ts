/** @file POST /v1/rerank, as Jina and Cohere have it. */
import { embed, predict } from '../../public.js'
import { checkTask, countTokens, encode, encoderUsage } from '../encode/encode.js'
import { invalidRequest } from '../http/api-error.js'
import { defineRoute, type Exchange } from '../http/route.js'
import { rerankAnswer, rerankRequest, type RerankRequest } from '../schemas/encoders.js'
import { newId } from '../text/answer-header.js'

export const rerank = defineRoute({
  method: 'post',
  path: '/v1/rerank',
  aliases: ['/rerank', '/v1/reranking', '/reranking'],
  summary:
    'Documents in the order of their relevance to a query: by a model of pairs with one output, or by cosines of embeddings.',
  body: rerankRequest,
  answer: { json: rerankAnswer },
  async handle(exchange) {
    const { service, body } = exchange
    const { task } = service.model
    checkTask(service, ['sequence-classification', 'feature-extraction'])
    if (task.name === 'sequence-classification' && task.numLabels !== 1)
      throw invalidRequest(
        `${service.modelName} has ${task.numLabels} classes; a model that tells relevance has one output.`,
        'model',
      )
    const documents = body.documents.map((each) => (typeof each === 'string' ? each : each.text))
    const scores = await (task.name === 'feature-extraction' ? cosines : relevances)(exchange, documents)
    const results = documents
      .map((text, index) => ({
        index,
        ...(body.return_documents !== false && { document: { text } }),
        relevance_score: scores[index]!,
      }))
      .sort((a, b) => b.relevance_score - a.relevance_score)
      .slice(0, body.top_n)
    return Response.json({
      ...{ id: newId('rerank'), model: body.model ?? service.modelName, results },
      usage: encoderUsage(exchange),
    })
  },
})

type RerankExchange = Exchange<RerankRequest>

/** The sigmoid of the model's output for each pair, as sentence-transformers' CrossEncoder has it for one output. */
async function relevances(exchange: RerankExchange, documents: readonly string[]): Promise<number[]> {
  const { query } = exchange.body
  countTokens(exchange, documents.map((text) => [query, text])) // prettier-ignore
  const pairs = documents.map((text) => ({ text: query, text_pair: text }))
  const found = await encode(exchange, (subject, signal) => predict(subject, pairs, { signal, problemType: 'regression' }))
  return found.map((prediction) => 1 / (1 + Math.exp(-(prediction as { readonly value: number }).value)))
}

async function cosines(exchange: RerankExchange, documents: readonly string[]): Promise<number[]> {
  const texts = [exchange.body.query, ...documents]
  countTokens(exchange, texts.map((text) => [text])) // prettier-ignore
  const [query, ...others] = await encode(exchange, (subject, signal) => embed(subject, texts, { signal }))
  return others.map((vector) => dot(query!, vector) / Math.sqrt(dot(query!, query!) * dot(vector, vector)))
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0)

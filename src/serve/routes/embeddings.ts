/** @file POST /v1/embeddings. */
import { embed } from '../../public.js'
import { checkTask, countTokens, encode, encoderUsage } from '../encode/encode.js'
import { invalidRequest } from '../http/api-error.js'
import { defineRoute } from '../http/route.js'
import { embeddingsAnswer, embeddingsRequest } from '../schemas/encoders.js'
import { promptList, type PromptField } from '../text/plain-prompts.js'

export const embeddings = defineRoute({
  method: 'post',
  path: '/v1/embeddings',
  aliases: ['/embeddings'],
  summary: 'The vectors of texts.',
  body: embeddingsRequest,
  answer: { json: embeddingsAnswer },
  async handle(exchange) {
    const { service, body } = exchange
    checkTask(service, ['feature-extraction'])
    const texts = textsOf(body.input)
    countTokens(exchange, texts.map((text) => [text])) // prettier-ignore
    const { prompt_name: promptName, dimensions } = body
    const vectors = await encode(exchange, (subject, signal) =>
      embed(subject, texts, { signal, ...(promptName !== undefined && { promptName }) }),
    )
    const width = vectors[0]!.length
    if (dimensions !== undefined && dimensions !== width)
      throw invalidRequest(
        `\`dimensions\` must be ${width}, the width of ${service.modelName}'s vectors, or left out.`,
        'dimensions',
      )
    return Response.json({
      object: 'list',
      data: vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: body.encoding_format === 'base64' ? base64(vector) : Array.from(vector),
      })),
      model: body.model ?? service.modelName,
      usage: encoderUsage(exchange),
    })
  },
})

/** @throws ApiError 400 for tokens: clients make them with a vocabulary that is not this model's */
function textsOf(input: PromptField): readonly string[] {
  const list = promptList(input)
  if (list.every((each): each is string => typeof each === 'string')) return list
  throw invalidRequest(
    '`input` must be text: this server makes tokens itself, by the vocabulary of its model (langchain for Python: check_embedding_ctx_length=False).',
    'input',
  )
}

/** float32, little-endian. */
function base64(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.length * 4)
  const view = new DataView(bytes.buffer)
  vector.forEach((value, i) => view.setFloat32(i * 4, value, true))
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}

/** @file POST /v1/token-classify: tags and entities. */
import { predict, type TagsPrediction } from '../../public.js'
import { checkTask, countTokens, encode, encoderUsage } from '../encode/encode.js'
import { defineRoute } from '../http/route.js'
import { tokenClassifyAnswer, tokenClassifyRequest } from '../schemas/encoders.js'
import { newId, secondsNow } from '../text/answer-header.js'

export const tokenClassify = defineRoute({
  method: 'post',
  path: '/v1/token-classify',
  summary: 'The tags of words, and the entities that they make; places are UTF-16 units.',
  body: tokenClassifyRequest,
  answer: { json: tokenClassifyAnswer },
  async handle(exchange) {
    const { service, body } = exchange
    checkTask(service, ['token-classification'])
    const texts = typeof body.input === 'string' ? [body.input] : body.input
    countTokens(exchange, texts.map((text) => [text])) // prettier-ignore
    const found = await encode(exchange, (subject, signal) => predict(subject, texts, { signal }))
    return Response.json({
      ...{ id: newId('tags'), object: 'list', created: secondsNow() },
      model: body.model ?? service.modelName,
      data: found.map((prediction, index) => ({ index, ...(prediction as TagsPrediction) })),
      usage: encoderUsage(exchange),
    })
  },
})

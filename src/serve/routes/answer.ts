/** @file POST /v1/answer: a question about a text. */
import { predict, type AnswerPrediction } from '../../public.js'
import { checkTask, countTokens, encode, encoderUsage } from '../encode/encode.js'
import { defineRoute } from '../http/route.js'
import { answerAnswer, answerRequest } from '../schemas/encoders.js'
import { newId } from '../text/answer-header.js'
import { given } from '../text/text-options.js'

export const answer = defineRoute({
  method: 'post',
  path: '/v1/answer',
  summary: 'The stretch of a text that answers a question; places are UTF-16 units.',
  body: answerRequest,
  answer: { json: answerAnswer },
  async handle(exchange) {
    const { service, body } = exchange
    checkTask(service, ['question-answering'])
    const { question, context, top_k: topK, max_answer_length: maxAnswerLength } = body
    countTokens(exchange, [[question, context]])
    const [found] = await encode(exchange, (subject, signal) =>
      predict(subject, [{ question, context }], { signal, ...given({ topK, maxAnswerLength }) }),
    )
    return Response.json({
      ...{ id: newId('answer'), model: body.model ?? service.modelName },
      ...(found as AnswerPrediction),
      usage: encoderUsage(exchange),
    })
  },
})

/** @file POST /v1/classify, as vLLM has it. */
import { predict, type Prediction, type Task } from '../../public.js'
import { checkTask, countTokens, encode, encoderUsage } from '../encode/encode.js'
import { defineRoute } from '../http/route.js'
import { classifyAnswer, classifyRequest } from '../schemas/encoders.js'
import { newId, secondsNow } from '../text/answer-header.js'

export const classify = defineRoute({
  method: 'post',
  path: '/v1/classify',
  aliases: ['/classify'],
  summary: 'The classes of texts.',
  body: classifyRequest,
  answer: { json: classifyAnswer },
  async handle(exchange) {
    const { service, body } = exchange
    checkTask(service, ['sequence-classification'])
    const texts = typeof body.input === 'string' ? [body.input] : body.input
    countTokens(exchange, texts.map((text) => [text])) // prettier-ignore
    const found = await encode(exchange, (subject, signal) => predict(subject, texts, { signal }))
    return Response.json({
      ...{ id: newId('classify'), object: 'list', created: secondsNow() },
      model: body.model ?? service.modelName,
      data: found.map((prediction, index) => ({ index, ...view(prediction, service.model.task) })),
      usage: encoderUsage(exchange),
    })
  },
})

function view(prediction: Prediction, { labels: names, numLabels }: Task) {
  if ('value' in prediction) {
    const probs = [prediction.value].flat()
    return { label: null, probs, num_classes: probs.length }
  }
  if (!('scores' in prediction)) throw new Error('internal: a prediction without classes')
  const byLabel = new Map(prediction.scores.map(({ label, score }) => [label, score]))
  const probs = Array.from({ length: numLabels }, (_, i) => byLabel.get(names[i] ?? `LABEL_${i}`)!)
  return {
    label: prediction.scores[0]!.label,
    ...('labels' in prediction && { labels: prediction.labels }),
    probs,
    num_classes: numLabels,
  }
}

/**
 * @file A classifier on a pretrained model that has none: a fresh head, trained with the adapter and merged.
 *
 *     npx tsx examples/classifier.ts MODEL train.jsonl valid.jsonl OUT     rows {"text", "label"}
 */
import { addLora, collectLabels, evaluate, loadModel, merge, train } from '../src/index.js'

const [path, data, evalData, out] = process.argv.slice(2)
if (path === undefined || data === undefined || evalData === undefined || out === undefined)
  throw new Error('usage: classifier.ts MODEL TRAIN VALID OUT')

const say = (line: string): boolean => process.stdout.write(`${line}\n`)
const task = 'sequence-classification'
const labels = await collectLabels(data, { task })
await using model = await loadModel(path, { task, ...labels })
say(`${model.task.numLabels} labels: ${model.task.labels.slice(0, 5).join(', ')}`)

const maxLength = Math.min(128, model.maxPositions)
const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: 'all-linear' })
for await (const event of train(adapter, { data, evalData, out, learningRate: 5e-4, epochs: 3, maxLength })) {
  if (event.event === 'step' && event.step % 20 === 0) say(`step ${event.step}  loss ${event.loss.toFixed(4)}`)
  if (event.event === 'eval') say(`evaluation: accuracy ${event.accuracy?.toFixed(3)}`)
}
say(JSON.stringify(await evaluate(adapter, { data: evalData, maxLength })))
await merge(adapter).save(`${out}-merged`)

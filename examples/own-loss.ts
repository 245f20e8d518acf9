/**
 * @file A loss of one's own, built from operators: Huber's loss (1964) for numbers in texts, where outliers must not rule.
 *
 *     npx tsx examples/own-loss.ts [MODEL]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addLora, evaluate, loadModel, train, type LossFunction } from 'lowrank'

const [path = 'demo/base'] = process.argv.slice(2)
const folder = await mkdtemp(join(tmpdir(), 'lowrank-'))
const data = join(folder, 'rows.jsonl')
const words = ['cold', 'cool', 'mild', 'warm', 'hot']
const rows = words.flatMap((word, i) =>
  ['north', 'coast', 'hills'].map((place) => ({ text: `${word} in the ${place}`, target: i / 2 })),
)
// A row that somebody mistyped.
rows.push({ text: 'mild in the valley', target: 40 })
await writeFile(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))

/** Half the square of the error up to 1, its size less one half beyond. `target` is a field of the rows. */
const huber: LossFunction = (b, { logits }, inputs) => {
  const target = b.unsqueeze(inputs('target'), [1])
  const error = b.abs(b.sub(logits!, target))
  const each = b.where(b.less(error, 1), b.mul(b.mul(error, error), 0.5), b.sub(error, 0.5))
  return { loss: b.sumAll(each), count: b.cast(b.squeeze(b.dim('batch'), [0]), 'float32') }
}

// One output a row; the head is new and trained with the adapter.
await using model = await loadModel(path, { task: 'sequence-classification', numLabels: 1 })
const adapter = await addLora(model, { r: 4, targetModules: 'all-linear', seed: 1 })
process.stdout.write(`loss before: ${(await evaluate(adapter, { data, loss: huber })).loss.toFixed(3)}\n`)
for await (const event of train(adapter, { data, loss: huber, steps: 40, batchSize: 8, learningRate: 3e-3 }))
  if (event.event === 'step' && event.step % 10 === 0) process.stdout.write(`step ${event.step}: loss ${event.loss.toFixed(3)}\n`)
process.stdout.write(`loss after: ${(await evaluate(adapter, { data, loss: huber })).loss.toFixed(3)}\n`)
await rm(folder, { recursive: true })

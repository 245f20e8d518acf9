/**
 * @file Texts to vectors: teach an embedding model which texts belong together, and search by the cosine.
 *
 *     npx tsx examples/embed-and-search.ts [MODEL]     an encoder, or the body of a decoder
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addLora, embed, loadModel, train } from 'lowrank'

const [path = 'demo/base'] = process.argv.slice(2)
const pairs = [
  ['rain all day', 'weather: wet'],
  ['a cold morning', 'weather: frost'],
  ['pizza and pasta', 'food: Italian'],
  ['soup and noodles', 'food: Thai'],
  ['the train is late', 'travel: delay'],
  ['a ticket to the coast', 'travel: journey'],
] as const

const folder = await mkdtemp(join(tmpdir(), 'lowrank-'))
const data = join(folder, 'pairs.jsonl')
await writeFile(data, pairs.map(([text, text_pair]) => `${JSON.stringify({ text, text_pair })}\n`).join(''))

await using model = await loadModel(path, { task: 'feature-extraction' })
const adapter = await addLora(model, { r: 8, targetModules: 'all-linear' })
// Each text is to be nearer to its partner than to those of the other rows of its batch.
for await (const event of train(adapter, { data, steps: 30, batchSize: pairs.length, learningRate: 3e-3 }))
  if (event.event === 'step' && event.step % 10 === 0) process.stdout.write(`step ${event.step}: loss ${event.loss.toFixed(3)}\n`)

const index = await embed(
  adapter,
  pairs.map(([, text]) => text),
)
const queries = await embed(
  adapter,
  pairs.map(([query]) => query),
)
const cosine = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0) / (Math.hypot(...a) * Math.hypot(...b))
queries.forEach((asked, i) => {
  const scores = index.map((vector) => cosine(vector, asked))
  process.stdout.write(`${pairs[i]![0]} -> ${pairs[scores.indexOf(Math.max(...scores))]![1]}\n`)
})
await rm(folder, { recursive: true })

/**
 * @file Texts to vectors: teach an embedding model which texts belong together, and search by the cosine.
 *
 *     npx tsx examples/embed-and-search.ts [MODEL]     an encoder, or the body of a decoder
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addLora, forward, loadModel, train, type Adapter } from 'lowrank'
import { int64 } from 'lowrank/graph'

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
const tokenizer = await model.tokenizer()
if (tokenizer === undefined) throw new Error(`${path} has no tokenizer`)
const adapter = await addLora(model, { r: 8, targetModules: 'all-linear' })
// Each text is to be nearer to its partner than to those of the other rows of its batch.
for await (const event of train(adapter, { data, steps: 30, batchSize: pairs.length, learningRate: 3e-3 }))
  if (event.event === 'step' && event.step % 10 === 0) process.stdout.write(`step ${event.step}: loss ${event.loss.toFixed(3)}\n`)

/** The mean of a text's states [1, tokens, hidden], of length 1. */
async function embed(subject: Adapter, text: string): Promise<Float32Array> {
  const ids = tokenizer!.encode(text)
  const { last_hidden_state: states } = await forward(subject, { input_ids: int64([1, ids.length], ids) })
  const width = states!.shape[2]!
  const vector = new Float32Array(width)
  ;(states!.data as Float32Array).forEach((value, i) => (vector[i % width]! += value / ids.length))
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

const index = await Promise.all(pairs.map(async ([, text]) => ({ text, vector: await embed(adapter, text) })))
for (const [query] of pairs) {
  const asked = await embed(adapter, query)
  const score = (vector: Float32Array): number => vector.reduce((sum, value, i) => sum + value * asked[i]!, 0)
  const [best] = index.toSorted((a, b) => score(b.vector) - score(a.vector))
  process.stdout.write(`${query} -> ${best!.text}\n`)
}
await rm(folder, { recursive: true })

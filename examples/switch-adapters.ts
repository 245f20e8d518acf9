/**
 * @file Two adapters on one model: switched without a new session, mixed, and both in one batch.
 *
 *     npx tsx examples/switch-adapters.ts [MODEL]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdapterSet, addLora, generate, generateBatch, loadModel, train, type Adapter } from 'lowrank'

const [path = 'demo/base'] = process.argv.slice(2)
const say = (line: string): boolean => process.stdout.write(`${line}\n`)
const folder = await mkdtemp(join(tmpdir(), 'lowrank-'))
await using model = await loadModel(path)

/** An adapter that answers every greeting in one way. */
async function taught(name: string, answer: string): Promise<Adapter> {
  const data = join(folder, `${name}.jsonl`)
  const rows = ['hello', 'good day', 'hi there'].map((prompt) => ({ prompt: `${prompt}\n`, completion: answer }))
  await writeFile(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const adapter = await addLora(model, { r: 4, alpha: 8, targetModules: 'all-linear' })
  for await (const _ of train(adapter, { data, steps: 30, learningRate: 5e-3 }));
  return adapter
}

const adapters = new AdapterSet(model, { targetModules: 'all-linear' })
await adapters.add('sailor', await taught('sailor', 'Ahoy.'))
await adapters.add('clerk', await taught('clerk', 'Next please.'))

const prompt = 'hello\n'
for (const name of adapters.names) {
  adapters.setAdapter(name)
  say(`${name}: ${(await generate(adapters, { prompt, maxNewTokens: 12 })).text}`)
}

// Rows of one batch have adapters of their own; null is the base model.
const rows = ['clerk', 'sailor', null].map((adapter) => ({ prompt, adapter }))
const texts = await generateBatch(adapters, rows, { maxNewTokens: 12 })
say(
  `in one batch: ${texts
    .slice(0, 2)
    .map(({ text }) => text)
    .join(' | ')}`,
)

// Half of one: beside its own alpha, each counts by a scale.
adapters.setAdapter('sailor')
adapters.setScale('sailor', 0)
say(
  `scaled to nothing: the base says ${(await generate(adapters, { prompt, maxNewTokens: 12 })).text === texts[2]!.text ? 'the same' : 'something else'}`,
)
await rm(folder, { recursive: true })

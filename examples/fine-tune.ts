/**
 * @file Fine-tune a language model on rows, look at what it says, and keep the adapter.
 *
 *     npx tsx examples/fine-tune.ts [MODEL] [OUT]     a folder or hub id of a language model, and a folder to write
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { addLora, evaluate, generate, loadModel, train } from 'lowrank'

const [path = 'demo/base', out = 'out/fine-tune'] = process.argv.slice(2)
const say = (line: string): boolean => process.stdout.write(`${line}\n`)

// Rows of fields and a sentence; a real file has thousands.
const foods = ['Thai', 'Greek', 'French', 'Indian', 'Polish', 'Korean']
const places = ['Blue Inn', 'Old Mill', 'Red Barn', 'Corner Room', 'Green Door']
const rows = places.flatMap((name) =>
  foods.map((food) => ({ prompt: `name: ${name} | food: ${food}\n`, completion: `At ${name} they cook ${food} food.` })),
)
await mkdir(out, { recursive: true })
const data = `${out}.jsonl`
await writeFile(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))

await using model = await loadModel(path)
const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: 'all-linear' })
const prompt = 'name: Silver Fox | food: Greek\n'
say(`loss before: ${(await evaluate(adapter, { data })).loss.toFixed(3)}`)
for await (const event of train(adapter, { data, out, overwrite: true, steps: 40, learningRate: 3e-3, seed: 1 }))
  if (event.event === 'step' && event.step % 10 === 0) say(`step ${event.step}: loss ${event.loss.toFixed(3)}`)
say(`loss after: ${(await evaluate(adapter, { data })).loss.toFixed(3)}`)
say(`text: ${(await generate(adapter, { prompt, maxNewTokens: 24 })).text}`)
say(`PEFT reads ${out}`)

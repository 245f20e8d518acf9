/**
 * @file A classifier on a pretrained model that has none: a fresh head, trained with the adapter, evaluated, asked and merged.
 *
 *     npx tsx examples/classify.ts [MODEL] [OUT]
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { addLora, collectLabels, evaluate, loadModel, merge, predict, train } from 'lowrank'

const [path = 'demo/base', out = 'out/classify'] = process.argv.slice(2)
const say = (line: string): boolean => process.stdout.write(`${line}\n`)

// Rows {"text", "label"}; those to evaluate on are of people that training does not know.
const sentences: Readonly<Record<string, (name: string) => string>> = {
  praise: (name) => `${name} says the food was lovely and came at once`,
  complaint: (name) => `${name} says the soup was cold and nobody came`,
  question: (name) => `${name} asks when we open and if there is parking`,
}
const rowsOf = (names: readonly string[]): string =>
  names
    .flatMap((name) => Object.entries(sentences).map(([label, text]) => `${JSON.stringify({ text: text(name), label })}\n`))
    .join('')
await mkdir(out, { recursive: true })
const [data, evalData] = [`${out}-train.jsonl`, `${out}-valid.jsonl`]
await writeFile(data, rowsOf(['Ada', 'Ben', 'Carla', 'Dan', 'Eve', 'Finn']))
await writeFile(evalData, rowsOf(['Greta', 'Hugo']))

const task = 'sequence-classification'
const labels = await collectLabels(data, { task })
await using model = await loadModel(path, { task, ...labels })
say(`labels: ${model.task.labels.join(', ')}`)

const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: 'all-linear' })
for await (const event of train(adapter, { data, evalData, out, overwrite: true, steps: 30, evalEvery: 10, learningRate: 3e-3 }))
  if (event.event === 'eval') say(`after ${event.step} steps: loss ${event.loss.toFixed(3)}, accuracy ${event.accuracy}`)
say(`accuracy: ${(await evaluate(adapter, { data: evalData })).accuracy}`)
const texts = Object.values(sentences).map((sentence) => sentence('Ida'))
for (const [i, said] of (await predict(adapter, texts)).entries())
  if ('label' in said) say(`${said.label} (${said.score.toFixed(3)}): ${texts[i]}`)
await merge(adapter).save(`${out}-merged`, { overwrite: true })
say(`transformers reads ${out}-merged`)

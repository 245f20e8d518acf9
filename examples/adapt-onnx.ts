/**
 * @file Adapt an .onnx file: LoRA on the layers of a graph that somebody exported, and the file written anew.
 *
 *     npx tsx examples/adapt-onnx.ts [FILE] [OUT]     a classifier of images [2, 8, 8] with three classes
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { addLora, evaluate, inspect, loadModel, merge, train } from 'lowrank'

const [path = 'test/fixtures/onnx/cnn.onnx', out = 'out/adapted.onnx'] = process.argv.slice(2)
const say = (line: string): boolean => process.stdout.write(`${line}\n`)

const found = await inspect(path)
say(`layers: ${found.modules.map(({ name }) => name).join(', ')}`)

// Stripes that lie, stand or lean, each shifted: a row has the graph's input by its name, channels first.
const stripe: readonly ((x: number, y: number) => number)[] = [(_, y) => y, (x) => x, (x, y) => x + y]
const rows = stripe.flatMap((along, label) =>
  [0, 1, 2, 3].map((shift) => {
    const plane = Array.from({ length: 8 }, (_, y) =>
      Array.from({ length: 8 }, (_, x) => ((along(x, y) + shift) % 4 < 2 ? 1 : -1)),
    )
    return { x: [plane, plane.map((line) => line.map((value) => -value))], label }
  }),
)
await mkdir(dirname(out), { recursive: true })
const data = `${out}.jsonl`
await writeFile(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))

await using model = await loadModel(path, { task: 'classification' })
const adapter = await addLora(model, { r: 2, alpha: 4, targetModules: [...model.modules.keys()] })
say(`loss before: ${(await evaluate(adapter, { data })).loss.toFixed(3)}`)
for await (const event of train(adapter, { data, steps: 60, batchSize: 12, learningRate: 1e-2 }))
  if (event.event === 'step' && event.step % 20 === 0) say(`step ${event.step}: loss ${event.loss.toFixed(3)}`)
const { loss, accuracy } = await evaluate(adapter, { data })
say(`loss after: ${loss.toFixed(3)}, accuracy ${accuracy}`)

await merge(adapter).save(out, { overwrite: true })
await using merged = await loadModel(out, { task: 'classification' })
say(`of the merged file: ${(await evaluate(merged, { data })).loss.toFixed(3)}`)

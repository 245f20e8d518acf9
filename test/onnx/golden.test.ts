/** @file The golden exports through the public functions: a file opened, PEFT's adapter loaded, loss, logits and gradients. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loraBName } from '../../src/adapters/lora.js'
import { loraDefaults } from '../../src/adapters/lora-fields.js'
import { writeAdapterFolder } from '../../src/formats/peft.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { evaluate, loadAdapter, loadModel, type TaskOption } from '../../src/index.js'
import type { HostTensor } from '../../src/graph/types.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { chooseObjective, openTaskDataset } from '../../src/train/open-dataset.js'
import { GradientSession } from '../../src/train/gradient-session.js'
import { lossOptions } from '../../src/train/step-graph.js'
import { adapterTrainee } from '../../src/train/trainee.js'
import { hostTensor, relativeError, rowsOf, tensorsOf } from '../models/golden.js'

const root = ['test/fixtures/golden/onnx', '../shared/golden/onnx'].find((path) => existsSync(path))
const networks: Readonly<Record<string, TaskOption | undefined>> = {
  bert: undefined, // told by `input_ids` and `logits` [batch, classes]
  conv1d: 'classification',
  conv2d: 'classification',
  conv3d: 'classification',
  distilbert: 'sequence-classification',
  // The cases' loss is not shifted.
  gpt2: 'token-classification',
  llama: 'token-classification',
  qwen3: 'token-classification',
  roberta: undefined,
  vit: undefined,
}
const cases = Object.entries(networks).flatMap(([network, task]) =>
  ['dynamo', 'torchscript'].map((exporter) => [`${network}-${exporter}`, task] as const),
)

interface Case {
  readonly loss: number
  readonly r: number
  readonly alpha: number
  readonly targets: readonly string[]
}

const TOLERANCE = 1e-4
/** See `test/onnx-golden.test.ts`: what the exporters multiplied into `c1`. */
const folded = JSON.parse(readFileSync('test/fixtures/onnx-folded-batchnorm.json', 'utf8')) as Record<string, number[]>

const timesRows = (values: Float32Array, factors: readonly number[] | undefined): Float32Array =>
  factors === undefined ? values : values.map((v, i) => v * factors[Math.floor((i * factors.length) / values.length)]!)

const temporary = mkdtempSync(join(tmpdir(), 'lowrank-onnx-'))
afterAll(() => rmSync(temporary, { recursive: true }))

/** The case's adapter as PEFT's folder, and its inputs and labels as rows. */
async function writeCase(name: string): Promise<{ adapter: string; data: string; rows: number }> {
  const golden = JSON.parse(readFileSync(`${root}/${name}/case.json`, 'utf8')) as Case
  const tensors = await tensorsOf(`${root}/${name}/tensors.safetensors`)
  const adapter = join(temporary, name)
  const parameters = new Map<string, HostTensor>()
  for (const key of tensors.keys()) {
    if (!key.startsWith('param.')) continue
    const target = `base_model.model.${key.slice('param.'.length).replace('.default', '')}`
    const tensor = await hostTensor(tensors, key)
    const factors = target === loraBName('c1') ? folded[name] : undefined
    parameters.set(target, { ...tensor, data: timesRows(tensor.data as Float32Array, factors) })
  }
  const config = { ...loraDefaults, r: golden.r, loraAlpha: golden.alpha, targetModules: golden.targets }
  await writeAdapterFolder(nodeFiles(), adapter, { config, tensors: parameters })
  const fields = new Map<string, unknown[]>()
  for (const key of tensors.keys()) {
    const [, field] = /^(?:input\.)?(\w+)$/.exec(key) ?? []
    if (field !== undefined && (key.startsWith('input.') || field === 'labels')) fields.set(field, rowsOf(await hostTensor(tensors, key))) // prettier-ignore
  }
  const rows = fields.get('labels')!.length
  const data = join(temporary, `${name}.jsonl`)
  const lines = Array.from({ length: rows }, (_, i) => JSON.stringify(Object.fromEntries([...fields].map(([field, of]) => [field, of[i]])))) // prettier-ignore
  writeFileSync(data, lines.join('\n'))
  return { adapter, data, rows }
}

describe.skipIf(root === undefined)('exported graphs through the public functions', () => {
  it.each(cases)('%s', async (name, task) => {
    const golden = JSON.parse(readFileSync(`${root}/${name}/case.json`, 'utf8')) as Case
    const tensors = await tensorsOf(`${root}/${name}/tensors.safetensors`)
    const { adapter: folder, data, rows } = await writeCase(name)
    const model = await loadModel(`${root}/${name}/model.onnx`, { threads: 1, ...(task && { task }) })
    const adapter = await loadAdapter(model, folder)

    const { loss } = await evaluate(adapter, { data, batchSize: rows })
    expect(Math.abs(loss / golden.loss - 1), 'loss').toBeLessThan(TOLERANCE)

    const objective = await chooseObjective(model, data, {})
    const dataset = await openTaskDataset(model, objective, data)
    const trainee = adapterTrainee(adapter)
    const session = await GradientSession.create(trainee, lossOptions(model, rows, undefined, false, objective))
    for await (const batch of dataset.batches({ batchSize: rows, shuffle: false, seed: 0, epochs: 1 })) {
      const { gradient, count } = await session.run(batch)
      let offset = 0
      for (const { name: parameter, shape } of adapter.parameters.specs) {
        const size = shape.reduce((product, dim) => product * dim, 1)
        const part = gradient.slice(offset, offset + size).map((value) => value / count)
        offset += size
        const key = parameter.replace('base_model.model.', 'grad.').replace(/(lora_\w+?)(\.weight|$)/, '$1.default$2')
        const expected = (await hostTensor(tensors, key)).data as Float32Array
        const own = timesRows(part, parameter === loraBName('c1') ? folded[name] : undefined)
        expect(relativeError(own, expected), parameter).toBeLessThan(TOLERANCE)
      }

      const attached = adapter.attach(model.build({ mode: 'full' }).graph)
      const run = await nodeRuntime({ threads: 1 }).createSession(attached.graph)
      const inputs = new Set(attached.graph.inputs.map((input) => input.name))
      const feeds = { ...batch.feeds, ...Object.fromEntries(adapter.tensors) }
      const results = await run.run(Object.fromEntries(Object.entries(feeds).filter(([input]) => inputs.has(input))))
      const logits = results[attached.graph.outputs[0]!.name]!.data as Float32Array
      expect(relativeError(logits, (await hostTensor(tensors, 'logits')).data as Float32Array), 'logits').toBeLessThan(TOLERANCE)
      await run.release()
    }
    await session.release()
  })
})

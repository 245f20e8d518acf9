/**
 * @file Exported ONNX graphs with LoRA against PyTorch and PEFT: logits, loss and every gradient, through the public functions
 * and pass by pass.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loraDefaults } from '../../src/adapters/lora-fields.js'
import { attachLora, loraAName, loraBName, type LoraTarget } from '../../src/adapters/lora.js'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { writeAdapterFolder } from '../../src/formats/peft.js'
import { float32 } from '../../src/graph/constants.js'
import type { HostTensor } from '../../src/graph/types.js'
import { evaluate, loadAdapter, loadModel, type TaskOption } from '../../src/index.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { crossEntropyLoss } from '../../src/losses/cross-entropy.js'
import { lower } from '../../src/lower/lower.js'
import { findModules } from '../../src/onnx-model/find-modules.js'
import { decodeModel } from '../../src/onnx/decode.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { GradientSession } from '../../src/train/gradient-session.js'
import { chooseObjective, openTaskDataset } from '../../src/train/open-dataset.js'
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

/**
 * The exporters folded the BatchNorm behind `c1` into its weight, and with it a factor for each channel that the file no
 * longer tells. PEFT's branch sits before that BatchNorm: it is B that the factor applies to. The factors here are those
 * that explain the case's own logits and gradients best: eight numbers for several hundred, which they meet to 2e-5.
 */
const folded = JSON.parse(readFileSync('test/fixtures/onnx-folded-batchnorm.json', 'utf8')) as Record<string, number[]>

/** Rows of B [out, r, ...] times a factor each. */
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

describe.skipIf(root === undefined)('exported graphs, pass by pass', () => {
  it.each(cases)('%s', async (name) => {
    const folder = `${root}/${name}`
    const golden = JSON.parse(readFileSync(`${folder}/case.json`, 'utf8')) as Case
    const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
    const { graph } = lower(decodeModel(new Uint8Array(readFileSync(`${folder}/model.onnx`)), { source: name }))
    const modules = findModules(graph)

    const names = [...tensors.keys()].flatMap((key) => /^param\.(.*)\.lora_A\.default\.weight$/.exec(key)?.[1] ?? [])
    const targets = names.map((module): LoraTarget => {
      expect([...modules.keys()]).toContain(module)
      return { module: modules.get(module)!, r: golden.r, alpha: golden.alpha, scale: golden.alpha / golden.r }
    })
    const selected = [...modules.keys()].filter((m) => golden.targets.some((t) => m === t || m.endsWith(`.${t}`)))
    expect(selected.sort()).toEqual([...names].sort())

    const adapted = attachLora(graph, targets, { scaling: 'graph' })
    const logits = adapted.graph.outputs[0]!
    const { graph: withLoss, loss } = crossEntropyLoss(adapted.graph, logits)
    const { graph: full, gradients } = differentiate(withLoss, loss, adapted.parameters)
    full.outputs = [logits, loss, ...gradients.values()]
    full.prune()

    const feeds: Record<string, HostTensor> = {}
    for (const input of full.inputs)
      if (tensors.has(`input.${input.name}`)) feeds[input.name] = await hostTensor(tensors, `input.${input.name}`)
    for (const module of names)
      for (const [half, input] of [
        ['A', loraAName(module)],
        ['B', loraBName(module)],
      ] as const)
        // prettier-ignore
        feeds[input] = await hostTensor(tensors, `param.${module}.lora_${half}.default.weight`)
    const factors = folded[name]
    if (factors !== undefined) {
      const B = feeds[loraBName('c1')]!
      feeds[loraBName('c1')] = { ...B, data: timesRows(B.data as Float32Array, factors) }
    }

    const session = await nodeRuntime({ threads: 1 }).createSession(full)
    const results = await session.run(feeds)
    await session.release()

    const expected = async (key: string): Promise<Float32Array> => (await hostTensor(tensors, key)).data as Float32Array
    const of = (value: string): Float32Array => results[value]!.data as Float32Array
    expect(relativeError(of(logits.name), await expected('logits')), 'logits').toBeLessThan(TOLERANCE)
    expect(Math.abs(of(loss.name)[0]! / golden.loss - 1), 'loss').toBeLessThan(TOLERANCE)
    for (const module of names)
      for (const [half, input] of [['A', loraAName(module)], ['B', loraBName(module)]] as const) // prettier-ignore
        expect(relativeError(timesRows(of(gradients.get(input)!.name), input === loraBName('c1') ? factors : undefined), await expected(`grad.${module}.lora_${half}.default.weight`)), `${module} ${half}`).toBeLessThan(TOLERANCE) // prettier-ignore
  })

  it('runs without its adapter as it did before', async () => {
    const folder = `${root}/gpt2-torchscript`
    const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
    const original = decodeModel(new Uint8Array(readFileSync(`${folder}/model.onnx`)))
    const feeds = Object.fromEntries(await Promise.all(original.inputs.map(async ({ name }) => [name, await hostTensor(tensors, `input.${name}`)] as const))) // prettier-ignore
    const { graph } = lower(original)
    const module = findModules(graph).get('transformer.h.0.attn.c_attn')!
    const adapted = attachLora(graph, [{ module, r: 0, alpha: 1, scale: 1 }], { scaling: 'graph' })
    const nothing = {
      [loraAName(module.name)]: float32([0, 32], new Float32Array()),
      [loraBName(module.name)]: float32([96, 0], new Float32Array()),
    }
    const logits = []
    for (const g of [original, adapted.graph]) {
      const session = await nodeRuntime({ threads: 1 }).createSession(g)
      logits.push(Object.values(await session.run({ ...feeds, ...nothing }))[0]!.data as Float32Array)
      await session.release()
    }
    expect(relativeError(logits[1]!, logits[0]!)).toBeLessThan(1e-6)
  })
})

/** @file LoRA layers against loralib's: outputs, every gradient, merged weights; and its formulas on further shapes. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { differentiate } from '../autodiff/differentiate.js'
import { GraphBuilder } from '../graph/builder.js'
import type { HostTensor } from '../graph/types.js'
import { nodeFiles } from '../io/node-files.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import {
  BatchNorm2d,
  buildGraph,
  Conv1d,
  Conv2d,
  Conv3d,
  Embedding,
  Linear,
  type LoraLayer,
  loadStateDict,
  markOnlyLoraAsTrainable,
  merge,
  MergedLinear,
  Predictor,
  readTensors,
  type BiasMode,
  type Module,
  type PerAxis,
} from './index.js'
import { stateFeeds } from './build.js'

interface Case {
  readonly layer: string
  readonly r: number
  readonly alpha: number
  readonly kernel?: PerAxis
  readonly stride?: PerAxis
  readonly padding?: PerAxis
  readonly dilation?: PerAxis
  readonly groups?: number
  readonly formulation?: 'loralib' | 'peft'
  readonly fan_in_fan_out?: boolean
  readonly enable_lora?: readonly boolean[]
  readonly bias_mode?: BiasMode
}

const convolutions = { Conv1d, Conv2d, Conv3d }
const runtime = nodeRuntime({ threads: 1 })
const TOLERANCE = 1e-6

function layerOf(c: Case, tensors: ReadonlyMap<string, HostTensor>): Module {
  const weight = tensors.get('param.weight')!.shape
  const lora = { r: c.r, loraAlpha: c.alpha }
  const options = { ...lora, bias: tensors.has('param.bias') }
  const [out, inner] = c.fan_in_fan_out ? [weight[1]!, weight[0]!] : [weight[0]!, weight[1]!]
  switch (c.layer) {
    case 'Linear':
      return new Linear(inner, out, { ...options, fanInFanOut: c.fan_in_fan_out ?? false })
    case 'MergedLinear':
      return new MergedLinear(inner, out, { ...options, fanInFanOut: c.fan_in_fan_out ?? false, enableLora: c.enable_lora! })
    case 'Embedding':
      return new Embedding(out, inner, lora)
    default: {
      const { stride = 1, padding = 0, dilation = 1, groups = 1, formulation = 'loralib' } = c
      const Layer = convolutions[c.layer as keyof typeof convolutions]
      return new Layer(inner * groups, out, c.kernel!, { ...options, stride, padding, dilation, groups, formulation })
    }
  }
}

function relativeError(a: HostTensor, b: HostTensor): number {
  expect(a.shape).toEqual(b.shape)
  let [difference, norm] = [0, 0]
  for (let i = 0; i < b.data.length; i++) {
    difference += (Number(a.data[i]) - Number(b.data[i])) ** 2
    norm += Number(b.data[i]) ** 2
  }
  return Math.sqrt(difference / norm)
}

/** Output and gradients of a module for a given gradient of its output. */
async function backward(module: Module, x: HostTensor, gy: HostTensor): Promise<Map<string, HostTensor>> {
  const { graph, output, inputs, builder } = buildGraph(module, [x])
  const b = new GraphBuilder(graph)
  const loss = b.sumAll(b.mul(output, b.constant(gy)))
  const wrt = [...builder.trainable.values(), ...(x.dtype === 'float32' ? inputs : [])]
  const { graph: full, gradients } = differentiate(graph, loss, wrt)
  full.outputs = [output, ...gradients.values(), ...builder.updates.values()]
  full.prune()
  const session = await runtime.createSession(full)
  const results = await session.run({ ...stateFeeds(builder, 0), input_0: x })
  await session.release()
  return new Map([
    ['y', results[output.name]!],
    ...[...gradients].map(([name, { name: g }]) => [name === 'input_0' ? 'gx' : `grad.${name}`, results[g]!] as const),
    ...[...builder.updates].map(([{ shape }, v], i) => [`update.${i}.${shape.length}`, results[v.name]!] as const),
  ])
}

/**
 * The cases of loralib were written after its `eval()`, which had added the branch to the weight in place: their
 * `param.weight` is the merged one, bit for bit, while y and the gradients are of the weight before. It is W − s·ΔW.
 */
function takeOutBranch(layer: LoraLayer, tensors: ReadonlyMap<string, HostTensor>): void {
  const saved = tensors.get('param.weight')!.data as Float32Array
  expect(saved).toEqual(tensors.get('merged.weight')!.data)
  const twice = layer.mergedWeight()
  layer.weight.data = saved.map((w, i) => w - (twice[i]! - w))
}

const load = async (folder: string): Promise<{ c: Case; tensors: Map<string, HostTensor> }> => ({
  c: JSON.parse(readFileSync(`${folder}/case.json`, 'utf8')) as Case,
  tensors: await readTensors(nodeFiles(), `${folder}/tensors.safetensors`),
})

const folders = ['loralib', 'nn'].flatMap((set) => readdirSync(`test/fixtures/golden/${set}`).map((name) => `${set}/${name}`))
const isLayer = (folder: string): boolean => {
  const { layer, formulation } = JSON.parse(readFileSync(`test/fixtures/golden/${folder}/case.json`, 'utf8')) as Case
  return layer !== undefined && layer !== 'BatchNorm2d' && (folder.startsWith('nn/') || formulation === undefined)
}

describe('LoRA layers', () => {
  it.each(folders.filter(isLayer))('%s', async (name) => {
    const { c, tensors } = await load(`test/fixtures/golden/${name}`)
    const layer = layerOf(c, tensors)
    const parameters = [...tensors].flatMap(([key, t]) => (key.startsWith('param.') ? [[key.slice(6), t] as const] : []))
    loadStateDict(layer, new Map(parameters))
    if (name.startsWith('loralib/')) takeOutBranch(layer as LoraLayer, tensors)
    markOnlyLoraAsTrainable(layer, c.bias_mode)
    const results = await backward(layer, tensors.get('x')!, tensors.get('gy')!)
    const expected = [...tensors.keys()].filter((key) => key === 'y' || key === 'gx' || key.startsWith('grad.'))
    expect([...results.keys()].sort()).toEqual(expected.sort())
    for (const key of expected) expect(relativeError(results.get(key)!, tensors.get(key)!), key).toBeLessThan(TOLERANCE)

    const predictor = new Predictor(layer, runtime)
    expect(relativeError(await predictor.run(tensors.get('x')!), tensors.get('y_eval')!)).toBeLessThan(TOLERANCE)
    await predictor.release()
    if (!tensors.has('merged.weight')) {
      expect(() => merge(layer)).toThrow(/PEFT's branch sees all input channels/)
      return
    }
    const merged = merge(layer)
    const weight = new Map(merged.namedParameters()).get('weight')!
    expect([...new Map(merged.namedParameters()).keys()].filter((path) => path.includes('lora_'))).toEqual([])
    expect(relativeError(weight, tensors.get('merged.weight')!)).toBeLessThan(TOLERANCE)
    const plain = new Predictor(merged, runtime)
    expect(relativeError(await plain.run(tensors.get('x')!), tensors.get('y_eval')!)).toBeLessThan(TOLERANCE)
    await plain.release()
  })

  it('batch normalisation: gradients through the statistics of the batch, and the running ones', async () => {
    const { tensors } = await load('test/fixtures/golden/nn/batchnorm')
    const layer = new BatchNorm2d(4)
    loadStateDict(layer, { weight: tensors.get('param.weight')!, bias: tensors.get('param.bias')! }, { strict: false })
    const results = await backward(layer, tensors.get('x')!, tensors.get('gy')!)
    for (const key of ['y', 'gx', 'grad.weight', 'grad.bias'])
      expect(relativeError(results.get(key)!, tensors.get(key)!), key).toBeLessThan(3e-6)
    expect(relativeError(results.get('update.0.1')!, tensors.get('running_mean')!)).toBeLessThan(TOLERANCE)
    expect(relativeError(results.get('update.1.1')!, tensors.get('running_var')!)).toBeLessThan(TOLERANCE)
    expect(Number(results.get('update.2.0')!.data[0])).toBe(1)
    layer.running_mean.data = tensors.get('running_mean')!.data
    layer.running_var.data = tensors.get('running_var')!.data
    const predictor = new Predictor(layer, runtime)
    expect(relativeError(await predictor.run(tensors.get('x')!), tensors.get('y_eval')!)).toBeLessThan(TOLERANCE)
    await predictor.release()
  })
})

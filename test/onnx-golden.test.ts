/** @file Exported ONNX graphs with LoRA: logits, loss and every gradient against PyTorch and PEFT. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { attachLora, loraAName, loraBName, type LoraTarget } from '../src/adapters/lora.js'
import { differentiate } from '../src/autodiff/differentiate.js'
import { findModules } from '../src/onnx-model/find-modules.js'
import { float32 } from '../src/graph/constants.js'
import type { HostTensor } from '../src/graph/types.js'
import { crossEntropyLoss } from '../src/losses/cross-entropy.js'
import { lower } from '../src/lower/lower.js'
import { decodeModel } from '../src/onnx/decode.js'
import { nodeRuntime } from '../src/runtime/ort-node.js'
import { hostTensor, relativeError, tensorsOf } from './models/golden.js'

const root = ['test/fixtures/golden/onnx', '../shared/golden/onnx'].find((path) => existsSync(path))
const networks = ['bert', 'conv1d', 'conv2d', 'conv3d', 'distilbert', 'gpt2', 'llama', 'qwen3', 'roberta', 'vit']
const cases = networks.flatMap((network) => [`${network}-dynamo`, `${network}-torchscript`])

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

describe.skipIf(root === undefined)('exported graphs against PEFT', () => {
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

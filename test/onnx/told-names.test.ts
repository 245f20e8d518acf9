/** @file What a file says, or no longer says, of its layers: norms in weights, names that an optimiser changed or dropped. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { float32, tensor } from '../../src/graph/constants.js'
import { Graph } from '../../src/graph/graph.js'
import { ints, type Node } from '../../src/graph/types.js'
import { addLora, forward, inspect, loadAdapter, loadModel, merge, type Model } from '../../src/index.js'
import { decodeModel } from '../../src/onnx/decode.js'
import { encodeModel } from '../../src/onnx/encode.js'

const temporary = mkdtempSync(join(tmpdir(), 'lowrank-told-'))
afterAll(() => rmSync(temporary, { recursive: true }))

/** `y = conv(x)`, its weight and bias called so, then a `Gemm`. */
async function network(name: string, [weight, bias]: readonly [string, string], op = 'Conv', domain = ''): Promise<Model> {
  const graph = new Graph('net')
  graph.opsets.set('', 17)
  if (domain !== '') graph.opsets.set(domain, 1)
  graph.inputs.push(graph.declare('x', 'float32', ['batch', 2, 4, 4]))
  const numbers = (size: number): Float32Array => Float32Array.from({ length: size }, (_, i) => Math.sin(i))
  graph.addInitializer(weight, float32([3, 2, 3, 3], numbers(54)))
  graph.addInitializer(bias, float32([3], numbers(3)))
  const node = (
    type: string,
    inputs: string[],
    output: string,
    path: string,
    attributes: Node['attributes'] = {},
    at = '',
  ): void => {
    graph.nodes.push({ op: type, domain: at, name: path, inputs, outputs: [output], attributes })
  }
  node(op, ['x', weight, bias], 'h', '/conv/Conv', { kernel_shape: ints([3, 3]) }, domain)
  node('GlobalAveragePool', ['h'], 'p', '/pool/GlobalAveragePool')
  node('Flatten', ['p'], 'y', '/Flatten')
  graph.outputs.push(graph.declare('y', 'float32', ['batch', 3]))
  const path = join(temporary, `${name}.onnx`)
  writeFileSync(path, encodeModel(graph))
  return loadModel(path, { threads: 1 })
}

async function warnings(model: Model, folder: string): Promise<string[]> {
  const told: string[] = []
  await loadAdapter(model, folder, { onWarning: (message) => told.push(message) })
  return told
}

describe('a BatchNorm in the weight', () => {
  const forms = {
    apart: ['conv.weight', 'conv.bias'],
    torchscript: ['onnx::Conv_12', 'onnx::Conv_13'],
    ort: ['ConvBnFusion_W_conv.weight', 'ConvBnFusion_BN_B_norm.bias'],
  } as const

  it('is said where an adapter was trained on the other form, and nowhere else', async () => {
    const models = Object.fromEntries(
      await Promise.all(Object.entries(forms).map(async ([name, names]) => [name, await network(name, names)] as const)),
    ) as Record<keyof typeof forms, Model>
    const folders = Object.fromEntries(
      await Promise.all(
        Object.entries(models).map(async ([name, model]) => {
          expect([...model.modules.keys()]).toEqual(['conv'])
          await (await addLora(model, { r: 2, targetModules: ['conv'] })).save(join(temporary, name))
          return [name, join(temporary, name)] as const
        }),
      ),
    ) as Record<keyof typeof forms, string>
    const config = JSON.parse(readFileSync(join(folders.torchscript, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
    expect(config['onnx_folded_norms']).toEqual(['conv'])
    expect(await warnings(models.apart, folders.apart)).toEqual([])
    expect(await warnings(models.torchscript, folders.torchscript)).toEqual([])
    expect(await warnings(models.ort, folders.torchscript)).toEqual([])
    for (const folded of [models.torchscript, models.ort])
      expect((await warnings(folded, folders.apart)).join()).toMatch(/BatchNorm of conv is folded into the weight[^]*training=/)
    expect((await warnings(models.apart, folders.ort)).join()).toMatch(/BatchNorm of conv was folded[^]*where the adapter was/)
  })
})

describe('names that a file no longer has', () => {
  const notes = 'test/fixtures/onnx/exports/llama-dynamo/model.onnx'

  it("are missed in words, by PEFT's adapters and by targets", async () => {
    const whole = await loadModel(notes, { threads: 1 })
    await (await addLora(whole, { r: 2, targetModules: ['q_proj', 'embed_tokens'] })).save(join(temporary, 'llama'))
    const graph = decodeModel(new Uint8Array(readFileSync(notes)))
    graph.nodes = graph.nodes.map(({ metadata: _, ...node }) => ({ ...node }))
    const path = join(temporary, 'dropped.onnx')
    writeFileSync(path, encodeModel(graph))
    const model = await loadModel(path, { threads: 1, task: 'causal-lm' })
    await expect(loadAdapter(model, join(temporary, 'llama'))).rejects.toThrow(
      /unexpected tensors[^]*does not say what \d+ of its \d+ layers were called \(val_\d+[^]*dynamo=False/,
    )
    await expect(addLora(model, { targetModules: ['q_proj'] })).rejects.toThrow(/matches no layer[^]*does not say what/)
    await expect(addLora(whole, { targetModules: ['k'] })).rejects.toThrow(/matches no layer(?![^]*does not say what)/)
    const { modules } = await inspect(path)
    expect(JSON.stringify(modules)).toContain('its name is that of a value')
  })
})

it("ONNX Runtime's layout for one machine is refused in words", async () => {
  await expect(network('nchwc', ['w', 'b'], 'Conv', 'com.microsoft.nchwc')).rejects.toThrow(
    /com\.microsoft\.nchwc\.Conv[^]*for one machine[^]*extended/,
  )
})

it.each(['fc1', 'fc2'])('equal tensors that the file stores once stay apart when the adapter of %s is merged', async (layer) => {
  const graph = new Graph('net')
  graph.opsets.set('', 17)
  graph.inputs.push(graph.declare('x', 'float32', ['batch', 3]))
  const numbers = (size: number, seed: number): Float32Array => Float32Array.from({ length: size }, (_, i) => Math.cos(seed + i))
  graph.addInitializer('onnx::MatMul_1', float32([3, 3], numbers(9, 1)))
  graph.addInitializer('onnx::MatMul_2', float32([3, 3], numbers(9, 2)))
  graph.addInitializer('fc1.bias', float32([3], numbers(3, 3)))
  const node = (op: string, inputs: string[], output: string, name: string): void => {
    graph.nodes.push({ op, domain: '', name, inputs, outputs: [output], attributes: {} })
  }
  node('Identity', ['fc1.bias'], 'fc2.bias', 'Identity_0')
  for (const [i, from, to] of [
    [1, 'x', 'h'],
    [2, 'h', 'y'],
  ] as const) {
    // prettier-ignore
    node('MatMul', [from, `onnx::MatMul_${i}`], `m${i}`, `/fc${i}/MatMul`)
    node('Add', [`fc${i}.bias`, `m${i}`], to, `/fc${i}/Add`)
  }
  graph.outputs.push(graph.declare('y', 'float32', ['batch', 3]))
  const path = join(temporary, `equal-${layer}.onnx`)
  writeFileSync(path, encodeModel(graph))
  const adapter = await addLora(await loadModel(path, { threads: 1 }), { r: 1, targetModules: [layer], bias: 'lora_only' })
  adapter.parameters.data.forEach((value, i) => (adapter.parameters.data[i] = value + 0.1 * Math.sin(i + 1)))
  expect([...adapter.tensors.keys()].filter((name) => name.endsWith('.bias'))).toHaveLength(1)
  const { out } = await merge(adapter).save(join(temporary, `equal-${layer}-merged.onnx`))
  const x = tensor('float32', [2, 3], [1, -2, 3, 0.5, 0, -1])
  const [adapted, merged] = [await forward(adapter, { x }), await forward(await loadModel(out, { threads: 1 }), { x })]
  const expected = adapted['y']!.data as Float32Array
  ;(merged['y']!.data as Float32Array).forEach((v, i) => expect(v).toBeCloseTo(expected[i]!, 5))
})

it.each([
  ['BartForSequenceClassification', 'sequence-classification'],
  ['T5ForConditionalGeneration', 'custom'],
])('config.json of %s, which has an encoder and a decoder, tells %s', async (className, task) => {
  const folder = `${className}-folder`
  mkdirSync(join(temporary, folder))
  const config = { architectures: [className], is_encoder_decoder: true, model_type: 'bart' }
  writeFileSync(join(temporary, folder, 'config.json'), JSON.stringify(config))
  expect((await network(`${folder}/model`, ['conv.weight', 'conv.bias'])).task.name).toBe(task)
})

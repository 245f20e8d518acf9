/** @file Files as people have them: free heights and widths, heads stored as [hidden, vocabulary], quantised layers. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { Adapter } from '../../src/adapter/adapter.js'
import { GraphBuilder } from '../../src/graph/builder.js'
import type { HostTensor } from '../../src/graph/types.js'
import { addLora, forward, inspect, loadAdapter, loadModel, merge, train } from '../../src/index.js'
import { lower } from '../../src/lower/lower.js'
import { decodeModel } from '../../src/onnx/decode.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { hostTensor, relativeError, tensorsOf } from '../models/golden.js'

const root = 'test/fixtures/onnx/files'
const temporary = mkdtempSync(join(tmpdir(), 'lowrank-files-'))
afterAll(() => rmSync(temporary, { recursive: true }))

/** What the adapter gives, and the gradient of (output · weight) by each of its tensors. */
async function outputAndGradients(
  adapter: Adapter,
  output: string,
  input: HostTensor,
  weight: HostTensor,
): Promise<{ output: Float32Array; gradients: Map<string, Float32Array> }> {
  const attached = adapter.attach(adapter.model.build({ mode: 'full' }).graph)
  const graph = attached.graph.clone()
  const y = graph.outputs.find(({ name }) => name === output)!
  const b = new GraphBuilder(graph)
  const loss = b.sumAll(b.mul(y, graph.addInput('loss_weight', 'float32', y.shape!)))
  const { graph: full, gradients } = differentiate(graph, loss, attached.parameters)
  const found = [...gradients].map(([name, value]) => [name, value!] as const)
  full.outputs = [full.value(y.name), ...found.map(([, value]) => value)]
  const session = await nodeRuntime({ threads: 1 }).createSession(full)
  const feeds = { [adapter.model.inputs[0]!.name]: input, loss_weight: weight, ...Object.fromEntries(adapter.tensors) }
  const results = await session.run(feeds)
  await session.release()
  return {
    output: results[y.name]!.data as Float32Array,
    gradients: new Map(found.map(([name, value]) => [name, results[value.name]!.data as Float32Array])),
  }
}

async function agrees(adapter: Adapter, file: string, output: string): Promise<void> {
  const expected = await tensorsOf(file)
  const [input, weight] = [await hostTensor(expected, 'input'), await hostTensor(expected, 'weight')]
  const found = await outputAndGradients(adapter, output, input, weight)
  expect(relativeError(found.output, (await hostTensor(expected, 'output')).data as Float32Array)).toBeLessThan(1e-5)
  expect(found.gradients.size).toBe([...expected.keys()].filter((key) => key.startsWith('grad.')).length)
  for (const [name, gradient] of found.gradients)
    expect(relativeError(gradient, (await hostTensor(expected, `grad.${name}`)).data as Float32Array), name).toBeLessThan(1e-4)
}

describe('free heights and widths', () => {
  it.each(['nearest-torchscript', 'bilinear-torchscript', 'size-dynamo'])('%s: values and gradients of PyTorch', async (name) => {
    const folder = `${root}/free-${name}`
    const model = await loadModel(`${folder}/model.onnx`, { threads: 1 })
    expect([...model.modules.keys()].sort()).toEqual(['down1', 'down2', 'out', 'side1', 'side2'])
    await agrees(await loadAdapter(model, `${folder}/adapter`), `${folder}/adapter.safetensors`, 'y')
  })

  it('are given with dims, as ONNX Runtime overrides them', async () => {
    const file = `${root}/free-bilinear-torchscript/model.onnx`
    const model = await loadModel(file, { threads: 1, dims: { height: 16, width: 24 } })
    expect(model.inputs[0]!.shape).toEqual(['batch', 2, 16, 24])
    const folder = `${root}/free-bilinear-torchscript`
    await agrees(await loadAdapter(model, `${folder}/adapter`), `${folder}/adapter.safetensors`, 'y')
    expect(JSON.stringify(await inspect(file, { dims: { height: 16, width: 24 } }))).toContain('x float32 [batch, 2, 16, 24]')
    const refused = (dims: Record<string, number>): Promise<unknown> => loadModel(file, { dims })
    await expect(refused({ heigth: 16 })).rejects.toThrow(
      /"dims" names "heigth", but no input .*free lengths are batch, height, width/,
    )
    await expect(refused({ height: 0 })).rejects.toThrow(/"height" the length 0; it must be a whole number from 1 on/)
    await expect(refused({ batch: 2 })).rejects.toThrow(/"dims" fixes "batch", which is the number of rows in input "x"/)
    await expect(loadModel(`${root}/head-torchscript/model.onnx`, { dims: { sequence: 5 } })).rejects.toThrow(
      /"dims" fixes "sequence", which is the length of the texts/,
    )
    await expect(loadModel('test/fixtures/golden/peft/llama/model', { dims: { height: 1 } })).rejects.toThrow(/dims is an option/)
  })
})

describe('a head that the file holds as [hidden, vocabulary]', () => {
  const cases = ['head-torchscript', 'head-dynamo', 'head-tied-torchscript'].flatMap((name) => ['lora', 'saved'].map((kind) => [name, kind] as const)) // prettier-ignore
  it.each(cases)('%s, %s: loaded, saved and merged as PEFT has it', async (name, kind) => {
    const folder = `${root}/${name}`
    const model = await loadModel(`${folder}/model.onnx`, { threads: 1, task: 'causal-lm' })
    const adapter = await loadAdapter(model, `${folder}/${kind}`)
    await agrees(adapter, `${folder}/${kind}.safetensors`, 'logits')

    const saved = join(temporary, `${name}-${kind}`)
    await adapter.save(saved)
    const [theirs, ours] = [await tensorsOf(`${folder}/${kind}/adapter_model.safetensors`), await tensorsOf(`${saved}/adapter_model.safetensors`)] // prettier-ignore
    expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort())
    for (const key of theirs.keys()) {
      const [a, b] = [await hostTensor(ours, key), await hostTensor(theirs, key)]
      expect(a.shape, key).toEqual(b.shape)
      expect(Array.from(a.data as Float32Array), key).toEqual(Array.from(b.data as Float32Array))
    }

    const expected = await tensorsOf(`${folder}/${kind}.safetensors`)
    const { out } = await merge(adapter).save(join(temporary, `${name}-${kind}.onnx`))
    const merged = await forward(await loadModel(out, { threads: 1, task: 'causal-lm' }), { input_ids: await hostTensor(expected, 'input') }) // prettier-ignore
    expect(relativeError(merged['logits']!.data as Float32Array, (await hostTensor(expected, 'output')).data as Float32Array)).toBeLessThan(1e-5) // prettier-ignore
    // The file's own name of the scores answers too.
    expect(Array.from(merged['lm_logits']!.data as Float32Array)).toEqual(Array.from(merged['logits']!.data as Float32Array))
  })

  it('is trained whole from the base on', async () => {
    const model = await loadModel(`${root}/head-torchscript/model.onnx`, { threads: 1, task: 'causal-lm' })
    const adapter = await addLora(model, { r: 2, targetModules: ['q_proj'], modulesToSave: ['lm_head'] })
    const head = adapter.tensors.get('base_model.model.lm_head.weight')!
    expect(head.shape).toEqual([12, 4])
    const input = await hostTensor(await tensorsOf(`${root}/head-torchscript/lora.safetensors`), 'input')
    const [here, base] = [await forward(adapter, { input_ids: input }), await forward(model, { input_ids: input })]
    expect(relativeError(here['logits']!.data as Float32Array, base['logits']!.data as Float32Array)).toBeLessThan(1e-6)
    const data = join(temporary, 'rows.jsonl')
    writeFileSync(data, Array.from({ length: 4 }, (_, i) => JSON.stringify({ input_ids: [i, i + 1, i + 2, i + 3] })).join('\n'))
    const losses: number[] = []
    for await (const event of train(adapter, { data, steps: 6, batchSize: 4, learningRate: 0.05, shuffle: false }))
      if (event.event === 'step') losses.push(event.loss)
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.1)
  })
})

describe('quantised layers', () => {
  it.each(['q4', 'int8'])('%s: PEFT names them, one without a name keeps no wrapper on the others', async (name) => {
    const model = await loadModel(`${root}/${name}/model.onnx`, { threads: 1 })
    const names = [...model.modules.keys()]
    expect(names).toEqual(expect.arrayContaining(['layers.0', 'layers.1', 'score']))
    expect(names.filter((layer) => layer.startsWith('network.'))).toEqual([])
    const adapter = await loadAdapter(model, `${root}/q4/adapter`)
    const expected = await tensorsOf(`${root}/q4/adapter.safetensors`)
    const { y } = await forward(adapter, { x: await hostTensor(expected, 'input') })
    const error = relativeError(y!.data as Float32Array, (await hostTensor(expected, 'output')).data as Float32Array)
    expect(error).toBeLessThan(name === 'q4' ? 0.15 : 0.03)
  })
})

describe('what is not supported', () => {
  it('stands in one error with counts, whatever it lies behind', () => {
    const graph = decodeModel(readFileSync(`${root}/free-bilinear-torchscript/model.onnx`)).clone()
    const [first] = graph.nodes
    graph.nodes.unshift({ ...first!, op: 'NoSuchOperator', name: 'strange', outputs: ['strange'], inputs: ['x'], attributes: {} })
    graph.nodes[1] = { ...graph.nodes[1]!, inputs: ['strange', ...graph.nodes[1]!.inputs.slice(1)] }
    graph.nodes.push({ ...first!, op: 'Loop', name: 'round', outputs: ['rounds'], inputs: ['y'], attributes: {} })
    graph.outputs.push({ name: 'rounds', dtype: 'float32', shape: undefined })
    expect(() => lower(graph)).toThrow(/2 node\(s\) of the graph are not supported \(1 NoSuchOperator, 1 Loop\)/)
    expect(() => lower(graph)).toThrow(/"strange": [^]*"round": [^]*--dims height=640; they are height, width/)
  })
})

it('has its fixtures', () => expect(existsSync(root)).toBe(true))

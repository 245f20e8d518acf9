/** @file What exporters make of a model: caches, 16 bits, 8 bits, data beside the file, shared weights, branches. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { FolderModel } from '../../src/model/folder-model.js'
import { exportModel, type ExportOptions } from '../../src/adapter/export-model.js'
import { addLora, evaluate, forward, inspect, loadAdapter, loadModel, merge, nodeEnvironment, train, type Adapter } from '../../src/index.js' // prettier-ignore
import { bytesOf, tensor } from '../../src/graph/constants.js'
import { Graph } from '../../src/graph/graph.js'
import { int, type Attributes, type HostTensor, type Initializer, type Node, type Shape } from '../../src/graph/types.js'
import { decodeModel } from '../../src/onnx/decode.js'
import { encodeModel } from '../../src/onnx/encode.js'

const golden = 'test/fixtures/golden/peft'
const temporary = mkdtempSync(join(tmpdir(), 'lowrank-variants-'))
afterAll(() => rmSync(temporary, { recursive: true }))
const environment = nodeEnvironment({ threads: 1 })

const data = join(temporary, 'rows.jsonl')
writeFileSync(
  data,
  Array.from({ length: 6 }, (_, row) => JSON.stringify({ input_ids: Array.from({ length: 5 + (row % 3) }, (_, i) => 3 + ((7 * row + 5 * i) % 60)) })).join('\n'), // prettier-ignore
)

async function exported(name: string, label: string, options: ExportOptions = {}): Promise<string> {
  const out = join(temporary, label)
  await exportModel(await FolderModel.open(`${golden}/${name}/model`, environment), out, options)
  return `${out}/onnx`
}

async function losses(adapter: Adapter, rows: string, steps = 3): Promise<number[]> {
  const result: number[] = []
  for await (const event of train(adapter, { data: rows, steps, batchSize: 3, learningRate: 5e-3, shuffle: false, seed: 1 }))
    if (event.event === 'step') result.push(event.loss)
  return result
}

/** B away from zero, so that merging changes something. */
function moved(adapter: Adapter): Adapter {
  adapter.parameters.data.forEach((value, i) => (adapter.parameters.data[i] = value + 0.02 * Math.sin(i)))
  return adapter
}

describe('our own exports', () => {
  it.each(['deberta-v2', 'gemma2', 'gpt_neox'])('%s reopens: the same scores, names and a gradient', async (name) => {
    const source = await loadModel(`${golden}/${name}/model`, { threads: 1 })
    const model = await loadModel(`${await exported(name, `${name}-again`)}/model.onnx`, { threads: 1 })
    const input_ids = tensor('int64', [2, 5], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    const [here, there] = [await forward(model, { input_ids }), await forward(source, { input_ids })]
    const expected = there['logits']!.data as Float32Array
    ;(here['logits']!.data as Float32Array).forEach((v, i) => expect(v).toBeCloseTo(expected[i]!, 4))
    expect([...model.modules.keys()]).toEqual(expect.arrayContaining([...source.modules.keys()]))
    const adapter = await addLora(model, { r: 2, targetModules: 'all-linear' })
    if (name === 'deberta-v2') {
      const rows = join(temporary, 'labelled.jsonl')
      writeFileSync(rows, [0, 1, 0].map((label, i) => JSON.stringify({ input_ids: [5 + i, 6, 7, 8], labels: label })).join('\n'))
      const found = await losses(adapter, rows, 8)
      expect(found.at(-1)!).toBeLessThan(found[0]!)
    } else expect((await losses(adapter, data))[0]).toBeGreaterThan(0)
  })
})

describe('decoders in the layout of transformers.js', () => {
  it.each([
    ['fp32', 1e-5],
    ['fp16', 5e-3],
  ] as const)('with a cache, %s, data beside the file', async (dtype, tolerance) => {
    const folder = await exported('llama', `llama-${dtype}`, { dtype, inlineUpTo: 0 })
    const file = `${folder}/${dtype === 'fp32' ? 'model' : 'model_fp16'}.onnx`
    const before = readFileSync(file)
    const model = await loadModel(file, { threads: 1 })
    expect(model.task.name).toBe('causal-lm')
    expect(model.inputs.map(({ name }) => name).sort()).toEqual(['attention_mask', 'input_ids', 'position_ids'])
    const source = await loadModel(`${golden}/llama/model`, { threads: 1 })
    const [here, there] = [await loadAdapter(model, `${golden}/llama/adapter`), await loadAdapter(source, `${golden}/llama/adapter`)] // prettier-ignore
    const [found, expected] = [await losses(here, data), await losses(there, data)]
    found.forEach((loss, i) => expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(tolerance))

    const { out } = await merge(here).save(join(temporary, `merged-${dtype}`))
    expect(out).toMatch(/\/onnx\/model(_fp16)?\.onnx$/)
    const merged = await evaluate(await loadModel(out, { threads: 1 }), { data })
    expect(Math.abs(merged.loss / (await evaluate(here, { data })).loss - 1)).toBeLessThan(dtype === 'fp32' ? 1e-5 : 2e-3)
    expect(readFileSync(file).equals(before)).toBe(true)

    // Beside the source, the data gets a name of its own.
    const beside = `${folder}/merged.onnx`
    await merge(here).save(beside)
    expect((await evaluate(await loadModel(beside, { threads: 1 }), { data })).loss).toBeCloseTo(merged.loss, 5)
    expect((await evaluate(await loadModel(file, { threads: 1 }), { data })).loss).not.toBeCloseTo(merged.loss, 3)
    await expect(merge(here).save(file)).rejects.toThrow(/is the source model itself/)
    for (const overwrite of [false, true])
      await expect(merge(here).save(folder, { overwrite })).rejects.toThrow(/is the source model's own folder/)

    // A folder with an earlier merge is replaced if told so.
    const again = join(temporary, `merged-${dtype}`)
    await expect(merge(here).save(again)).rejects.toThrow(/holds a finished model.*overwrite \(--overwrite\)/)
    expect((await merge(here).save(again, { overwrite: true })).out).toBe(out)
    expect((await evaluate(await loadModel(out, { threads: 1 }), { data })).loss).toBe(merged.loss)
  })

  it('a head that shares the table gets a weight of its own', async () => {
    const folder = await exported('gpt2', 'gpt2-tied')
    const model = await loadModel(`${folder}/model.onnx`, { threads: 1 })
    const [head, table] = [model.modules.get('lm_head')!, model.modules.get('transformer.wte')!]
    expect(head.weight).toBe(table.weight)
    for (const targetModules of [['lm_head'], ['wte'], ['wte', 'lm_head', 'c_attn']]) {
      const adapter = moved(await addLora(model, { r: 2, targetModules }))
      const { out } = await merge(adapter).save(join(temporary, `tied-${targetModules.join('-')}.onnx`))
      const merged = await evaluate(await loadModel(out, { threads: 1, task: 'causal-lm' }), { data })
      expect(merged.loss / (await evaluate(adapter, { data })).loss).toBeCloseTo(1, 5)
      expect(merged.loss / (await evaluate(model, { data })).loss).not.toBeCloseTo(1, 4)
    }
  })

  it.each([
    ['that is not adapted', { targetModules: ['c_attn'] }, 'onnx'],
    ['that is adapted', { targetModules: ['c_attn', 'lm_head'] }, 'onnx'],
    ['of a folder that is adapted', { targetModules: ['c_attn', 'lm_head'] }, 'folder'],
    ['of a folder that is saved whole', { targetModules: ['c_attn'], modulesToSave: ['lm_head'] }, 'folder'],
  ] as const)('trained rows of a table are those of the head that shares it, %s', async (label, lora, kind) => {
    const folder = kind === 'onnx' ? `${await exported('gpt2', `gpt2-rows ${label}`)}/model.onnx` : `${golden}/gpt2/model`
    const model = await loadModel(folder, { threads: 1, task: 'causal-lm' })
    const adapter = moved(await addLora(model, { r: 2, ...lora, trainableTokenIndices: [1, 5] }))
    const { out } = await merge(adapter).save(join(temporary, `tied-rows ${label}${kind === 'onnx' ? '.onnx' : ''}`))
    const input_ids = tensor('int64', [1, 5], [1, 4, 5, 6, 7])
    const merged = await forward(await loadModel(out, { threads: 1, task: 'causal-lm' }), { input_ids })
    const expected = (await forward(adapter, { input_ids }))['logits']!.data as Float32Array
    const base = (await forward(model, { input_ids }))['logits']!.data as Float32Array
    const found = merged['logits']!.data as Float32Array
    found.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4))
    // The head's column of a trained token.
    expect(Math.abs(found[5]! - base[5]!)).toBeGreaterThan(1e-3)
  })
})

describe('quantised files', () => {
  it.each([
    ['mlp-dynamic.onnx', 'token-classification'],
    ['cnn-qdq.onnx', 'classification'],
  ] as const)('%s is adapted and not merged', async (name, task) => {
    const path = `test/fixtures/onnx/${name}`
    const model = await loadModel(path, { threads: 1, task })
    const [input] = model.inputs
    const size = input!.shape!.slice(1).map((dim) => (typeof dim === 'number' ? dim : 8))
    const nested = (dims: readonly number[], at: number): unknown =>
      dims.length === 0
        ? input!.dtype === 'int64'
          ? at % 5
          : Math.sin(at)
        : Array.from({ length: dims[0]! }, (_, i) => nested(dims.slice(1), 31 * at + i + 1))
    const label = (row: number): unknown => (task === 'classification' ? { label: row % 2 } : { labels: size[0] === undefined ? [] : Array.from({ length: size[0] }, (_, i) => (row + i) % 3) }) // prettier-ignore
    const rows = Array.from({ length: 6 }, (_, row) =>
      JSON.stringify({ [input!.name]: nested(size, row), ...(label(row) as object) }),
    )
    const file = join(temporary, `${name}.jsonl`)
    writeFileSync(file, rows.join('\n'))
    const [target] = [...model.modules.values()].filter(({ convolution }) => (convolution?.groups ?? 1) === 1).slice(-1)
    const adapter = await addLora(model, { r: 1, targetModules: [target!.name] })
    const before = await evaluate(adapter, { data: file })
    await losses(adapter, file, 20)
    expect((await evaluate(adapter, { data: file })).loss).toBeLessThan(before.loss)
    await expect(merge(adapter).save(join(temporary, `${name}-merged.onnx`))).rejects.toThrow(
      /is stored as u?int8[^]*Keep the adapter unmerged/,
    )
    const found = await inspect(path)
    expect(found.modules.find((module) => module.name === target!.name)).toMatchObject({
      notes: [expect.stringMatching(/quantised \(u?int8\)/)],
    })
  })

  it('a head in integers, with a scale for each class, is not trained whole but gets a branch', async () => {
    const graph = new Graph('head')
    graph.addInput('input_ids', 'int64', ['batch', 'sequence'])
    graph.addInitializer(
      'table.weight',
      tensor(
        'float32',
        [64, 4],
        Float32Array.from({ length: 256 }, (_, i) => Math.sin(i)),
      ),
    )
    graph.addInitializer('classifier.weight_quantized', tensor('int8', [3, 4], Array.from({ length: 12 }, (_, i) => ((i * 37) % 200) - 100))) // prettier-ignore
    graph.addInitializer('classifier.weight_scale', tensor('float32', [3], [0.01, 0.02, 0.03]))
    graph.addInitializer('axes', tensor('int64', [1], [1]))
    const node = (op: string, inputs: string[], output: string, attributes: Attributes = {}): Node => ({ op, domain: '', name: output, inputs, outputs: [output], attributes }) // prettier-ignore
    graph.nodes.push(
      node('Gather', ['table.weight', 'input_ids'], 'states', { axis: int(0) }),
      node('ReduceMean', ['states', 'axes'], 'mean', { keepdims: int(0) }),
      node('DequantizeLinear', ['classifier.weight_quantized', 'classifier.weight_scale'], 'weight', { axis: int(0) }),
      node('Gemm', ['mean', 'weight'], 'logits', { transB: int(1) }),
    )
    graph.outputs = [{ name: 'logits', dtype: 'float32', shape: ['batch', 3] }]
    const path = join(temporary, 'head.onnx')
    writeFileSync(path, encodeModel(graph))
    const model = await loadModel(path, { threads: 1, task: 'sequence-classification' })
    expect([...model.weights.keys()].filter((name) => name.includes('scale'))).toEqual([])
    const adapter = await addLora(model, { r: 2, targetModules: ['classifier'] })
    expect(adapter.config.modulesToSave ?? []).not.toContain('classifier')
    const rows = join(temporary, 'head.jsonl')
    writeFileSync(
      rows,
      Array.from({ length: 6 }, (_, row) => JSON.stringify({ input_ids: [row, 2 * row, 9], label: row % 3 })).join('\n'),
    )
    const before = await evaluate(adapter, { data: rows })
    await losses(adapter, rows, 20)
    expect((await evaluate(adapter, { data: rows })).loss).toBeLessThan(before.loss)
  })
})

describe('files that say little', () => {
  it('lists what there is where nothing tells the task', async () => {
    const model = await loadModel('test/fixtures/onnx/cnn.onnx', { threads: 1 })
    const rows = join(temporary, 'none.jsonl')
    writeFileSync(rows, '{"label": 1}')
    await expect(evaluate(model, { data: rows })).rejects.toThrow(
      /nothing says what test\/fixtures\/onnx\/cnn\.onnx is for: its inputs are "\w+" \[batch[^]*--task[^]*output:NAME/,
    )
    await expect(loadModel('test/fixtures/onnx/cnn.onnx', { task: 'causal-lm' })).rejects.toThrow(
      /does not fit the task causal-lm/,
    )
    await expect(loadModel('test/fixtures/onnx/cnn.onnx', { task: 'sing' as 'regression' })).rejects.toThrow(
      /task must be one of/,
    )
    await expect(loadModel('test/fixtures/onnx/cnn.onnx', { output: 'nothing' })).rejects.toThrow(
      /has no output "nothing"; it has/,
    )
    await expect(loadModel(`${golden}/llama/model`, { output: 'logits' })).rejects.toThrow(/output is an option of \.onnx files/)
    await expect(loadModel(join(temporary, 'rows.onnx'))).rejects.toThrow(/does not exist/)
  })

  it('refuses shapes that rows do not have', async () => {
    const withShape = (path: string, name: string, shape: Shape, out: string): string => {
      const graph = decodeModel(new Uint8Array(readFileSync(path)))
      graph.inputs = graph.inputs.map((input) => (input.name === name ? { ...input, shape } : input))
      writeFileSync(join(temporary, out), encodeModel(graph))
      return join(temporary, out)
    }
    const text = withShape('test/fixtures/onnx/exports/roberta-torchscript/model.onnx', 'input_ids', [1, 8], 'fixed.onnx')
    await expect(loadModel(text)).rejects.toThrow(/fixed shape, "input_ids" \[1, 8\][^]*dynamic axes/)
    const picture = withShape('test/fixtures/onnx/cnn.onnx', 'x', [1, 2, 8, 8], 'picture.onnx')
    const rows = join(temporary, 'pictures.jsonl')
    const x = Array.from({ length: 2 }, () => Array.from({ length: 8 }, () => Array.from({ length: 8 }, (_, i) => i / 8)))
    writeFileSync(rows, [0, 1].map((label) => JSON.stringify({ x, label })).join('\n'))
    const model = await loadModel(picture, { threads: 1, task: 'classification' })
    await expect(evaluate(model, { data: rows, batchSize: 2 })).rejects.toThrow(/batches of exactly 1 rows[^]*--batch-size 1/)
    expect((await evaluate(model, { data: rows, batchSize: 1 })).examples).toBe(2)
  })

  it('trains with a loss of the user, and by regression', async () => {
    const path = 'test/fixtures/onnx/cnn.onnx'
    const model = await loadModel(path, { threads: 1 })
    const [input] = model.inputs
    const [output] = model.build({ mode: 'full' }).graph.outputs
    const [rowShape, numbers] = [input!.shape!.slice(1) as number[], output!.shape![1] as number]
    const nested = (dims: readonly number[], at: number): unknown =>
      dims.length === 0 ? Math.cos(at) : Array.from({ length: dims[0]! }, (_, i) => nested(dims.slice(1), 31 * at + i))
    const rows = Array.from({ length: 6 }, (_, row) => ({ [input!.name]: nested(rowShape, row), labels: Array.from({ length: numbers }, (_, i) => (row + i) % 2) })) // prettier-ignore
    const file = join(temporary, 'regression.jsonl')
    writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'))
    const squared = await evaluate(await loadModel(path, { threads: 1, task: 'regression' }), { data: file })
    const own = await evaluate(model, {
      data: file,
      loss: (b, outputs, field) => {
        const difference = b.sub(outputs[output!.name]!, field('labels', 'float32', ['batch', numbers]))
        return { loss: b.sumAll(b.mul(difference, difference)), count: b.mul(b.squeeze(b.cast(b.dim('batch'), 'float32'), [0]), numbers) } // prettier-ignore
      },
    })
    expect(own.loss).toBeCloseTo(squared.loss, 6)
  })

  it('what the file says beside its weights stays when an adapter is merged', async () => {
    const path = 'test/fixtures/onnx/exports/llama-dynamo/model.onnx'
    const model = await loadModel(path, { threads: 1 })
    const adapter = moved(await addLora(model, { r: 2, targetModules: ['q_proj'] }))
    const { out } = await merge(adapter).save(join(temporary, 'notes.onnx'))
    const [before, after] = [path, out].map((file) => decodeModel(new Uint8Array(readFileSync(file))))
    expect(after!.nodes).toEqual(before!.nodes)
    expect(after!.inputs).toEqual(before!.inputs)
    const bytes = (tensor: Initializer): Buffer => Buffer.from(bytesOf(tensor as HostTensor))
    const changed = [...before!.initializers].filter(
      ([name, value]) => !bytes(value).equals(bytes(after!.initializers.get(name)!)),
    )
    expect(changed).toHaveLength(adapter.targets.length)
    expect(encodeModel(after!).length).toBe(readFileSync(out).length)
    // A file that is there is replaced only if that is meant.
    await expect(merge(adapter).save(out)).rejects.toThrow(
      `"${out}" is there already. Choose another name, or replace it with overwrite (--overwrite).`,
    )
    expect((await merge(adapter).save(out, { overwrite: true })).out).toBe(out)
  })
})

/** @file Decoders whose cache is a branch, and 4-bit products in float16. */
import { create } from '@bufbuild/protobuf'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AttributeProto_AttributeType as AttributeType, AttributeProtoSchema } from 'onnx-buf'
import { afterAll, describe, expect, it } from 'vitest'
import { Graph } from '../../src/graph/graph.js'
import { float32, tensor } from '../../src/graph/constants.js'
import { int, type Attributes } from '../../src/graph/types.js'
import { addLora, evaluate, loadModel, merge, train, type InputConstants } from '../../src/index.js'
import { encodeModel } from '../../src/onnx/encode.js'

const temporary = mkdtempSync(join(tmpdir(), 'lowrank-branches-'))
afterAll(() => rmSync(temporary, { recursive: true }))

function add(graph: Graph, op: string, inputs: string[], output: string, attributes: Attributes = {}, domain = ''): void {
  graph.nodes.push({ op, domain, name: `/${output}/${op}`, inputs, outputs: [output], attributes })
}

const wave = (shape: readonly number[], size = 0.5) =>
  float32(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => size * Math.sin(3 * i + 1)),
  )

/** Runs two steps of training and gives the losses of all rows before and after. */
async function learns(path: string, task: 'causal-lm' | 'classification', rows: readonly object[], target: string) {
  const data = join(temporary, `${task}.jsonl`)
  writeFileSync(data, rows.map((row) => JSON.stringify(row)).join('\n'))
  const model = await loadModel(path, { threads: 1, task })
  const adapter = await addLora(model, { r: 2, targetModules: [target] })
  const before = (await evaluate(adapter, { data })).loss
  for await (const _ of train(adapter, { data, steps: 10, batchSize: 4, learningRate: 1e-2 })) continue
  const after = (await evaluate(adapter, { data })).loss
  expect(after).toBeLessThan(before)
  return { model, adapter, data, after }
}

describe('imported decoders', () => {
  it('take the branch without a cache', async () => {
    const graph = new Graph('merged')
    graph.addInput('input_ids', 'int64', ['batch_size', 'sequence_length'])
    graph.addInput('past_key_values.0.key', 'float32', ['batch_size', 1, 'past_sequence_length', 4])
    graph.addInput('use_cache_branch', 'bool', [1])
    graph.addInitializer('embed.weight', wave([9, 4]))
    graph.addInitializer('lm_head.weight', wave([4, 9]))
    add(graph, 'Gather', ['embed.weight', 'input_ids'], 'embed')
    const branch = (name: string, op: string) =>
      create(AttributeProtoSchema, {
        name,
        type: AttributeType.GRAPH,
        g: {
          name,
          node: [{ opType: op, name: `${name}/${op}`, input: ['embed'], output: [`${name}/y`] }],
          output: [{ name: `${name}/y` }],
        },
      })
    add(graph, 'If', ['use_cache_branch'], 'state', {
      then_branch: { type: 'opaque', value: branch('then_branch', 'Neg') },
      else_branch: { type: 'opaque', value: branch('else_branch', 'Identity') },
    })
    add(graph, 'MatMul', ['state', 'lm_head.weight'], 'lm_head')
    add(graph, 'Identity', ['lm_head'], 'logits')
    add(graph, 'Identity', ['past_key_values.0.key'], 'present.0.key')
    graph.outputs = [
      { name: 'logits', dtype: 'float32', shape: ['batch_size', 'sequence_length', 9] },
      { name: 'present.0.key', dtype: 'float32', shape: ['batch_size', 1, 'past_sequence_length', 4] },
    ]
    const path = join(temporary, 'decoder_model_merged.onnx')
    writeFileSync(path, encodeModel(graph))
    const rows = Array.from({ length: 4 }, (_, row) => ({ input_ids: [1, 2 + row, 3, 8 - row, 5] }))
    const { model, adapter, data, after } = await learns(path, 'causal-lm', rows, 'lm_head')
    expect(model.inputs.map(({ name }) => name)).toEqual(['input_ids'])
    const { out } = await merge(adapter).save(join(temporary, 'merged.onnx'))
    expect((await evaluate(await loadModel(out, { threads: 1, task: 'causal-lm' }), { data })).loss).toBeCloseTo(after, 5)
    const other = await loadModel(path, { threads: 1, task: 'causal-lm', constants: { use_cache_branch: true } })
    expect((await evaluate(other, { data })).loss).not.toBeCloseTo((await evaluate(model, { data })).loss, 4)
  })

  it('keep 4-bit products frozen, in float16 too', async () => {
    const graph = new Graph('nbits')
    graph.addInput('x', 'float16', ['n', 32])
    graph.addInitializer(
      'fc.weight_Q4',
      tensor(
        'uint8',
        [3, 1, 16],
        Array.from({ length: 48 }, (_, i) => (i * 37) % 256),
      ),
    )
    graph.addInitializer('fc.weight_scales', { dtype: 'float16', shape: [3], data: Uint16Array.of(0x2e66, 0x2e66, 0x2e66) })
    add(graph, 'MatMulNBits', ['x', 'fc.weight_Q4', 'fc.weight_scales'], 'fc', { K: int(32), N: int(3), bits: int(4), block_size: int(32) }, 'com.microsoft') // prettier-ignore
    add(graph, 'Identity', ['fc'], 'y')
    graph.outputs = [{ name: 'y', dtype: 'float16', shape: ['n', 3] }]
    const path = join(temporary, 'q4f16.onnx')
    writeFileSync(path, encodeModel(graph))
    const rows = Array.from({ length: 6 }, (_, row) => ({ x: Array.from({ length: 32 }, (_, i) => Math.cos(row * i)), label: row % 3 })) // prettier-ignore
    const { adapter } = await learns(path, 'classification', rows, 'fc')
    await expect(merge(adapter).save(join(temporary, 'q4.onnx'))).rejects.toThrow(/stored as uint8[^]*Keep the adapter unmerged/)
  })
})

describe('weights that branches hold', () => {
  /** A tensor as its message, in the file or beside it. */
  const held = (name: string, shape: readonly number[], size: number, external?: { location: string; offset: number }) => {
    const { data } = wave(shape, size)
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const place = external && Object.entries({ location: external.location, offset: String(external.offset), length: String(bytes.length) }) // prettier-ignore
    return {
      bytes,
      message: {
        name,
        dataType: 1,
        dims: shape.map(BigInt),
        ...(place ? { dataLocation: 1, externalData: place.map(([key, value]) => ({ key, value })) } : { rawData: bytes }),
      },
    }
  }

  /** x·W₁ and, within, ·W₂ or ·W₃: an initializer of a branch, a Constant of a branch in it, and one in a file beside. */
  function write(folder: string): string {
    const [w1, w2] = [held('enc.weight', [4, 3], 0.5), held('dec.weight', [3, 2], 0.7)]
    const w3 = held('far.weight', [3, 2], 0.9, { location: 'model.data', offset: 8 })
    const subgraph = (name: string, node: object[], initializer: object[], output: string) =>
      create(AttributeProtoSchema, {
        name,
        type: AttributeType.GRAPH,
        g: { name, node, initializer, output: [{ name: output }] } as never,
      })
    const inner = {
      opType: 'If',
      name: 'deep',
      input: ['deep'],
      output: ['deep_y'],
      attribute: [
        subgraph(
          'then_branch',
          [
            {
              opType: 'Constant',
              output: ['dec.weight'],
              attribute: [{ name: 'value', type: AttributeType.TENSOR, t: w2.message }],
            },
            { opType: 'MatMul', name: '/dec/MatMul', input: ['h', 'dec.weight'], output: ['a'] },
          ],
          [],
          'a',
        ),
        subgraph('else_branch', [{ opType: 'MatMul', name: '/far/MatMul', input: ['h', 'far.weight'], output: ['a'] }], [w3.message], 'a'), // prettier-ignore
      ],
    }
    const graph = new Graph('branches')
    graph.addInput('x', 'float32', ['rows', 4])
    graph.addInput('sr', 'int64', [])
    graph.addInput('deep', 'bool', [])
    graph.addInitializer('rate', tensor('int64', [], [16000]))
    add(graph, 'Equal', ['sr', 'rate'], 'wide')
    add(graph, 'If', ['wide'], 'logits', {
      then_branch: {
        type: 'opaque',
        value: subgraph('then_branch', [{ opType: 'MatMul', name: '/enc/MatMul', input: ['x', 'enc.weight'], output: ['h'] }, inner], [w1.message], 'deep_y'), // prettier-ignore
      },
      else_branch: {
        type: 'opaque',
        value: subgraph('else_branch', [{ opType: 'MatMul', name: '/other/MatMul', input: ['x', 'enc.weight'], output: ['h'] }], [held('enc.weight', [4, 2], 0.3).message], 'h'), // prettier-ignore
      },
    })
    graph.outputs = [{ name: 'logits', dtype: 'float32', shape: ['rows', 2] }]
    mkdirSync(folder)
    writeFileSync(join(folder, 'model.onnx'), encodeModel(graph))
    writeFileSync(join(folder, 'model.data'), Buffer.concat([Buffer.alloc(8), w3.bytes]))
    return join(folder, 'model.onnx')
  }

  it.each([
    ['in a Constant', true, ['enc', 'dec']],
    ['in a file', false, ['enc', 'far']],
  ] as const)('are merged in their places: %s', async (name, deep, layers) => {
    const folder = join(temporary, name.replaceAll(' ', '-'))
    const path = write(folder)
    const data = `${folder}.jsonl`
    writeFileSync(data, Array.from({ length: 4 }, (_, i) => JSON.stringify({ x: [i, 1 - i, 0.5, -1], labels: i % 2 })).join('\n'))
    const open = (from: string, constants: InputConstants) => loadModel(from, { threads: 1, task: 'classification', constants })
    const model = await open(path, { sr: 16000, deep })
    expect([...model.modules.keys()]).toEqual(layers)
    const adapter = await addLora(model, { r: 2, targetModules: [...layers] })
    for await (const _ of train(adapter, { data, steps: 10, batchSize: 4, learningRate: 3e-2 })) continue
    const { loss } = await evaluate(adapter, { data })
    const before = (await evaluate(model, { data })).loss
    expect(loss).toBeLessThan(before)

    const merged = join(temporary, `${name.replaceAll(' ', '-')}-merged`)
    const { out } = await merge(adapter).save(join(merged, 'model.onnx'))
    // Data of another model is not written over, however its graph is called.
    await expect(merge(adapter).save(join(merged, 'other.onnx'))).rejects.toThrow(
      `${join(merged, 'model.data')}" is there already`,
    )
    expect((await evaluate(await open(out, { sr: 16000, deep }), { data })).loss).toBeCloseTo(loss, 5)
    // Other branches are what they were, whatever their values are called.
    for (const others of [
      { sr: 8000, deep },
      { sr: 8000, deep: !deep },
    ])
      expect((await evaluate(await open(out, others), { data })).loss).toBe(
        (await evaluate(await open(path, others), { data })).loss,
      )
    expect((await evaluate(await open(path, { sr: 16000, deep }), { data })).loss).toBe(before)
  })
})

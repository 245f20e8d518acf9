/** @file Decoders whose cache is a branch, and 4-bit products in float16. */
import { create } from '@bufbuild/protobuf'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AttributeProto_AttributeType as AttributeType, AttributeProtoSchema } from 'onnx-buf'
import { afterAll, describe, expect, it } from 'vitest'
import { Graph } from '../../src/graph/graph.js'
import { float32, tensor } from '../../src/graph/constants.js'
import { int, type Attributes } from '../../src/graph/types.js'
import { addLora, evaluate, loadModel, merge, train } from '../../src/index.js'
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

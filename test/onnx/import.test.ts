/** @file Models as exporters write them: functions, notes of all kinds, weights beyond 2 GB. */
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, truncateSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, createRegistry, equals, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema, TensorProto_DataLocation as DataLocation, type ModelProto } from 'onnx-buf'
import { describe, expect, it } from 'vitest'
import { numbersOf, tensor } from '../../src/graph/constants.js'
import { findModules } from '../../src/onnx-model/find-modules.js'
import { Graph } from '../../src/graph/graph.js'
import { int } from '../../src/graph/types.js'
import { lower } from '../../src/lower/lower.js'
import { decodeModel } from '../../src/onnx/decode.js'
import { encodeModel } from '../../src/onnx/encode.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'

const runtime = nodeRuntime({ threads: 1 })
const fixtures = 'test/fixtures/onnx'
const golden = '../shared/golden/onnx'

/** Weights in raw bytes, nodes in any order, as the encoder writes them. */
function normal(model: ModelProto): ModelProto {
  const graph = model.graph!
  const byName = <T extends { name: string }>(list: T[]): T[] => [...list].sort((a, b) => (a.name < b.name ? -1 : 1))
  return {
    ...model,
    graph: { ...graph, node: [...graph.node].sort((a, b) => (a.output[0]! < b.output[0]! ? -1 : 1)), initializer: byName(graph.initializer), input: byName(graph.input) }, // prettier-ignore
  }
}

describe('functions of the model itself', () => {
  const bytes = readFileSync(`${fixtures}/functions.onnx`)
  const expected = JSON.parse(readFileSync(`${fixtures}/functions.json`, 'utf8')) as { x: number[]; y: number[] }

  it('are inlined with their attributes, sub-graphs and operator set', async () => {
    const { graph } = lower(decodeModel(bytes))
    expect(graph.nodes.map((n) => n.op)).toContain('Softmax')
    const session = await runtime.createSession(graph)
    const { y } = await session.run({ x: tensor('float32', [2, 3, 4], expected.x) })
    await session.release()
    numbersOf(y)!.forEach((v, i) => expect(v).toBeCloseTo(expected.y[i]!, 5))
  })

  it('stay functions when the model is written again', async () => {
    const again = encodeModel(decodeModel(bytes))
    expect(equals(ModelProtoSchema, normal(fromBinary(ModelProtoSchema, again)), normal(fromBinary(ModelProtoSchema, bytes)))).toBe(true) // prettier-ignore
    const session = await runtime.createSession(decodeModel(again))
    const { y } = await session.run({ x: tensor('float32', [2, 3, 4], expected.x) })
    await session.release()
    numbersOf(y)!.forEach((v, i) => expect(v).toBeCloseTo(expected.y[i]!, 5))
  })
})

describe('a round trip', () => {
  it('keeps notes, doc strings, types and fields that no version of ONNX knows', () => {
    const type = { denotation: 'TENSOR', value: { case: 'tensorType' as const, value: { elemType: 1, shape: { dim: [{ value: { case: 'dimValue' as const, value: 2n } }, { value: { case: undefined } }] } } } } // prettier-ignore
    const model = create(ModelProtoSchema, {
      irVersion: 8n,
      producerName: 'someone',
      producerVersion: '3',
      domain: 'their.domain',
      modelVersion: 5n,
      docString: 'a model',
      opsetImport: [{ domain: 'ai.onnx', version: 17n }],
      metadataProps: [{ key: 'labels', value: 'a,b' }],
      graph: {
        name: 'g',
        docString: 'a graph',
        input: [
          { name: 'x', type, docString: 'an input' },
          { name: 'w', type: { value: { case: 'tensorType', value: { elemType: 1, shape: { dim: [{ value: { case: 'dimValue', value: 1n } }] } } } } }, // prettier-ignore
        ],
        output: [{ name: 'y', type }],
        valueInfo: [{ name: 'h', type, docString: 'inside' }],
        initializer: [{ name: 'w', dims: [1n], dataType: 1, rawData: new Uint8Array([0, 0, 128, 63]), docString: 'one' }],
        node: [
          { opType: 'Mul', input: ['x', 'w'], output: ['h'], docString: 'scaled', metadataProps: [{ key: 'k', value: 'v' }] },
          { opType: 'Tanh', domain: 'ai.onnx', input: ['h'], output: ['y'] },
        ],
      },
    })
    model.$unknown = [{ no: 4000, wireType: 0, data: new Uint8Array([7]) }]
    model.graph!.node[0]!.$unknown = [{ no: 4001, wireType: 0, data: new Uint8Array([8]) }]
    model.graph!.initializer[0]!.$unknown = [{ no: 4002, wireType: 0, data: new Uint8Array([9]) }]
    const again = fromBinary(ModelProtoSchema, encodeModel(decodeModel(toBinary(ModelProtoSchema, model))))
    expect(equals(ModelProtoSchema, normal(again), normal(model), { registry: createRegistry(), unknown: true })).toBe(true)
    // And a change of the graph does not disturb it.
    const graph = decodeModel(toBinary(ModelProtoSchema, model)).clone()
    graph.nodes = graph.nodes.map((n) => (n.op === 'Tanh' ? { ...n, op: 'Sigmoid' } : n))
    const changed = fromBinary(ModelProtoSchema, encodeModel(graph))
    expect(changed.graph!.node.map((n) => n.opType)).toEqual(['Mul', 'Sigmoid'])
    expect([changed.docString, changed.graph!.node[0]!.docString, changed.$unknown?.length]).toEqual(['a model', 'scaled', 1])
  })

  it.skipIf(!existsSync(golden))('leaves every exported model as it was', () => {
    for (const name of readdirSync(golden)) {
      const path = `${golden}/${name}/model.onnx`
      if (!existsSync(path)) continue
      const bytes = readFileSync(path)
      const folder = `${golden}/${name}`
      const again = encodeModel(decodeModel(bytes, { folder }), (file) => file.slice(folder.length + 1))
      expect(equals(ModelProtoSchema, normal(fromBinary(ModelProtoSchema, again)), normal(fromBinary(ModelProtoSchema, bytes))), name).toBe(true) // prettier-ignore
    }
  })
})

describe('weights beyond 2 GB', () => {
  it('are read from their place in the file alone, in initializers, constants and branches', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lowrank-'))
    try {
      const file = join(folder, 'weights.bin')
      const offset = 5 * 2 ** 30
      const handle = openSync(file, 'w')
      writeSync(handle, new Uint8Array(Float32Array.of(1, 2, 3).buffer), 0, 12, offset)
      closeSync(handle)
      truncateSync(file, offset + 4096)
      const weight = {
        dims: [3n],
        dataType: 1,
        dataLocation: DataLocation.EXTERNAL,
        externalData: [
          { key: 'location', value: 'weights.bin' },
          { key: 'offset', value: String(offset) },
          { key: 'length', value: '12' },
        ],
      }
      const type = { value: { case: 'tensorType' as const, value: { elemType: 1, shape: { dim: [{ value: { case: 'dimValue' as const, value: 3n } }] } } } } // prettier-ignore
      const branch = (op: string) => ({
        name: op,
        output: [{ name: 'r', type }],
        node: [
          { opType: 'Constant', output: ['c'], attribute: [{ name: 'value', type: 4, t: weight }] },
          { opType: op, input: ['s', 'c'], output: ['r'] },
        ],
      })
      const model = create(ModelProtoSchema, {
        irVersion: 8n,
        opsetImport: [{ version: 17n }],
        graph: {
          name: 'large',
          input: [{ name: 'x', type }],
          output: [{ name: 'y', type }],
          initializer: [
            { ...weight, name: 'w' },
            { name: 'yes', dataType: 9, int32Data: [1] },
          ],
          node: [
            { opType: 'Constant', output: ['k'], attribute: [{ name: 'value', type: 4, t: weight }] },
            { opType: 'Mul', input: ['x', 'w'], output: ['p'] },
            { opType: 'Add', input: ['p', 'k'], output: ['s'] },
            { opType: 'If', input: ['yes'], output: ['y'], attribute: [{ name: 'then_branch', type: 5, g: branch('Mul') }, { name: 'else_branch', type: 5, g: branch('Sub') }] }, // prettier-ignore
          ],
        },
      })
      const { graph } = lower(decodeModel(toBinary(ModelProtoSchema, model), { folder }))
      expect(graph.nodes.map((n) => n.op)).toEqual(['Mul', 'Add', 'Mul', 'Identity'])
      const session = await runtime.createSession(graph)
      const { y } = await session.run({ x: tensor('float32', [3], [10, 10, 10]) })
      await session.release()
      // (x·w + w)·w
      expect(numbersOf(y)).toEqual([11, 44, 99])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('layers of imported graphs', () => {
  it.skipIf(!existsSync(golden))('say where the exporter folded a BatchNorm into them', () => {
    const folder = `${golden}/conv2d-dynamo`
    const modules = findModules(lower(decodeModel(readFileSync(`${folder}/model.onnx`), { folder })).graph)
    expect([...modules.values()].filter((m) => m.foldedNorm === true)).toHaveLength(1)
  })

  it('have a table in 4 bits for an embedding', async () => {
    const graph = new Graph('table')
    graph.addInput('ids', 'int64', ['batch', 3])
    graph.addInitializer(
      'embed.weight',
      tensor(
        'uint8',
        [6, 16],
        Array.from({ length: 96 }, (_, i) => (i * 37) % 256),
      ),
    )
    graph.addInitializer(
      'scales',
      tensor(
        'float32',
        [6, 2],
        Array.from({ length: 12 }, (_, i) => 0.1 + i / 100),
      ),
    )
    graph.nodes.push({
      op: 'GatherBlockQuantized',
      domain: 'com.microsoft',
      name: '/embed/Gather_Q4',
      inputs: ['embed.weight', 'ids', 'scales'],
      outputs: ['y'],
      attributes: { gather_axis: int(0), quantize_axis: int(1), block_size: int(16), bits: int(4) },
    })
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
    const { graph: lowered } = lower(graph)
    const [module] = [...findModules(lowered).values()]
    expect(module).toMatchObject({ name: 'embed', kind: 'Embedding', inFeatures: 6, outFeatures: 32 })
    const session = await runtime.createSession(lowered)
    const { y } = await session.run({ ids: tensor('int64', [1, 3], [0, 5, 2]) })
    await session.release()
    expect(y!.shape).toEqual([1, 3, 32])
  })
})

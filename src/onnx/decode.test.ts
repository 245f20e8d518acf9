/**
 * @file Decoded ONNX files: a graph of ours comes back as it was, and attributes, tensors and shapes of the format in all its
 * notations.
 */
import { create, equals, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { existsSync, readFileSync } from 'node:fs'
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataLocation as DataLocation,
  type FunctionProtoSchema,
  type GraphProtoSchema,
  type TensorProto,
  type TensorProtoSchema,
} from 'onnx-buf'
import { describe, expect, it } from 'vitest'
import { InvalidModelError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { tensor } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { dtypeToOnnx } from '../graph/dtypes.js'
import { float, string, type DType, type HostTensor, type Initializer } from '../graph/types.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { decodeModel } from './decode.js'
import { encodeModel } from './encode.js'

const golden = '../shared/golden/onnx'

/** A model whose graph holds what a test is about. */
const modelOf = (graph: MessageInitShape<typeof GraphProtoSchema>): Uint8Array =>
  toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n, opsetImport: [{ domain: '', version: 21n }], graph }))

const initializerOf = (init: MessageInitShape<typeof TensorProtoSchema>, options = {}): Initializer =>
  decodeModel(modelOf({ name: 'g', initializer: [{ name: 'w', ...init }] }), options).initializers.get('w')!

/** x [n, 3] → tanh(x·w) with attributes of several kinds. */
function sample(): Graph {
  const graph = new Graph('sample')
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', ['n', 3])
  const w = graph.addInitializer(
    'w',
    tensor(
      'float32',
      [3, 4],
      Array.from({ length: 12 }, (_, i) => i / 7),
    ),
  )
  const y = b.gelu(b.gemm(x, w, { transB: false, alpha: 0.5 }), 'tanh')
  const z = b.emit('Gather', [y, b.constant(tensor('int64', [2], [0, -1]))], { axis: { type: 'int', value: -1 } })
  graph.outputs = [b.concat([z, b.zeros(['n', 1])], 1)]
  return graph
}

describe('decodeModel', () => {
  it('gives back a graph of ours', async () => {
    const graph = sample()
    const decoded = decodeModel(encodeModel(graph))
    expect(decoded.name).toBe('sample')
    expect(decoded.inputs).toEqual(graph.inputs)
    expect(decoded.outputs.map((o) => [o.name, o.dtype])).toEqual(graph.outputs.map((o) => [o.name, o.dtype]))
    expect(decoded.nodes).toEqual(graph.nodes)
    expect([...decoded.opsets]).toEqual([...graph.opsets])
    expect([...decoded.initializers.keys()]).toEqual([...graph.initializers.keys()])
    for (const [name, value] of graph.initializers) expect(decoded.initializers.get(name)).toEqual(value)

    const x = tensor('float32', [2, 3], [1, -2, 3, 0.5, 0, -1])
    const results: HostTensor[] = []
    for (const g of [graph, decoded])
      results.push((await (await nodeRuntime({ threads: 1 }).createSession(g)).run({ x }))[graph.outputs[0]!.name]!)
    expect(results[1]).toEqual(results[0])
  })

  it('keeps every kind of attribute', () => {
    const graph = new Graph('attributes')
    const x = graph.addInput('x', 'float32', [1])
    graph.declare('y', 'float32', [1])
    const subgraph = create(AttributeProtoSchema, { name: 'body', type: AttributeType.GRAPH, g: { name: 'inner' } })
    graph.nodes.push({
      op: 'Custom',
      domain: 'test',
      name: 'n',
      inputs: [x.name, '', x.name],
      outputs: ['y'],
      attributes: {
        f: float(0.5),
        s: string('zwölf'),
        is: { type: 'ints', value: [1, -2, 2 ** 63, -(2 ** 63)] },
        fs: { type: 'floats', value: [0.25, -4] },
        ss: { type: 'strings', value: ['a', ''] },
        t: { type: 'tensor', value: tensor('int64', [2], [3, 4]) },
        body: { type: 'opaque', value: subgraph },
      },
    })
    graph.outputs = [graph.value('y')]
    expect(decodeModel(encodeModel(graph)).nodes).toEqual(graph.nodes)
  })

  it('carries an integer beyond 2^53 and a string that is no text through unchanged', () => {
    const attribute = [
      { name: 'end', type: AttributeType.INT, i: 2n ** 63n - 1n },
      { name: 'blob', type: AttributeType.STRING, s: new Uint8Array([0xff, 0xfe]) },
    ]
    const bytes = modelOf({ name: 'g', input: [], node: [{ opType: 'Custom', output: ['y'], attribute }] })
    const again = fromBinary(ModelProtoSchema, encodeModel(decodeModel(bytes))).graph!.node[0]!.attribute
    attribute.forEach((a, i) => expect(equals(AttributeProtoSchema, again[i]!, create(AttributeProtoSchema, a))).toBe(true))
  })

  it('tells inputs from initializers, names nameless dimensions, and reads value_info', () => {
    const type = (...dims: (bigint | string | undefined)[]) => ({
      value: {
        case: 'tensorType' as const,
        value: {
          elemType: 1,
          shape: {
            dim: dims.map((d) => ({
              value:
                typeof d === 'bigint'
                  ? { case: 'dimValue' as const, value: d }
                  : d === undefined
                    ? { case: undefined }
                    : { case: 'dimParam' as const, value: d },
            })),
          },
        },
      },
    })
    const graph = decodeModel(
      modelOf({
        name: 'g',
        input: [
          { name: 'x', type: type('batch', 3n, undefined) },
          { name: 'w', type: type(1n) },
        ],
        initializer: [{ name: 'w', dataType: 1, dims: [1n], floatData: [2] }],
        // Not in order: y needs h.
        node: [
          { opType: 'Tanh', domain: 'ai.onnx', input: ['h'], output: ['y'] },
          { opType: 'Mul', input: ['x', 'w'], output: ['h'], name: 'product' },
        ],
        valueInfo: [{ name: 'h', type: type('batch', 3n, -1n) }],
        output: [{ name: 'y', type: type() }],
      }),
    )
    expect(graph.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['batch', 3, 'x.2'] }])
    expect(graph.value('h').shape).toEqual(['batch', 3, 'h.2'])
    expect(graph.nodes.map((n) => [n.name, n.domain])).toEqual([
      ['product', ''],
      ['y', ''],
    ])
  })
})

describe('tensors', () => {
  const bits = (dtype: DType, data: Partial<TensorProto>, n: number) =>
    Array.from(
      (initializerOf({ dataType: dtypeToOnnx(dtype), dims: [BigInt(n)], ...data } as never) as HostTensor).data as ArrayLike<
        number | bigint
      >,
    )

  it.each<[DType, Partial<TensorProto>, (number | bigint)[]]>([
    ['float32', { floatData: [1.5, -2] }, [1.5, -2]],
    ['float64', { doubleData: [0.1] }, [0.1]],
    ['int64', { int64Data: [-(2n ** 60n)] }, [-(2n ** 60n)]],
    ['uint64', { uint64Data: [2n ** 63n] }, [2n ** 63n]],
    ['uint32', { uint64Data: [4294967295n] }, [4294967295]],
    ['int32', { int32Data: [-7] }, [-7]],
    ['int8', { int32Data: [-7] }, [-7]],
    ['uint8', { int32Data: [200] }, [200]],
    ['bool', { int32Data: [1, 0] }, [1, 0]],
    ['float16', { int32Data: [0x3c00] }, [0x3c00]],
    ['bfloat16', { int32Data: [0x3f80] }, [0x3f80]],
  ])('reads %s from its typed field', (dtype, data, expected) => {
    expect(bits(dtype, data, expected.length)).toEqual(expected)
  })

  it('reads 4-bit values packed in pairs', () => {
    expect(bits('uint4', { int32Data: [0x21, 0x03] }, 3)).toEqual([0x21, 0x03])
  })

  it('reads raw bytes at any offset of the file', () => {
    expect(bits('float32', { rawData: new Uint8Array(new Float32Array([1.5, -2]).buffer) }, 2)).toEqual([1.5, -2])
  })

  it('reads an empty and a scalar tensor', () => {
    expect(initializerOf({ dataType: 1, dims: [0n] })).toEqual(tensor('float32', [0], []))
    expect(initializerOf({ dataType: 1, dims: [], floatData: [3] })).toEqual(tensor('float32', [], [3]))
  })

  const external = (location: string, rest: Record<string, string> = {}) => ({
    dataType: 1,
    dims: [2n, 3n],
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries({ location, ...rest }).map(([key, value]) => ({ key, value })),
  })

  it('references external data by file, offset and length', () => {
    expect(initializerOf(external('data/w.bin', { offset: '4096', length: '24' }), { folder: '/models/a/' })).toEqual({
      dtype: 'float32',
      shape: [2, 3],
      file: { path: '/models/a/data/w.bin', offset: 4096, length: 24 },
    })
    expect(initializerOf(external('w.bin'), { folder: 'm' })).toMatchObject({ file: { path: 'm/w.bin', offset: 0, length: 24 } })
  })

  it.each(['/etc/passwd', '../w.bin', 'a/../../w.bin', 'a\\..\\w.bin', 'C:\\w.bin', '\\\\host\\w.bin', '', 'w\0.bin'])(
    'refuses external data at %j',
    (location) => {
      expect(() => initializerOf(external(location), { folder: 'm' })).toThrow(InvalidModelError)
      expect(() => initializerOf(external(location), { folder: 'm' })).toThrow(
        /initializer "w": external data location .* is not a file inside/,
      )
    },
  )

  it.each<[string, MessageInitShape<typeof TensorProtoSchema>, RegExp]>([
    ['external data without a folder', external('w.bin'), /lies in the file "w.bin"; load the model from its folder/],
    ['external data of another length', external('w.bin', { length: '20' }), /needs 24 bytes, its external data has 20/],
    ['an offset that is no number', external('w.bin', { offset: '-1' }), /offset "-1", expected a whole number/],
    ['too few raw bytes', { dataType: 1, dims: [2n], rawData: new Uint8Array(4) }, /float32 \[2\] needs 8 bytes, the file has 4/],
    ['too many values', { dataType: 7, dims: [1n], int64Data: [1n, 2n] }, /int64 \[1\] needs 1 values, the file has 2/],
    ['no values', { dataType: 1, dims: [2n] }, /needs 2 values, the file has 0/],
    ['a negative dimension', { dataType: 1, dims: [-2n] }, /\[-2\] is no shape/],
    ['strings', { dataType: 8, dims: [1n] }, /element type string is not supported/],
    ['float8', { dataType: 17, dims: [1n] }, /element type number 17 is not supported/],
  ])('refuses %s', (_name, init, message) => {
    expect(() => initializerOf(init, _name.startsWith('external data without') ? {} : { folder: 'm' })).toThrow(message)
  })
})

function couldDecode(bytes: Uint8Array): Graph | undefined {
  try {
    return decodeModel(bytes)
  } catch {
    return undefined
  }
}

describe('damaged models', () => {
  it('refuses a model cut off anywhere', () => {
    const bytes = encodeModel(sample())
    const opsets = sample().opsets.size
    for (let length = 0; length < bytes.length - 1; length += 3) {
      // Cut between the last two operator sets it is a whole model that says less.
      if (length > bytes.length - 30 && couldDecode(bytes.subarray(0, length))?.opsets.size === opsets - 1) continue
      expect(() => decodeModel(bytes.subarray(0, length), { source: 'cut.onnx' }), `${length} bytes`).toThrow(InvalidModelError)
    }
  })

  it('refuses bytes that are something else', () => {
    const noise = Uint8Array.from({ length: 500 }, (_, i) => (i * 7919 + 13) % 256)
    for (const bytes of [noise, new TextEncoder().encode('{"model": 1}'), new TextEncoder().encode('PK\u0003\u0004')])
      expect(() => decodeModel(bytes, { source: 'x.onnx' })).toThrow(/^x\.onnx: not an ONNX model/)
  })

  const float1 = { value: { case: 'tensorType' as const, value: { elemType: 1, shape: { dim: [] } } } }
  it.each<[string, MessageInitShape<typeof GraphProtoSchema>, RegExp]>([
    [
      'a value nobody provides',
      { node: [{ opType: 'Tanh', input: ['ghost'], output: ['y'] }] },
      /Tanh "y" reads "ghost", which nothing provides/,
    ],
    ['an output nobody computes', { output: [{ name: 'y', type: float1 }] }, /output "y" is not computed/],
    [
      'a value written twice',
      { input: [{ name: 'x', type: float1 }], node: [{ opType: 'Tanh', input: ['x'], output: ['x'] }] },
      /value "x" is written twice, again by Tanh "x"/,
    ],
    [
      'a cycle',
      {
        node: [
          { opType: 'Tanh', input: ['b'], output: ['a'] },
          { opType: 'Tanh', input: ['a'], output: ['b'] },
        ],
      },
      /cycle through node/,
    ],
    [
      'an input that is no tensor',
      { input: [{ name: 'x', type: { value: { case: 'sequenceType', value: {} } } }] },
      /input "x" is no tensor \(sequenceType\)/,
    ],
    [
      'two initializers of one name',
      {
        initializer: [
          { name: 'w', dataType: 1, floatData: [1] },
          { name: 'w', dataType: 1, floatData: [1] },
        ],
      },
      /"w" is defined twice/,
    ],
  ])('refuses %s', (_name, graph, message) => {
    expect(() => decodeModel(modelOf({ name: 'g', ...graph }))).toThrow(InvalidModelError)
    expect(() => decodeModel(modelOf({ name: 'g', ...graph }))).toThrow(message)
  })

  it.each<[string, MessageInitShape<typeof FunctionProtoSchema>[], RegExp]>([
    ['a function that calls itself', [{ name: 'F', node: [{ opType: 'F' }] }], /function "F" calls itself/],
    [
      'functions that call each other',
      [
        { name: 'F', node: [{ opType: 'G' }] },
        { name: 'G', node: [{ opType: 'F' }] },
      ],
      /calls itself/,
    ],
    [
      'functions that double twenty-five times',
      Array.from({ length: 25 }, (_, i) => ({ name: `F${i}`, node: [{ opType: `F${i + 1}` }, { opType: `F${i + 1}` }] })),
      /unfolds to more than 1000000 nodes/,
    ],
  ])('refuses %s', (_name, functions, message) => {
    const model = create(ModelProtoSchema, { opsetImport: [{ version: 21n }], graph: { name: 'g' }, functions })
    expect(() => decodeModel(toBinary(ModelProtoSchema, model))).toThrow(InvalidModelError)
    expect(() => decodeModel(toBinary(ModelProtoSchema, model))).toThrow(message)
  })
})

describe.skipIf(!existsSync(golden))('exported models', () => {
  it.each(['gpt2-torchscript', 'llama-dynamo', 'vit-torchscript', 'conv2d-dynamo'])(
    'decodes and encodes %s without a loss',
    async (name) => {
      const bytes = new Uint8Array(readFileSync(`${golden}/${name}/model.onnx`))
      const graph = decodeModel(bytes)
      const before = fromBinary(ModelProtoSchema, bytes).graph!
      const after = fromBinary(ModelProtoSchema, encodeModel(graph)).graph!
      expect(after.initializer.map((t) => [t.name, t.dims, t.dataType])).toEqual(
        before.initializer.map((t) => [t.name, t.dims, t.dataType]),
      )
      after.initializer.forEach((t, i) => expect(Buffer.compare(t.rawData, before.initializer[i]!.rawData)).toBe(0))
      const byOutput = new Map(before.node.map((n) => [n.output[0], n]))
      expect(after.node).toHaveLength(before.node.length)
      for (const node of after.node) {
        const original = byOutput.get(node.output[0])!
        expect([node.opType, node.domain, node.input, node.output]).toEqual([
          original.opType,
          original.domain,
          original.input,
          original.output,
        ])
        const plain = (a: (typeof node.attribute)[number]) =>
          create(AttributeProtoSchema, {
            ...a,
            docString: '',
            ...(a.t && { t: { ...a.t, name: '', docString: '', metadataProps: [] } }),
          })
        node.attribute.forEach((a, i) => expect(equals(AttributeProtoSchema, plain(a), plain(original.attribute[i]!))).toBe(true))
      }
      await (await nodeRuntime({ threads: 1 }).createSession(graph)).release()
    },
  )
})

/**
 * @file Graphs lowered for WebGPU against the same graphs on the CPU, with and without 16-bit floats, and what is left without
 * a kernel.
 */
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { operatorKey } from '../../graph/allowed-ops.js'
import { GraphBuilder } from '../../graph/builder.js'
import { tensor } from '../../graph/constants.js'
import { Graph } from '../../graph/graph.js'
import { int, type DType, type HostTensor, type Value } from '../../graph/types.js'
import { floatToHalf } from '../../util/half.js'
import { nodeRuntime } from '../ort-node.js'
import { deviceReport, fallbackWarning } from './device-report.js'
import { executionProvider, lowerForDevice } from './lower-for-device.js'

type Build = (b: GraphBuilder, x: readonly Value[]) => Value

/** Rows of: name, shapes of the inputs (float32, or bool), graph. */
const cases: [name: string, shapes: number[][], make: Build, dtype?: DType][] = [
  ['FusedMatMul of matrices', [[3, 4], [5, 4]], (b, [x, y]) => b.matmul(x!, y!, { transB: true, alpha: 0.5 })], // prettier-ignore
  ['FusedMatMul of batches', [[2, 4, 3], [4, 5]], (b, [x, y]) => b.matmul(x!, y!, { transA: true, alpha: -2 })], // prettier-ignore
  ['FusedMatMul, both transposed', [[2, 4, 3], [2, 5, 4]], (b, [x, y]) => b.matmul(x!, y!, { transA: true, transB: true })], // prettier-ignore
  ['LogSoftmax', [[3, 5]], (b, [x]) => b.emit('LogSoftmax', [b.mul(x!, 100)], { axis: int(0) })],
  ['ConstantOfShape', [[2, 3]], (b, [x]) => b.add(b.emit('ConstantOfShape', [b.emit('Shape', [x!])], { value: { type: 'tensor', value: tensor('float32', [1], [7]) } }, { shapes: [[2, 3]] }), x!)], // prettier-ignore
  ['Sign', [[6]], (b, [x]) => b.sign(b.mul(x!, b.constant(tensor('float32', [6], [1, -1, 0, 0, 1, -1]))))],
  ['Or', [[4], [4]], (b, [x, y]) => b.or(x!, y!), 'bool'],
  ['IsInf', [[4]], (b, [x]) => b.emit('IsInf', [b.div(x!, b.constant(tensor('float32', [4], [0, 1, -0, 1e-30])))])],
  ['IsInf, negative', [[2]], (b, [x]) => b.emit('IsInf', [b.div(x!, b.constant(tensor('float32', [2], [0, -0])))], { detect_positive: int(0) })], // prettier-ignore
  ['grouped Conv over three axes', [[2, 4, 3, 3, 3], [6, 2, 2, 2, 2], [6]], (b, x) => b.emit('Conv', x, { group: int(2) })], // prettier-ignore
]

function build(shapes: readonly (readonly number[])[], make: Build, dtype: DType): Graph {
  const graph = new Graph('device')
  const b = new GraphBuilder(graph)
  graph.outputs = [make(b, shapes.map((shape, i) => graph.addInput(`x${i}`, dtype, shape)))] // prettier-ignore
  return graph
}

const run = async (graph: Graph): Promise<HostTensor> => {
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name, dtype, shape }, k) => {
      const count = (shape as number[]).reduce((p, d) => p * d, 1)
      const values = Array.from({ length: count }, (_, i) => (dtype === 'bool' ? (i >> k) & 1 : Math.sin(i + 1 + k)))
      return [name, tensor(dtype, shape as number[], values)]
    }),
  )
  const session = await nodeRuntime({ threads: 1 }).createSession(graph)
  const results = await session.run(feeds)
  await session.release()
  return results[graph.outputs[0]!.name]!
}

describe('lowerForDevice', () => {
  it.each(cases)('%s computes the same with kernels that WebGPU has', async (...row) => {
    const [name, shapes, make, dtype = 'float32'] = row as (typeof cases)[number]
    const graph = build(shapes, make, dtype)
    const lowered = lowerForDevice(graph, 'webgpu')
    const op = name.split(/[ ,]/)[0]!
    expect(lowered.outputs).toEqual(graph.outputs)
    if (op !== 'grouped') expect(lowered.nodes.map((n) => n.op)).not.toContain(op)
    expect(deviceReport(graph, 'webgpu').onCpu).toEqual([])
    const [expected, found] = [await run(graph), await run(lowered)]
    expect(found.shape).toEqual(expected.shape)
    Array.from(found.data, Number).forEach((value, i) => expect(value).toBeCloseTo(Number(expected.data[i]), 4))
  })

  it('takes a graph of whose inner values the file says nothing', () => {
    const graph = build([[6]], (b, [x]) => b.sign(b.mul(x!, 2)), 'float32')
    for (const { outputs } of graph.nodes) for (const name of outputs) graph.values.delete(name)
    expect(lowerForDevice(graph, 'webgpu').nodes.map(({ op }) => op)).toContain('Mul')
    expect(deviceReport(graph, 'webgpu').nodes).toBeGreaterThan(1)
  })

  it('leaves the graph of other devices and the given graph alone', () => {
    const graph = build([[3, 4], [5, 4]], cases[0]![2], 'float32') // prettier-ignore
    const before = [...graph.nodes]
    expect(lowerForDevice(graph, 'cpu')).toBe(graph)
    lowerForDevice(graph, 'webgpu')
    expect(graph.nodes).toEqual(before)
  })
})

describe('lowerForDevice without 16-bit floats', () => {
  const half = (values: readonly number[], shape: readonly number[]): HostTensor => ({
    dtype: 'float16',
    shape,
    data: Uint16Array.from(values, floatToHalf),
  })
  const without = { float16: false }

  /** Rows of a 16-bit table, looked up and widened as the gradient of a head looks up labels; and 16-bit arithmetic. */
  function heads(): Graph {
    const graph = new Graph('half')
    const b = new GraphBuilder(graph)
    const at = graph.addInput('at', 'int64', [2])
    const x = graph.addInput('x', 'float16', [2, 3])
    const table = b.constant(half([1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3]), 'table')
    const rows = b.gather(table, at, 0)
    const fill = b.emit('ConstantOfShape', [b.emit('Shape', [x])], { value: { type: 'tensor', value: half([0.5], [1]) } }, { shapes: [[2, 3]] }) // prettier-ignore
    const held = graph.declare('held', 'float16', [3])
    const value = { type: 'tensor', value: half([2, 4, 8], [3]) } as const
    graph.nodes.push({ op: 'Constant', domain: '', name: 'held', inputs: [], outputs: ['held'], attributes: { value } })
    const sum = b.add(b.mul(b.add(rows, x), held), fill)
    graph.outputs = [b.cast(sum, 'float32'), sum, b.cast(b.mul(b.cast(at, 'float16'), 2), 'float32')]
    return graph
  }
  const feeds = {
    at: tensor('int64', [2], [2, 0]),
    x: half([0.5, 1, 1.5, 2, 2.5, 3], [2, 3]),
  }

  it('computes the same with no kernel on float16, and keeps the types of inputs and outputs', async () => {
    const graph = heads()
    const before = [...graph.nodes]
    const lowered = lowerForDevice(graph, 'webgpu', without)
    expect(graph.nodes).toEqual(before)
    expect(lowered.inputs).toEqual(graph.inputs)
    expect(lowered.outputs).toEqual(graph.outputs)
    const border = lowered.nodes.filter(({ name }) => name.startsWith('device/float16/'))
    expect(border.every(({ op }) => op === 'Cast')).toBe(true)
    const outside = lowered.nodes.filter((node) => !border.includes(node) && node.op !== 'Constant')
    const types = outside.flatMap((node) => [...node.inputs, ...node.outputs].map((name) => lowered.values.get(name)?.dtype))
    expect(types).not.toContain('float16')
    const results = []
    for (const g of [graph, lowered]) {
      const session = await nodeRuntime({ threads: 1 }).createSession(g)
      results.push(Object.values(await session.run(feeds)))
      await session.release()
    }
    expect(results[1]).toEqual(results[0])
    expect(Array.from(results[0]![0]!.data, Number)).toEqual([15.5, 36.5, 84.5, 6.5, 18.5, 48.5])
  })

  it('gives the casts at the border to the CPU by name, and leaves the graph of a device with the feature alone', () => {
    const lowered = lowerForDevice(heads(), 'webgpu', without)
    const border = lowered.nodes.map(({ name }) => name).filter((name) => name.startsWith('device/float16/'))
    expect(executionProvider(lowered, 'webgpu')).toEqual({ name: 'webgpu', forceCpuNodeNames: border })
    expect(border.length).toBeGreaterThan(2)
    const same = lowerForDevice(heads(), 'webgpu', { float16: true })
    expect(same.nodes.some(({ name }) => name.startsWith('device/float16/'))).toBe(false)
    expect(executionProvider(same, 'webgpu')).toBe('webgpu')
  })
})

describe('deviceReport', () => {
  it('lists work on data without a kernel, and not the arithmetic of shapes', () => {
    const graph = build([[2, 3]], (b, [x]) => b.cast(b.emit('Mod', [x!, x!], { fmod: int(1) }), 'float64'), 'float32')
    expect(deviceReport(graph, 'webgpu').onCpu.map(({ op, dtype, nodes }) => [operatorKey(op, ''), dtype, nodes.length])).toEqual(
      [
        ['Mod', 'float32', 1],
        ['Cast', 'float32', 1],
      ],
    )
    expect(fallbackWarning(graph, 'webgpu')).toMatch(
      /^2 of 2 nodes of graph "device" have no webgpu kernel in ONNX Runtime 1\.30\.0 and run on the CPU.*Mod of float32 \(1, first "Mod"\)/,
    )
    expect(fallbackWarning(graph, 'cpu')).toBeUndefined()
    const shapes = build([[2, 3]], (b, [x]) => b.add(b.emit('Shape', [x!]), 1), 'float32')
    expect(deviceReport(shapes, 'webgpu')).toMatchObject({ onCpu: [], indexNodes: 1 })
  })

  it('lists work in bfloat16, and not the widening of stored weights and of rows of them', () => {
    const graph = new Graph('bfloat16')
    const b = new GraphBuilder(graph)
    const at = graph.addInput('at', 'int64', [2])
    const table = b.constant({ dtype: 'bfloat16', shape: [3, 2], data: new Uint16Array(6) }, 'table')
    const rows = b.gather(table, at, 0)
    graph.outputs = [b.matmul(b.cast(rows, 'float32'), b.transpose(b.cast(table, 'float32'), [1, 0])), b.neg(rows)]
    const { onCpu, indexNodes } = deviceReport(graph, 'webgpu')
    expect(onCpu.map(({ op, dtype }) => `${op} ${dtype}`)).toEqual(['Neg bfloat16'])
    expect(indexNodes).toBe(3)
  })

  it('knows that packed 4-bit weights are widened and looked up on the GPU', () => {
    const graph = new Graph('int4')
    const b = new GraphBuilder(graph)
    const at = graph.addInput('at', 'int64', [2])
    const codes = b.constant({ dtype: 'uint4', shape: [2, 32], data: new Uint8Array(32) }, 'codes')
    const scales = b.constant(tensor('float32', [2, 1], [1, 1]), 'scales')
    const zeroPoints = b.constant({ dtype: 'uint4', shape: [2, 1], data: new Uint8Array(1) }, 'zeros')
    const blocks = [codes, scales, zeroPoints]
    const lookup = { gather_axis: int(0), quantize_axis: int(1), block_size: int(32) }
    graph.outputs = [
      b.emit('DequantizeLinear', blocks, { axis: int(1), block_size: int(32) }),
      b.emit('GatherBlockQuantized', [codes, at, scales, zeroPoints], lookup, { domain: 'com.microsoft' }),
    ]
    expect(deviceReport(graph, 'webgpu').onCpu).toEqual([])
  })
})

describe('nodeRuntime', () => {
  it('refuses a device that does not exist, and more threads than WebAssembly was started with', async () => {
    expect(() => nodeRuntime({ device: 'tpu' as 'cpu' })).toThrow('unknown device "tpu"; expected one of cpu, webgpu, wasm, cuda')
    const graph = build([[3]], (b, [x]) => b.relu(x!), 'float32')
    await (await nodeRuntime({ device: 'wasm', threads: 1 }).createSession(graph)).release()
    await expect(nodeRuntime({ device: 'wasm', threads: 2 }).createSession(graph)).rejects.toThrow(
      'device "wasm" already runs with 1 thread(s) and cannot change to 2',
    )
  })

  const libraries = 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so'
  const lacksCuda = process.platform === 'linux' && process.arch === 'x64' && !existsSync(libraries)
  it.runIf(lacksCuda)('says what to do where the libraries of CUDA are not installed', async () => {
    const graph = build([[3]], (b, [x]) => b.relu(x!), 'float32')
    await expect(nodeRuntime({ device: 'cuda' }).createSession(graph)).rejects.toThrow(
      /^device "cuda": its libraries could not be loaded;.*run "node node_modules\/onnxruntime-node\/script\/install\.js".*use device "webgpu" or "cpu"/,
    )
  })

  it('refuses weights that WebAssembly cannot address', async () => {
    const graph = new Graph('large')
    const shape = [2 ** 15, 2 ** 15]
    const weight = graph.addInitializer('w', { dtype: 'float32', shape, file: { path: 'none', offset: 0, length: 2 ** 32 + 4 } })
    graph.outputs = [new GraphBuilder(graph).neg(weight)]
    await expect(nodeRuntime({ device: 'wasm', threads: 1 }).createSession(graph)).rejects.toThrow(
      'the weights of graph "large" are 4.0 GiB; device "wasm" runs in WebAssembly, which addresses 4 GiB',
    )
  })
})

import { describe, expect, it } from 'vitest'
import { operatorKey } from '../../graph/allowed-ops.js'
import { GraphBuilder } from '../../graph/builder.js'
import { tensor } from '../../graph/constants.js'
import { Graph } from '../../graph/graph.js'
import { int, type DType, type HostTensor, type Value } from '../../graph/types.js'
import { nodeRuntime } from '../ort-node.js'
import { deviceReport, fallbackWarning } from './device-report.js'
import { lowerForDevice } from './lower-for-device.js'

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

  it('leaves the graph of other devices and the given graph alone', () => {
    const graph = build([[3, 4], [5, 4]], cases[0]![2], 'float32') // prettier-ignore
    const before = [...graph.nodes]
    expect(lowerForDevice(graph, 'cpu')).toBe(graph)
    lowerForDevice(graph, 'webgpu')
    expect(graph.nodes).toEqual(before)
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

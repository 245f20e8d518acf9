/** @file ONNX files written in parts are read again: which weights lie in the model and which beside it, replaced or copied. */
import { describe, expect, it } from 'vitest'
import { InvalidModelError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { float32 } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { isFileTensor, type HostTensor } from '../graph/types.js'
import { memoryFiles } from '../io/memory-files.js'
import { decodeModel } from '../onnx/index.js'
import { writeOnnxFile, type TensorSource } from './onnx-file.js'

/** 2·x·w·vᵀ: three weights, one of them in a file. */
function graphOf(w: HostTensor, v: HostTensor): Graph {
  const graph = new Graph('weights')
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', ['rows', w.shape[0]!])
  const inFile = { dtype: 'float32' as const, shape: v.shape, file: { path: 'base/v.bin', offset: 8, length: 4 * v.data.length } }
  const sum = b.gemm(b.matmul(x, graph.addInitializer('w', w)), graph.addInitializer('v', inFile), { transB: true })
  graph.outputs = [b.emit('Mul', [sum, b.scalar(2)], {}, { name: 'y' })]
  return graph
}

const w = float32(
  [40, 30],
  Float32Array.from({ length: 1200 }, (_, i) => i),
)
const v = float32(
  [300, 30],
  Float32Array.from({ length: 9000 }, (_, i) => -i),
)

function filesWith(): ReturnType<typeof memoryFiles> {
  const bytes = new Uint8Array(8 + 36_000)
  bytes.set(new Uint8Array(v.data.buffer), 8)
  return memoryFiles({ 'base/v.bin': bytes })
}

describe('writeOnnxFile', () => {
  it('keeps few weights in the model, those of other files as well', async () => {
    const files = filesWith()
    const written = await writeOnnxFile(files, graphOf(w, v), 'out/m.onnx')
    expect(written).toEqual({ files: ['m.onnx'], dataFiles: 0, bytes: await files.size('out/m.onnx') })
    const read = decodeModel(await files.read('out/m.onnx'))
    expect((read.initializers.get('w') as HostTensor).data).toEqual(w.data)
    expect((read.initializers.get('v') as HostTensor).data).toEqual(v.data)
    expect(read.outputs[0]!.shape).toEqual(['rows', 300])
  })

  it('puts many beside it, aligned, in files of limited size; small ones stay', async () => {
    const files = filesWith()
    const written = await writeOnnxFile(files, graphOf(w, v), 'out/m.onnx', { inlineUpTo: 100, dataFileSize: 10_000 })
    expect(written.files).toEqual(['m.onnx', 'm.onnx_data', 'm.onnx_data_1'])
    const read = decodeModel(await files.read('out/m.onnx'), { folder: 'out' })
    for (const [name, expected] of [
      ['w', w],
      ['v', v],
    ] as const) {
      // prettier-ignore
      const place = read.initializers.get(name)!
      if (!isFileTensor(place)) throw new Error(name)
      const bytes = await files.read(`out/${place.file.path.split('/').pop()!}`, place.file)
      expect(new Float32Array(bytes.slice().buffer)).toEqual(expected.data)
    }
    expect([...read.initializers.values()].filter((t) => !isFileTensor(t))).toHaveLength(1)
    expect(written.bytes).toBe((await files.size('out/m.onnx')) + 4 * (1200 + 9000))
  })

  it('writes what sources give in place of the weights, and refuses other sizes', async () => {
    const files = filesWith()
    const half: TensorSource = {
      dtype: 'float32',
      shape: [300, 30],
      async *chunks() {
        for (let i = 0; i < 3; i++) yield await Promise.resolve(new Uint8Array(12_000).fill(i))
      },
    }
    await writeOnnxFile(files, graphOf(w, v), 'out/m.onnx', { sources: new Map([['v', half]]) })
    const { data } = decodeModel(await files.read('out/m.onnx')).initializers.get('v') as HostTensor
    expect(new Uint8Array(data.buffer, data.byteOffset)[13_000]).toBe(1)
    const wrong = new Map([['v', { ...half, shape: [300, 31] }]])
    for (const inlineUpTo of [0, 1 << 20]) {
      const attempt = writeOnnxFile(files, graphOf(w, v), `bad/${inlineUpTo}/m.onnx`, { sources: wrong, inlineUpTo })
      await expect(attempt).rejects.toThrow(InvalidModelError)
      await expect(attempt).rejects.toThrow('a tensor of 37200 bytes gave 36000')
      expect(await files.exists(`bad/${inlineUpTo}/m.onnx`)).toBe(false)
    }
  })

  it('copies tensors that attributes of nodes point to', async () => {
    const files = filesWith()
    const graph = graphOf(w, v)
    const place = graph.initializers.get('v')!
    graph.initializers.delete('v')
    const value = { type: 'tensor' as const, value: place }
    graph.nodes.unshift({ op: 'Constant', domain: '', name: 'v', inputs: [], outputs: ['v'], attributes: { value } })
    await writeOnnxFile(files, graph, 'out/m.onnx')
    const read = decodeModel(await files.read('out/m.onnx'), { folder: 'out' })
    const attribute = read.nodes.find(({ op }) => op === 'Constant')!.attributes['value']!
    if (attribute.type !== 'tensor' || !isFileTensor(attribute.value)) throw new Error('not in a file')
    const bytes = await files.read('out/m.onnx_data', attribute.value.file)
    expect(new Float32Array(bytes.slice().buffer)).toEqual(v.data)
  })
})

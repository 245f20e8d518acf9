/** Which sessions keep weights arranged for products; how a base is packed. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../../test/support/training.js'
import { encodeSafetensors, loadTensor, toFloat32 } from '../formats/safetensors.js'
import { GraphBuilder } from '../graph/builder.js'
import { Graph } from '../graph/graph.js'
import { isFileTensor, type FileTensor } from '../graph/types.js'
import { nodeFiles } from '../io/node-files.js'
import { Int8Packer, packedWhole } from '../quantize/pack.js'
import { packsWeights, quantizeBase } from './quantized-base.js'

/** y = x·W, with W in a file that nobody reads. */
function product(rows: number, columns: number, dtype: 'float32' | 'float16'): Graph {
  const graph = new Graph('product')
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', ['n', rows])
  const length = rows * columns * (dtype === 'float32' ? 4 : 2)
  const W = graph.addInitializer('W', { dtype, shape: [rows, columns], file: { path: 'weights', offset: 0, length } })
  graph.outputs = [b.sumAll(b.matmul(x, b.cast(W, 'float32')))]
  return graph
}

it('a small base is arranged for speed, a large one is read in place, whatever it is stored as', () => {
  for (const dtype of ['float32', 'float16'] as const) {
    expect(packsWeights(product(1024, 1024, dtype))).toBe(true)
    expect(packsWeights(product(16384, 8192, dtype))).toBe(false)
  }
})

it('quantised products need their own arrangement', () => {
  expect(packsWeights(product(16384, 8192, 'float32'), 'int8')).toBe(true)
  expect(packsWeights(product(16384, 8192, 'float32'), 'int4')).toBe(true)
})

describe('a matrix of several slices', () => {
  const folder = temporaryFolder()
  const [rows, columns] = [4200, 2112]

  /** A model file of one bfloat16 matrix of 18 MB; the upper halves of small float32 numbers. */
  function graphOf(name: string, change: (bits: Uint16Array) => void = () => undefined): Graph {
    const bits = Uint16Array.from({ length: rows * columns }, (_, i) => (i % 2 === 0 ? 0x3d00 : 0xbd00) + ((i * 7919) % 251))
    change(bits)
    const path = join(folder, name, 'model.safetensors')
    mkdirSync(join(folder, name), { recursive: true })
    const bytes = encodeSafetensors([['W', { dtype: 'bfloat16', shape: [rows, columns], data: bits }]])
    writeFileSync(path, bytes)
    const graph = new Graph('large')
    const b = new GraphBuilder(graph)
    const x = graph.addInput('x', 'float32', ['n', rows])
    const length = bits.byteLength
    const W = graph.addInitializer('W', {
      dtype: 'bfloat16',
      shape: [rows, columns],
      file: { path, offset: bytes.length - length, length },
    })
    graph.outputs = [b.sumAll(b.matmul(x, b.cast(W, 'float32')))]
    return graph
  }

  it('is packed as in one piece', async () => {
    const graph = graphOf('whole')
    const packed = await quantizeBase(graph, 'int8', graph.outputs[0]!.name, nodeFiles())
    const codes = packed.initializers.get('W/codes')!
    if (!isFileTensor(codes)) throw new Error('the codes must be in the cache')
    const tensor = (await loadTensor(nodeFiles(), { ...codes, dtype: 'int8' })).data as Int8Array
    const W = toFloat32(await loadTensor(nodeFiles(), graph.initializers.get('W') as FileTensor))
    const { asStored } = packedWhole(new Int8Packer(rows, columns), W)
    expect(Buffer.from(tensor.buffer, tensor.byteOffset, tensor.length).equals(Buffer.from(asStored.codes.buffer))).toBe(true)
  })

  it('is refused with the place of a number that is none, in whichever slice', async () => {
    const place = 4199 * columns + 5
    const graph = graphOf('bad', (bits) => (bits[place] = 0x7fc0))
    await expect(quantizeBase(graph, 'int8', graph.outputs[0]!.name, nodeFiles())).rejects.toThrow(
      `tensor "W", element ${place} is NaN: it cannot be quantised`,
    )
  })
})

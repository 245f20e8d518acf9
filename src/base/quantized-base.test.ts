/** @file Which sessions keep weights arranged for products; how a base is packed. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../../test/support/training.js'
import { FileError } from '../errors.js'
import { encodeSafetensors, loadTensor, toFloat32 } from '../formats/safetensors.js'
import { GraphBuilder } from '../graph/builder.js'
import { Graph } from '../graph/graph.js'
import { isFileTensor, type FileTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
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

const folder = temporaryFolder()
const cache = { files: nodeFiles(), cacheFolder: join(folder, 'cache') }

describe('a matrix of several slices', () => {
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
    const packed = await quantizeBase(graph, 'int8', graph.outputs[0]!.name, cache)
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
    await expect(quantizeBase(graph, 'int8', graph.outputs[0]!.name, cache)).rejects.toThrow(
      `tensor "W", element ${place} is NaN: it cannot be quantised`,
    )
  })
})

describe('the cache', () => {
  const [rows, columns] = [64, 96]

  /** A model file of two matrices; `values(i)` are the numbers of the first. */
  function modelOf(name: string, values: (i: number) => number): { path: string; graph: Graph } {
    const path = join(folder, name, 'model.safetensors')
    mkdirSync(join(folder, name), { recursive: true })
    const shape = [rows, columns]
    const data = (of: (i: number) => number): Float32Array => Float32Array.from({ length: rows * columns }, (_, i) => of(i))
    const tensors = { A: data(values), B: data((i) => Math.cos(i)) }
    const bytes = encodeSafetensors(Object.entries(tensors).map(([key, d]) => [key, { dtype: 'float32', shape, data: d }]))
    writeFileSync(path, bytes)
    const graph = new Graph('pair')
    const b = new GraphBuilder(graph)
    const x = graph.addInput('x', 'float32', ['n', rows])
    const size = rows * columns * 4
    const weight = (key: string, offset: number): ReturnType<Graph['addInitializer']> =>
      graph.addInitializer(key, { dtype: 'float32', shape, file: { path, offset, length: size } })
    const A = weight('A', bytes.length - 2 * size)
    const B = weight('B', bytes.length - size)
    graph.outputs = [b.sumAll(b.add(b.matmul(x, A), b.matmul(x, B)))]
    return { path, graph }
  }

  /** Where the codes of A were taken from, and what they are. */
  async function codesOf(graph: Graph, options: { files: Files; cacheFolder?: string } = cache): Promise<[string, Buffer]> {
    const packed = await quantizeBase(graph, 'int8', graph.outputs[0]!.name, options)
    const codes = packed.initializers.get('A/codes')!
    if (!isFileTensor(codes)) return ['memory', Buffer.from((codes.data as Int8Array).slice().buffer)]
    const { data } = await loadTensor(options.files, codes)
    return [codes.file.path, Buffer.from((data as Int8Array).slice().buffer)]
  }

  it("is the user's: nothing is written beside the model", async () => {
    const { path, graph } = modelOf('shared', (i) => Math.sin(i))
    const [place] = await codesOf(graph)
    expect(place.startsWith(join(cache.cacheFolder, 'bases', 'shared-'))).toBe(true)
    expect(readdirSync(join(path, '..'))).toEqual(['model.safetensors'])
  })

  it('lies beside the model where there is no cache folder, as in a page', async () => {
    const { path, graph } = modelOf('page', (i) => Math.sin(i))
    const [place] = await codesOf(graph, { files: nodeFiles() })
    expect(place).toBe(join(path, '..', '.lowrank', 'int8.safetensors'))
  })

  it('is made again when one byte changed in the middle of the weights, whatever their size and times say', async () => {
    const { path, graph } = modelOf('changed', (i) => Math.sin(i))
    const [, before] = await codesOf(graph)
    const { atime, mtime } = statSync(path)
    const bytes = readFileSync(path)
    bytes[Math.floor(bytes.length / 4) | 3]! ^= 0x80
    writeFileSync(path, bytes)
    utimesSync(path, atime, mtime)
    const [place, after] = await codesOf(graph)
    expect(after.equals(before)).toBe(false)
    expect(after.equals((await codesOf(graph, { files: nodeFiles(), cacheFolder: join(folder, 'other') }))[1])).toBe(true)
    expect((await codesOf(graph))[0]).toBe(place)
  })

  it('is not taken for a matrix from another place of the same file', async () => {
    const { path, graph } = modelOf('replicated', (i) => Math.sin(i))
    const [, before] = await codesOf(graph)
    const [A, B] = ['A', 'B'].map((name) => graph.initializers.get(name) as FileTensor)
    const swapped = graph.clone()
    swapped.initializers.set('A', B!)
    swapped.initializers.set('B', A!)
    const [, after] = await codesOf(swapped)
    expect(after.equals(before)).toBe(false)
    expect(existsSync(path)).toBe(true)
  })

  it('is made again when it is damaged, in its middle or its end', async () => {
    const { graph } = modelOf('damaged', (i) => Math.sin(i))
    const [place, good] = await codesOf(graph)
    const whole = readFileSync(place)
    const flipped = Buffer.from(whole)
    flipped[Math.floor(whole.length / 2)]! ^= 1
    for (const bad of [flipped, whole.subarray(0, whole.length - 5), Buffer.from('nothing')]) {
      writeFileSync(place, bad)
      expect((await codesOf(graph))[1].equals(good)).toBe(true)
      expect(readFileSync(place).equals(whole)).toBe(true)
    }
    rmSync(place.replace('.safetensors', '.json'))
    expect((await codesOf(graph))[1].equals(good)).toBe(true)
  })

  it('that cannot be read or written is made anew in memory', async () => {
    const { graph } = modelOf('locked', (i) => Math.sin(i))
    const [place, good] = await codesOf(graph)
    const files = nodeFiles()
    const denied = (path: string): void => {
      if (path.startsWith(cache.cacheFolder)) throw new FileError(`no permission for ${path}`)
    }
    const read: Files['read'] = async (path, range) => (denied(path), files.read(path, range))
    const readText: Files['readText'] = async (path) => (denied(path), files.readText(path))
    const write: Files['write'] = async (path, content) => (denied(path), files.write(path, content))
    // Another user's file in a folder of ours is replaced.
    const [again, same] = await codesOf(graph, { ...cache, files: { ...files, readText } })
    expect([again, same.equals(good)]).toEqual(['memory', true])
    const [nowhere, still] = await codesOf(graph, { ...cache, files: { ...files, read, readText, write } })
    expect([nowhere, still.equals(good)]).toEqual(['memory', true])
    if (process.getuid?.() !== 0) {
      chmodSync(place, 0)
      expect((await codesOf(graph))[1].equals(good)).toBe(true)
    }
  })

  it('is whole when two make it at once', async () => {
    const { graph } = modelOf('together', (i) => Math.sin(i))
    const all = await Promise.all([codesOf(graph), codesOf(graph), codesOf(graph)])
    for (const [, codes] of all) expect(codes.equals(all[0]![1])).toBe(true)
    expect((await codesOf(graph))[1].equals(all[0]![1])).toBe(true)
    expect(readdirSync(join(all[0]![0], '..'))).toEqual(['int8.json', 'int8.safetensors'])
  })
})

/** @file Model folders with `pytorch_model.bin`: tensors are ranges of the file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { tensor } from '../graph/constants.js'
import { nodeFiles } from '../io/node-files.js'
import { openCheckpoint } from './checkpoint.js'
import { loadTensor } from './safetensors.js'
import { encodeTorch } from './torch/index.js'

const files = nodeFiles()
const fixtures = join(import.meta.dirname, '../../test/fixtures/torch')
const folder = mkdtempSync(join(tmpdir(), 'lowrank-checkpoint-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const a = tensor('float32', [2, 2], [1, 2, 3, 4])
const b = tensor('bfloat16', [3], [1, 2, 3])

it('a single file, of either container', async () => {
  const dir = join(folder, 'single')
  await files.write(join(dir, 'pytorch_model.bin'), encodeTorch([['a', a], ['b', b]])) // prettier-ignore
  const { weights, shards, index } = await openCheckpoint(files, dir)
  expect(await loadTensor(files, weights.get('a')!)).toEqual(a)
  expect(await loadTensor(files, weights.get('b')!)).toEqual(b)
  expect(shards).toEqual([{ file: 'model.safetensors', tensors: ['a', 'b'], metadata: { format: 'pt' } }])
  expect(index).toBeUndefined()
  const legacy = join(folder, 'legacy')
  await files.write(join(legacy, 'pytorch_model.bin'), await files.read(join(fixtures, 'wrapped.legacy.th')))
  expect((await openCheckpoint(files, legacy)).weights.get('0.weight')!.shape).toEqual([2, 3])
})

it('shards by their index, under the names that safetensors files in their place have', async () => {
  const dir = join(folder, 'shards')
  const names = ['pytorch_model-00001-of-00002.bin', 'pytorch_model-00002-of-00002.bin'] as const
  await files.write(join(dir, names[0]), encodeTorch([['a', a]]))
  await files.write(join(dir, names[1]), encodeTorch([['b', b]]))
  const weightMap = { a: names[0], b: names[1] }
  await files.write(join(dir, 'pytorch_model.bin.index.json'), JSON.stringify({ metadata: {}, weight_map: weightMap }))
  const { weights, shards, index } = await openCheckpoint(files, dir)
  expect(await loadTensor(files, weights.get('b')!)).toEqual(b)
  expect(shards.map(({ file }) => file)).toEqual(['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'])
  expect(index!['weight_map']).toEqual({ a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' })
})

it('tensors that no range of the file holds are named', async () => {
  const dir = join(folder, 'views')
  await files.write(join(dir, 'pytorch_model.bin'), await files.read(join(fixtures, 'views.zip.pt')))
  await expect(openCheckpoint(files, dir)).rejects.toThrow(/4 tensors are deflated or not in row-major order.*transposed/)
})

it('a pickle that asks for code is refused', async () => {
  const dir = join(folder, 'hostile')
  await files.write(join(dir, 'pytorch_model.bin'), await files.read(join(fixtures, 'hostile-system.pt')))
  await expect(openCheckpoint(files, dir)).rejects.toThrow(/pytorch_model\.bin: .*"posix\.system"/)
})

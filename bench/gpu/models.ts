/** @file Copies of a model of the benchmark with its weights in float16. */
import { existsSync } from 'node:fs'
import { cp, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { castFloats, loadTensor, readSafetensorsHeader, safetensorsChunks } from '../../src/formats/index.js'
import { nodeEnvironment } from '../../src/index.js'

/** @returns the folder of the copy, made once */
export async function float16Model(path: string): Promise<string> {
  const copy = `${path}-float16`
  if (existsSync(join(copy, 'config.json'))) return copy
  await mkdir(copy, { recursive: true })
  const { files } = nodeEnvironment()
  const { tensors } = await readSafetensorsHeader(files, join(path, 'model.safetensors'))
  const halves = [...tensors].map(([name, tensor]) => ({
    ...{ name, dtype: 'float16' as const, shape: tensor.shape },
    load: async () => {
      const { data } = castFloats(await loadTensor(files, tensor), 'float16')
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    },
  }))
  await files.write(join(copy, 'part'), safetensorsChunks(halves))
  await rename(join(copy, 'part'), join(copy, 'model.safetensors'))
  await cp(join(path, 'config.json'), join(copy, 'config.json'))
  return copy
}

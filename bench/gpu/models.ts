/** @file Copies of a model of the benchmark with its weights in float16. */
import { existsSync } from 'node:fs'
import { cp, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesOf } from '../../src/graph/constants.js'
import { loadTensor, readSafetensorsHeader, toFloat32 } from '../../src/formats/safetensors.js'
import { safetensorsChunks } from '../../src/formats/safetensors-write.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { narrow } from '../../src/util/half.js'

/** @returns the folder of the copy, made once */
export async function float16Model(path: string): Promise<string> {
  const copy = `${path}-float16`
  if (existsSync(join(copy, 'config.json'))) return copy
  await mkdir(copy, { recursive: true })
  const files = nodeFiles()
  const { tensors } = await readSafetensorsHeader(files, join(path, 'model.safetensors'))
  const halves = [...tensors].map(([name, tensor]) => ({
    ...{ name, dtype: 'float16' as const, shape: tensor.shape },
    load: async () => {
      const data = narrow('float16', toFloat32(await loadTensor(files, tensor)))
      return bytesOf({ dtype: 'float16', shape: tensor.shape, data })
    },
  }))
  await files.write(join(copy, 'part'), safetensorsChunks(halves))
  await rename(join(copy, 'part'), join(copy, 'model.safetensors'))
  await cp(join(path, 'config.json'), join(copy, 'config.json'))
  return copy
}

/** @file External data of a model stays in its folder, by name and by symbolic link. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema, TensorProto_DataLocation as DataLocation } from 'onnx-buf'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readOnnx } from '../../src/onnx-model/read.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { outside } from './onnx.js'

const model = (location: string): Uint8Array =>
  toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ version: 17n }],
      graph: {
        name: 'g',
        initializer: [{ name: 'w', dataType: 1, dims: [2n], dataLocation: DataLocation.EXTERNAL, externalData: [{ key: 'location', value: location }] }], // prettier-ignore
      },
    }),
  )

describe('external data', () => {
  let root = ''
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'lowrank-places-'))
    for (const folder of ['model', 'cache', 'hub', 'elsewhere']) mkdirSync(join(root, folder))
    writeFileSync(join(root, 'elsewhere/secret'), new Uint8Array(8))
    writeFileSync(join(root, 'model/own'), new Uint8Array(8))
    symlinkSync('own', join(root, 'model/inner'))
    symlinkSync('../elsewhere/secret', join(root, 'model/out'))
    symlinkSync('../elsewhere', join(root, 'model/link'))
    writeFileSync(join(root, 'cache/blob'), new Uint8Array(8))
    writeFileSync(join(root, 'cache/model-blob'), model('data'))
    symlinkSync('../cache/model-blob', join(root, 'hub/model.onnx'))
    symlinkSync('../cache/blob', join(root, 'hub/data'))
  })
  afterAll(() => rmSync(root, { recursive: true }))

  const read = (location: string): Promise<unknown> => {
    writeFileSync(join(root, 'model/model.onnx'), model(location))
    return readOnnx(nodeFiles(), join(root, 'model/model.onnx'))
  }

  it('is read from the folder, by links inside it, and from a cache that links the model itself', async () => {
    await expect(read('own')).resolves.toBeDefined()
    await expect(read('inner')).resolves.toBeDefined()
    await expect(readOnnx(nodeFiles(), join(root, 'hub/model.onnx'))).resolves.toBeDefined()
  })

  it.each(['out', 'link/secret'])('is refused where a link leads out: %s', async (location) => {
    await expect(read(location)).rejects.toThrow(/is a link to ".*secret", outside the model's folder/)
  })

  it.each(outside.filter((location) => !/^(link|file)/.test(location)))('is refused by name: %j', async (location) => {
    await expect(read(location)).rejects.toThrow("is not a file inside the model's folder")
  })
})

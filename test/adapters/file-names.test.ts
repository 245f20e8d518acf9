/** @file Folders are written, never under the name of a file. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import {
  addLora,
  exportOnnx,
  InvalidAdapterError,
  InvalidOptionError,
  loadAdapter,
  loadModel,
  merge,
  train,
} from '../../src/index.js'
import { randomRows, temporaryFolder, writeModel, writeRows } from '../support/training.js'

const folder = temporaryFolder()
const path = join(folder, 'model')
mkdirSync(path)
writeModel(path)
const data = writeRows(join(folder, 'rows.jsonl'), randomRows(2))
const adapter = await addLora(await loadModel(path, { threads: 1 }), { r: 2 })
const runs: Readonly<Record<string, (out: string) => unknown>> = {
  merge: (out) => merge(adapter).save(out),
  'merge to onnx': (out) => merge(adapter).save(out, { format: 'onnx' }),
  exportOnnx: (out) => exportOnnx(adapter, out),
  'adapter.save': (out) => adapter.save(out),
  train: async (out) => {
    for await (const _ of train(adapter, { data, out, steps: 1 }));
  },
}

it.each(Object.entries(runs))('%s', async (_, run) => {
  for (const ending of ['gguf', 'safetensors', 'onnx', 'bin']) {
    const out = join(folder, `out.${ending}`)
    const error = await Promise.resolve(run(out)).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(InvalidOptionError)
    expect((error as Error).message).toMatch(
      /out\.\w+" has the name of a file \(\.\w+\), but a folder is written: .*\. Name a folder$/,
    )
    expect(existsSync(out)).toBe(false)
  }
  // Dots alone make no file.
  await run(join(folder, `out-${_}-1.5b.v2`))
})

it('a folder of such a name that is there is taken; a file of an adapter names its folder', async () => {
  const out = join(folder, 'there.bin')
  mkdirSync(out)
  await adapter.save(out)
  await expect(loadAdapter(adapter.model, join(out, 'adapter_model.safetensors'))).rejects.toThrow(
    new InvalidAdapterError(
      `"${join(out, 'adapter_model.safetensors')}" is a file of an adapter's folder; name the folder itself ("${out}")`,
    ),
  )
})

it('targets that are there, in layers that are not, are not taken for misspelt', () =>
  expect(addLora(adapter.model, { targetModules: ['q_proj'], layersToTransform: [9] })).rejects.toThrow(
    /^"targetModules" \["q_proj"\] matches no layer of the model; with layersToTransform \[9\]; layers that can be adapted/,
  ))

/** @file Exports in onnxruntime-web: what pages run, here WebAssembly in Node. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as node from 'onnxruntime-node'
import * as web from 'onnxruntime-web'
import { expect, it } from 'vitest'
import { exportOnnx, loadAdapter, loadModel } from '../../src/index.js'
import { golden } from '../cli/run-cli.js'
import { relativeError } from '../models/golden.js'
import { temporaryFolder } from '../support/training.js'

const scratch = temporaryFolder()

it.each(['llama', 'gemma3', 'gpt2', 'mistral'])('%s with external data and a cache: the same logits', async (name) => {
  const model = await loadModel(join(golden, name, 'model'))
  const out = join(scratch, name)
  await exportOnnx(await loadAdapter(model, join(golden, name, 'adapter')), out, { inlineUpTo: 0 })
  const path = join(out, 'onnx/model.onnx')
  const externalData = [{ path: 'model.onnx_data', data: readFileSync(`${path}_data`) }]
  web.env.wasm.numThreads = 1
  web.env.logLevel = 'error'
  const sessions = [
    await web.InferenceSession.create(readFileSync(path), { externalData, executionProviders: ['wasm'] }),
    await node.InferenceSession.create(path, { logSeverityLevel: 3 }),
  ]
  const ids = [5, 9, 7, 3, 8, 6, 11, 4, 10, 12, 3]
  const [theirs, ours] = await Promise.all(
    sessions.map(async (session) => {
      const Tensor = session === sessions[0] ? web.Tensor : node.Tensor
      const int64 = (values: readonly number[]): web.Tensor =>
        new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])
      let past: Record<string, web.Tensor> = {}
      for (const meta of session.inputMetadata)
        if (meta.isTensor && meta.name.startsWith('past_key_values.')) {
          const dims = meta.shape.map((dim) => (typeof dim === 'number' ? dim : dim === 'batch_size' ? 1 : 0))
          past[meta.name] = new Tensor('float32', new Float32Array(0), dims)
        }
      const logits: number[] = []
      for (const [start, end] of [
        [0, 9],
        [9, 10],
        [10, 11],
      ] as const) {
        // prettier-ignore
        const positions = ids.map((_, i) => i)
        const results = await session.run({
          input_ids: int64(ids.slice(start, end)),
          position_ids: int64(positions.slice(start, end)),
          attention_mask: int64(positions.slice(0, end).map(() => 1)),
          ...past,
        })
        const present = session.outputNames.slice(1)
        past = Object.fromEntries(present.map((key) => [key.replace('present', 'past_key_values'), results[key]!]))
        logits.push(...(results['logits']!.data as Float32Array))
      }
      await session.release()
      return logits
    }),
  )
  expect(relativeError(theirs!, ours!)).toBeLessThan(1e-5)
})

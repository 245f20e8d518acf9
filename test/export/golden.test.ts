/** @file Every golden case exported, run by plain onnxruntime-node: merged, with inputs, over a cache. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { exportOnnx, exportWithAdapterInputs, loadAdapter, loadModel } from '../../src/index.js'
import { isFileTensor, type HostTensor } from '../../src/graph/types.js'
import { decodeModel } from '../../src/onnx/index.js'
import { golden } from '../cli/run-cli.js'
import { hostTensor, positionIds, relativeError, tensorsOf } from '../models/golden.js'
import { temporaryFolder } from '../support/training.js'

const cases = readdirSync(golden, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

type Tensors = Record<string, Tensor>

const toOrt = ({ dtype, data, shape }: HostTensor): Tensor => new Tensor(dtype as 'float32', data as Float32Array, [...shape])

/** Columns `from` to `to` of int64 rows. */
function columns(tensor: Tensor, from: number, to: number): Tensor {
  const [rows, width] = tensor.dims as [number, number]
  const values = Array.from({ length: rows }, (_, i) =>
    Array.from((tensor.data as BigInt64Array).subarray(i * width + from, i * width + to)),
  )
  return new Tensor('int64', BigInt64Array.from(values.flat()), [rows, to - from])
}

/** Logits of a decoder that reads rows in pieces of these lengths. */
async function decode(
  session: InferenceSession,
  feeds: Tensors,
  extra: Tensors,
  lengths: readonly number[],
): Promise<Float32Array> {
  const batch = feeds['input_ids']!.dims[0]!
  let past: Tensors = Object.fromEntries(
    session.inputMetadata
      .filter(({ name }) => name.startsWith('past_key_values.'))
      .map((meta) => {
        if (!meta.isTensor) throw new Error(meta.name)
        const dims = meta.shape.map((dim) => (typeof dim === 'number' ? dim : dim === 'batch_size' ? batch : 0))
        return [meta.name, new Tensor('float32', new Float32Array(0), dims)]
      }),
  )
  const parts: { readonly data: Float32Array; readonly length: number }[] = []
  let start = 0
  for (const length of lengths) {
    const end = start + length
    const results = await session.run({
      input_ids: columns(feeds['input_ids']!, start, end),
      position_ids: columns(feeds['position_ids']!, start, end),
      attention_mask: columns(feeds['attention_mask']!, 0, end),
      ...past,
      ...extra,
    })
    past = Object.fromEntries(
      session.outputNames.slice(1).map((name) => [name.replace('present', 'past_key_values'), results[name]! as Tensor]),
    )
    expect(past['past_key_values.0.key']!.dims[2]).toBe(end)
    parts.push({ data: results['logits']!.data as Float32Array, length })
    start = end
  }
  const vocabulary = parts[0]!.data.length / batch / parts[0]!.length
  const rows = Array.from({ length: batch }, (_, i) =>
    parts.flatMap(({ data, length }) => Array.from(data.subarray(i * length * vocabulary, (i + 1) * length * vocabulary))),
  )
  return Float32Array.from(rows.flat())
}

const ort = (folder: string): Promise<InferenceSession> => {
  const [name] = readdirSync(join(folder, 'onnx')).filter((file) => file.endsWith('.onnx'))
  return InferenceSession.create(join(folder, 'onnx', name!), { logSeverityLevel: 3, intraOpNumThreads: 1 })
}

it('finds the golden cases', () => expect(cases.length).toBeGreaterThanOrEqual(23))

describe.each(cases)('export of %s', (name) => {
  const scratch = temporaryFolder()
  const folder = join(golden, name)

  it("gives PyTorch's logits with the adapter, in standard operators", async () => {
    const model = await loadModel(join(folder, 'model'), { threads: 1 })
    const adapter = await loadAdapter(model, join(folder, 'adapter'))
    const tensors = await tensorsOf(join(folder, 'tensors.safetensors'))
    const expected = (await hostTensor(tensors, 'logits')).data as Float32Array
    const feeds: Tensors = {}
    for (const key of tensors.keys()) if (key.startsWith('input.')) feeds[key.slice(6)] = toOrt(await hostTensor(tensors, key))
    const ids = feeds['input_ids']
    if (ids !== undefined) {
      const [batch, length] = ids.dims as [number, number]
      feeds['position_ids'] = toOrt(positionIds(batch, length))
      feeds['token_type_ids'] ??= new Tensor('int64', new BigInt64Array(batch * length), [batch, length])
    }
    await exportOnnx(adapter, join(scratch, 'merged'), { inlineUpTo: 0, dataFileSize: 30_000 })
    await exportOnnx(adapter, join(scratch, 'fp16'), { dtype: 'fp16' })
    await exportWithAdapterInputs({ it: adapter }, join(scratch, 'inputs'))
    const small = await tensorsOf(join(scratch, 'inputs/adapters/it.safetensors'))
    const lora: Tensors = {}
    for (const key of small.keys()) lora[key] = toOrt(await hostTensor(small, key))
    const exported: readonly (readonly [string, Tensors, number])[] = [
      ['merged', {}, 1e-5],
      ['inputs', lora, 1e-5],
      ['fp16', {}, 5e-3],
    ]
    for (const [kind, extra, tolerance] of exported) {
      const session = await ort(join(scratch, kind))
      const told = session.inputNames.filter((input) => extra[input] === undefined)
      if (model.task.name === 'causal-lm') {
        const length = ids!.dims[1]!
        for (const lengths of [[length], [length - 3, 1, 2]])
          expect(relativeError(await decode(session, feeds, extra, lengths), expected)).toBeLessThan(tolerance)
      } else {
        const results = await session.run({ ...Object.fromEntries(told.map((input) => [input, feeds[input]!])), ...extra })
        expect(relativeError(results['logits']!.data as Float32Array, expected)).toBeLessThan(tolerance)
      }
      await session.release()
    }
    const files = readdirSync(join(scratch, 'merged/onnx'))
    expect(files.length).toBeGreaterThan(3)
    const { 'transformers.js_config': told } = JSON.parse(readFileSync(join(scratch, 'merged/config.json'), 'utf8')) as {
      'transformers.js_config': object
    }
    expect(told).toEqual({ dtype: 'fp32', use_external_data_format: { 'model.onnx': files.length - 1 } })
    const graph = decodeModel(readFileSync(join(scratch, 'merged/onnx/model.onnx')), { folder: 'onnx' })
    expect([...graph.opsets]).toEqual([['', 21]])
    expect(graph.nodes.map(({ op }) => op)).not.toContain('SimplifiedLayerNormalization')
    const places = [...graph.initializers.values()].filter(isFileTensor)
    expect(places.length).toBeGreaterThan(5)
    for (const { file } of places) {
      expect(file.offset % 64).toBe(0)
      expect(existsSync(join(scratch, 'merged/onnx', file.path.split('/').pop()!))).toBe(true)
    }
    expect(statSync(join(scratch, 'fp16/onnx/model_fp16.onnx')).size).toBeGreaterThan(10_000)
  })
})

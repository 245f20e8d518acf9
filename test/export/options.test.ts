/** @file What exports refuse, what they leave behind, and the command line. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  addLora,
  exportOnnx,
  exportWithAdapterInputs,
  InvalidModelError,
  InvalidOptionError,
  loadAdapter,
  loadModel,
  merge,
  FolderModel,
  type Model,
  type Adapter,
} from '../../src/index.js'
import { encodeSafetensors, loadTensor, readSafetensorsHeader } from '../../src/formats/safetensors.js'
import type { HostTensor } from '../../src/graph/types.js'
import { nodeFiles } from '../../src/io/node-files.js'
import type { Json } from '../../src/models/config-reader.js'
import { golden, runCli } from '../cli/run-cli.js'
import { llamaConfig, temporaryFolder, testEnvironment, tinyModel, writeModel } from '../support/training.js'

const scratch = temporaryFolder()
const llama = join(golden, 'llama')
let model: Model
let adapter: Adapter
beforeAll(async () => {
  model = await loadModel(join(llama, 'model'), { threads: 1 })
  adapter = await loadAdapter(model, join(llama, 'adapter'))
})

describe('an export', () => {
  it('can be written again if told so, and never over the source or other files', async () => {
    const out = join(scratch, 'again')
    const first = await exportOnnx(model, out)
    const config = readFileSync(join(out, 'config.json'))
    expect(first.files).toEqual(['onnx/model.onnx'])
    const writes = [
      () => exportOnnx(adapter, out),
      () => merge(adapter).save(out),
      () => merge(adapter).save(out, { format: 'onnx' }),
    ]
    for (const write of writes)
      await expect(write()).rejects.toThrow(/holds a finished model \(config\.json\).*replace it with overwrite \(--overwrite\)/)
    expect(readFileSync(join(out, 'config.json'))).toEqual(config)
    await exportOnnx(adapter, out, { inlineUpTo: 0, overwrite: true })
    expect(readdirSync(join(out, 'onnx'))).toEqual(['model.onnx', 'model.onnx_data'])
    expect(await exportOnnx(model, out, { overwrite: true })).toEqual(first)
    expect(readFileSync(join(out, 'config.json'))).toEqual(config)
    expect(readdirSync(join(out, 'onnx'))).toEqual(['model.onnx'])
    await expect(exportOnnx(model, model.path)).rejects.toThrow(InvalidOptionError)
    const other = join(scratch, 'other')
    mkdirSync(other)
    writeFileSync(join(other, 'thesis.txt'), 'mine')
    await expect(exportOnnx(model, other)).rejects.toThrow(/not empty.*thesis\.txt/)
  })

  it.each([
    [{ dtype: 'q4' as 'fp16' }, '"dtype" must be fp32 or fp16, got "q4"'],
    [{ maxPositions: 0 }, '"maxPositions" must be an integer from 1 to the model\'s'],
    [{ maxPositions: 1e9 }, '"maxPositions" must be an integer from 1 to the model\'s'],
  ])('refuses %j', async (options, message) => {
    await expect(exportOnnx(model, join(scratch, 'refused'), options)).rejects.toThrow(message)
    expect(existsSync(join(scratch, 'refused'))).toBe(false)
  })

  it('serves fewer positions where they are enough, and says so in config.json', async () => {
    const out = join(scratch, 'short')
    const [short, long] = [await exportOnnx(model, out, { maxPositions: 5 }), await exportOnnx(model, join(scratch, 'long'))]
    expect(short.bytes).toBeLessThan(long.bytes)
    expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toMatchObject({ max_position_embeddings: 5 })
  })

  it('refuses fewer positions of a model whose positions are weights', async () => {
    const bert = await loadModel(join(golden, 'bert/model'))
    await expect(exportOnnx(bert, join(scratch, 'bert'), { maxPositions: 5 })).rejects.toThrow(/its positions are weights/)
  })

  it('writes the text part of a Gemma 3 that also sees under a type of its own', async () => {
    const folder = join(scratch, 'gemma3')
    mkdirSync(folder)
    const read = (name: string): Record<string, Json> => JSON.parse(readFileSync(join(golden, 'gemma3/model', name), 'utf8')) as Record<string, Json> // prettier-ignore
    const text = read('config.json')
    const { tensors } = await readSafetensorsHeader(nodeFiles(), join(golden, 'gemma3/model/model.safetensors'))
    const weights = new Map<string, HostTensor>()
    for (const [name, tensor] of tensors)
      weights.set(name.replace(/^model\./, 'model.language_model.'), await loadTensor(nodeFiles(), tensor))
    const config = { model_type: 'gemma3', architectures: ['Gemma3ForConditionalGeneration'], text_config: text }
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
    writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(weights))
    await exportOnnx(await loadModel(folder), join(scratch, 'gemma3-out'))
    const told = JSON.parse(readFileSync(join(scratch, 'gemma3-out/config.json'), 'utf8')) as Record<string, Json>
    expect(told).toEqual({
      ...text,
      model_type: 'gemma3_text',
      architectures: ['Gemma3ForCausalLM'],
      'transformers.js_config': { dtype: 'fp32' },
    })
  })

  it('refuses values that float16 cannot hold, naming the weight, and leaves no model', async () => {
    const folder = join(scratch, 'large-values')
    mkdirSync(folder)
    const weights = new Map(tinyModel().weights as ReadonlyMap<string, HostTensor>)
    const name = 'model.layers.1.mlp.down_proj.weight'
    const { shape, data } = weights.get(name)!
    weights.set(name, {
      dtype: 'float32',
      shape,
      data: Float32Array.from(data as Float32Array, (x, i) => (i === 7 ? 70_000 : x)),
    })
    writeFileSync(join(folder, 'config.json'), JSON.stringify(llamaConfig))
    writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(weights))
    const out = join(scratch, 'large-values-fp16')
    const attempt = exportOnnx(await loadModel(folder), out, { dtype: 'fp16' })
    await expect(attempt).rejects.toThrow(InvalidModelError)
    await expect(attempt).rejects.toThrow(`weight "${name}" holds 70000, which float16 cannot`)
    expect(existsSync(join(out, 'config.json'))).toBe(false)
  })

  it('reads weights in pieces, never a whole model', async () => {
    const folder = join(scratch, 'pieces')
    mkdirSync(folder)
    writeModel(folder, { ...llamaConfig, vocab_size: 700_000 })
    const environment = testEnvironment()
    let largest = 0
    const files = nodeFiles()
    const watched = {
      ...files,
      read: async (...args: Parameters<typeof files.read>) => {
        const bytes = await files.read(...args)
        if (args[0].endsWith('.safetensors')) largest = Math.max(largest, bytes.length)
        return bytes
      },
    }
    const { bytes } = await exportOnnx(
      await FolderModel.open(folder, { ...environment, files: watched }),
      join(scratch, 'pieces-out'),
    )
    expect(bytes).toBeGreaterThan(2 * 700_000 * 8 * 4)
    expect(largest).toBe(16 << 20)
  })

  it('merges several adapters, as safetensors do', async () => {
    const second = await addLora(model, { r: 2, targetModules: ['q_proj'], seed: 3 })
    for (const { name } of second.parameters.specs) second.parameters.view(name).fill(0.05)
    const result = await merge([adapter, second]).save(join(scratch, 'sum'), { format: 'onnx' })
    const expected = await merge([adapter, second]).save(join(scratch, 'sum-safetensors'))
    expect({ ...result, out: '' }).toEqual({ ...expected, out: '' })
    const merged = await loadModel(join(scratch, 'sum-safetensors'))
    await exportOnnx(merged, join(scratch, 'sum-again'))
    const bytes = (name: string): Buffer => readFileSync(join(scratch, name, 'onnx/model.onnx'))
    expect(bytes('sum').equals(bytes('sum-again'))).toBe(true)
  })
})

describe('adapters as inputs', () => {
  it('rank 0 is the base model', async () => {
    await exportWithAdapterInputs({ one: adapter }, join(scratch, 'inputs'))
    await exportOnnx(model, join(scratch, 'base'))
    const ids = new Tensor('int64', BigInt64Array.of(5n, 6n, 7n), [1, 3])
    const run = async (folder: string): Promise<Float32Array> => {
      const session = await InferenceSession.create(join(scratch, folder, 'onnx/model.onnx'), { logSeverityLevel: 3 })
      const feeds: Record<string, Tensor> = {
        input_ids: ids,
        attention_mask: new Tensor('int64', BigInt64Array.of(1n, 1n, 1n), [1, 3]),
        position_ids: new Tensor('int64', BigInt64Array.of(0n, 1n, 2n), [1, 3]),
      }
      for (const meta of session.inputMetadata)
        if (feeds[meta.name] === undefined && meta.isTensor) {
          const dims = meta.shape.map((dim) => (typeof dim === 'number' ? dim : dim === 'batch_size' ? 1 : 0))
          feeds[meta.name] = new Tensor('float32', new Float32Array(0), dims)
        }
      const { logits } = await session.run(feeds)
      await session.release()
      return logits!.data as Float32Array
    }
    expect(await run('inputs')).toEqual(await run('base'))
  })

  it('refuses adapters of other layers, names that are no file names, and none', async () => {
    const other = await addLora(model, { targetModules: ['up_proj'] })
    const out = join(scratch, 'mixed')
    await expect(exportWithAdapterInputs({ one: adapter, other }, out)).rejects.toThrow(/"other" adapts other layers than "one"/)
    await expect(exportWithAdapterInputs({ '../x': adapter }, out)).rejects.toThrow(/"\.\.\/x" cannot be the name/)
    await expect(exportWithAdapterInputs({}, out)).rejects.toThrow(/at least one adapter/)
  })
})

describe('lowrank export', () => {
  const source = ['--model', join(llama, 'model'), '--json']

  it('prints what it wrote', async () => {
    const out = join(scratch, 'cli')
    const { code, json, stderr } = await runCli(['export', ...source, '--adapter', join(llama, 'adapter'), '--out', out])
    expect([code, stderr]).toEqual([0, ''])
    const [result] = json()
    expect(result).toMatchObject({ out, files: ['onnx/model.onnx'] })
    expect(result!['inputs']).toEqual(expect.arrayContaining(['input_ids', 'past_key_values.0.key']))
    expect(result!['maxAbsDelta']).toBeGreaterThan(0)
  })

  it('writes adapters beside the model under the names of their folders', async () => {
    const [adapter, trained] = [join(llama, 'adapter'), join(llama, 'adapter-trained')]
    const out = join(scratch, 'cli-inputs')
    const { code } = await runCli([
      'export',
      ...source,
      '--adapter',
      adapter,
      trained,
      adapter,
      '--adapter-as-input',
      '--out',
      out,
    ])
    expect(code).toBe(0)
    const names = ['adapter', 'adapter-2', 'adapter-trained'].flatMap((name) => [`${name}.onnx_adapter`, `${name}.safetensors`])
    expect(readdirSync(join(out, 'adapters'))).toEqual(names.sort())
  })

  it('wrong usage is exit code 2', async () => {
    for (const [args, message] of [
      [['--adapter-as-input'], /needs --adapter/],
      [['--adapter', 'a', 'b'], /merge --format onnx/],
      [['--dtype', 'int4'], /--dtype/],
    ] as const) {
      const { code, stderr } = await runCli(['export', ...source, '--out', join(scratch, 'wrong'), ...args])
      expect(code).toBe(2)
      expect(stderr).toMatch(message)
    }
  })
})

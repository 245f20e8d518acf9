/** @file Paths that hold something else than they are named as, and quantised checkpoints: one true sentence each. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeSafetensors } from '../../src/formats/safetensors.js'
import { float32 } from '../../src/graph/constants.js'
import { addLora, convert, inspect, InvalidAdapterError, InvalidModelError, loadAdapter, loadModel } from '../../src/index.js'
import { randomWeights } from '../../src/models/random.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import { llamaConfig, temporaryFolder, writeModel } from '../support/training.js'

const folder = temporaryFolder()
const base = join(folder, 'base')
mkdirSync(base)
writeModel(base)
const model = await loadModel(base)
const adapter = join(folder, 'adapter')
await (await addLora(model, { r: 2 })).save(adapter)
let counter = 0

/** The message of what is thrown, which is an error of the class. */
async function messageOf(run: () => Promise<unknown>, kind: new (message: string) => Error): Promise<string> {
  const error = await run().catch((e: unknown) => e)
  expect(error).toBeInstanceOf(kind)
  return (error as Error).message
}

describe('named as a model', () => {
  it('a PEFT folder: its base is said', async () => {
    const message = await messageOf(() => loadModel(adapter), InvalidModelError)
    expect(message).toBe(
      `"${adapter}" is an adapter (it holds adapter_config.json), not a model; name the model that it was trained on ("${base}") as the model, and this folder as the adapter`,
    )
  })

  it('a loralib file, a tensor file, an empty folder', async () => {
    const file = join(folder, 'lora.pt')
    await convert(adapter, file)
    expect(await messageOf(() => loadModel(file), InvalidModelError)).toMatch(/is an adapter \(a torch file .* of loralib\), not a model/) // prettier-ignore
    expect(await messageOf(() => loadModel(join(base, 'model.safetensors')), InvalidModelError)).toMatch(/is a file; expected a model folder/) // prettier-ignore
    const empty = join(folder, 'empty')
    mkdirSync(empty)
    expect(await messageOf(() => loadModel(empty), InvalidModelError)).toMatch(/holds no config\.json/)
  })
})

describe('named as an adapter', () => {
  it.each(['lora.pt', 'lora.onnx_adapter', 'mlx'])('%s: convert it', async (name) => {
    const path = join(folder, `named-${name}`)
    await convert(adapter, path, name === 'mlx' ? { format: 'mlx', model } : {})
    const message = await messageOf(() => loadAdapter(model, path), InvalidAdapterError)
    expect(message).toMatch(/^".*" is an? .*; convert it to PEFT's folder first \(lowrank convert, or convert\(\) of the library\), and name that as the adapter$/) // prettier-ignore
    const converted = join(folder, `converted-${counter++}`)
    await convert(path, converted, { model, alpha: 8, ...(name === 'lora.onnx_adapter' && { baseModel: base }) })
    expect((await loadAdapter(model, converted)).targets).toHaveLength(4)
  })

  it('a model, a file of something else', async () => {
    expect(await messageOf(() => loadAdapter(model, base), InvalidAdapterError)).toMatch(/is a model \(it holds config\.json\), not an adapter/) // prettier-ignore
    const file = join(base, 'model.safetensors')
    expect(await messageOf(() => loadAdapter(model, file), InvalidAdapterError)).toMatch(/is a file and no adapter that is known/)
  })
})

describe('quantised checkpoints', () => {
  function quantized(config: object, tensor?: string): string {
    const path = join(folder, `quantized-${counter++}`)
    mkdirSync(path)
    const weights = randomWeights(new ConfigReader(llamaConfig, 'tiny'), 1)
    if (tensor !== undefined) weights.set(tensor, float32([1], Float32Array.of(1)))
    writeFileSync(join(path, 'config.json'), JSON.stringify({ ...llamaConfig, ...config }))
    writeFileSync(join(path, 'model.safetensors'), encodeSafetensors(weights))
    return path
  }

  it.each([
    [
      { quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true, load_in_8bit: false } },
      'bitsandbytes in 4 bits',
    ],
    [{ quantization_config: { load_in_8bit: true } }, 'bitsandbytes in 8 bits'],
    [{ quantization_config: { quant_method: 'gptq', bits: 4 } }, 'GPTQ in 4 bits'],
    [{ quantization_config: { quant_method: 'awq', bits: 4 } }, 'AWQ in 4 bits'],
    [{ quantization_config: { quant_method: 'fp8' } }, 'FP8'],
    [{ quantization_config: { quant_method: 'hqq' } }, 'hqq'],
    [{ text_config: { quantization_config: { quant_method: 'fp8' } } }, 'FP8'],
    [{ compression_config: { quant_method: 'compressed-tensors' } }, 'compressed-tensors'],
    [{ quantization_config: { group_size: 64 } }, 'a quantiser that it does not name'],
  ])('%o', async (config, who) => {
    const path = quantized(config)
    for (const open of [loadModel, inspect])
      expect(await messageOf(() => open(path), InvalidModelError)).toBe(
        `${path}/config.json: the weights are quantised by ${who} ("quantization_config"), and such codes cannot be read; use the model that they were made from, with weights in 16 or 32 bits, which adapters trained on the quantised one fit as well`,
      )
  })

  it.each([
    ['model.layers.0.self_attn.q_proj.weight.absmax', 'bitsandbytes'],
    ['model.layers.0.self_attn.q_proj.weight.quant_state.bitsandbytes__nf4', 'bitsandbytes'],
    ['model.layers.0.self_attn.q_proj.qweight', 'GPTQ or AWQ'],
    ['model.layers.0.self_attn.q_proj.weight_scale_inv', 'FP8 or compressed-tensors'],
  ])('without a word in config.json: %s', async (tensor, who) => {
    const path = quantized({}, tensor)
    for (const open of [loadModel, inspect])
      expect(await messageOf(() => open(path), InvalidModelError)).toContain(`quantised by ${who} (tensor "${tensor}")`)
  })

  it('a configuration that is empty or switched off is no quantisation', async () => {
    for (const config of [null, {}, { quant_method: 'bitsandbytes', load_in_4bit: false, load_in_8bit: false }])
      await expect(loadModel(quantized({ quantization_config: config }))).resolves.toBeDefined()
  })
})

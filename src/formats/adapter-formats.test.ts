/** @file Adapter formats: against loralib's merged weights, Python's own files, and there and back. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { convert } from '../adapter/convert.js'
import { float32 } from '../graph/constants.js'
import { elementCount, type HostTensor } from '../graph/types.js'
import { nodeFiles } from '../io/node-files.js'
import { Random } from '../util/rng.js'
import { PREFIX } from '../adapters/lora.js'
import { configFor, splitAdapter, targetNames, type AdapterFile } from './adapter-file.js'
import { chooseAdapterFormat, detectAdapterFormat } from './adapter-formats.js'
import { diffusionFormat } from './diffusion-format.js'
import { dottedName } from './kohya-names.js'
import { fromLoralib } from './loralib-format.js'
import { mlxFormat } from './mlx-format.js'
import { decodeOnnxAdapter, encodeOnnxAdapter } from './onnx-adapter.js'
import { readAdapterFolder, writeAdapterFolder } from './peft.js'
import { encodeSafetensors, loadTensor, readSafetensorsHeader, toFloat32 } from './safetensors.js'
import { readTorchTensors } from './torch/index.js'

const files = nodeFiles()
const fixtures = join(import.meta.dirname, '../../test/fixtures')
const folder = mkdtempSync(join(tmpdir(), 'lowrank-formats-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const environment = { files, runtime: undefined as never, now: () => 0, peakMemoryBytes: () => 0 }

const random = new Random(3)
const matrix = (...shape: number[]): HostTensor =>
  float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => random.normal()),
  )

/** s·B·A of a pair, [out, in·kernel]. */
function delta({ A, B, scale, r }: ReturnType<typeof splitAdapter>['pairs'][number]): number[] {
  const [a, b] = [toFloat32(A), toFloat32(B)]
  const columns = a.length / r
  const rows = b.length / r
  const result: number[] = []
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      let sum = 0
      for (let k = 0; k < r; k++) sum += b[i * r + k]! * a[k * columns + j]!
      result.push(scale * sum)
    }
  return result
}

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length)
  return Array.from(a).reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0)
}

describe('loralib', () => {
  interface Case {
    readonly alpha: number
    readonly enable_lora?: boolean[]
    readonly kernel?: number
    readonly fan_in_fan_out?: boolean
  }

  async function golden(name: string): Promise<{ info: Case; tensors: Map<string, HostTensor> }> {
    const path = join(fixtures, 'golden/loralib', name)
    const info = JSON.parse(readFileSync(join(path, 'case.json'), 'utf8')) as Case
    const { tensors: header } = await readSafetensorsHeader(files, join(path, 'tensors.safetensors'))
    const tensors = new Map<string, HostTensor>()
    for (const [key, place] of header) tensors.set(key, await loadTensor(files, place))
    return { info, tensors }
  }

  const numbers = (tensor: HostTensor): number[] => Array.from(tensor.data as ArrayLike<number | bigint>, Number)

  /** Gradient of the loss by the change of the weight in PEFT's orientation, [out, in·kernel], from x and dL/dy. */
  function weightGradient(name: string, tensors: ReadonlyMap<string, HostTensor>): number[] {
    const [x, gy, weight] = ['x', 'gy', 'param.weight'].map((key) => tensors.get(key)!) as [HostTensor, HostTensor, HostTensor]
    const [xs, gs] = [numbers(x), numbers(gy)]
    if (name === 'embedding') {
      const [vocabulary, hidden] = weight.shape as [number, number]
      const result = new Array<number>(vocabulary * hidden).fill(0)
      xs.forEach((id, i) => {
        for (let d = 0; d < hidden; d++) result[d * vocabulary + id]! += gs[i * hidden + d]!
      })
      return result
    }
    if (name !== 'conv2d') {
      const [columns, rows] = [x.shape.at(-1)!, gy.shape.at(-1)!]
      return Array.from({ length: rows * columns }, (_, i) => {
        let sum = 0
        for (let n = 0; n < gs.length / rows; n++)
          sum += gs[n * rows + Math.floor(i / columns)]! * xs[n * columns + (i % columns)]!
        return sum
      })
    }
    // Kernel 3, stride 2, padding 1.
    const [batch, channels, height, width] = x.shape as [number, number, number, number]
    const [, out, rows, columns] = gy.shape as [number, number, number, number]
    const result: number[] = []
    for (let o = 0; o < out; o++)
      for (let c = 0; c < channels; c++)
        for (let i = 0; i < 9; i++) {
          let sum = 0
          for (let n = 0; n < batch; n++)
            for (let p = 0; p < rows * columns; p++) {
              const row = 2 * Math.floor(p / columns) + Math.floor(i / 3) - 1
              const column = 2 * (p % columns) + (i % 3) - 1
              if (row < 0 || column < 0 || row >= height || column >= width) continue
              sum += gs[(n * out + o) * rows * columns + p]! * xs[((n * channels + c) * height + row) * width + column]!
            }
          result.push(sum)
        }
    return result
  }

  it.each(['merged-linear-tft', 'merged-linear-fan', 'conv2d', 'embedding'])(
    '%s as PEFT: each element of A and B moves the loss as loralib says',
    async (name) => {
      const { info, tensors } = await golden(name)
      const [A, B] = [tensors.get('param.lora_A')!, tensors.get('param.lora_B')!]
      const options = {
        alpha: info.alpha,
        ...(info.enable_lora && { enableLora: info.enable_lora }),
        ...(info.kernel !== undefined && { kernelSizes: { layer: info.kernel } }),
        ...(name === 'embedding' && { embeddings: ['layer'] }),
      }
      const convertPair = (a: HostTensor, b: HostTensor): ReturnType<typeof splitAdapter>['pairs'][number] =>
        splitAdapter(fromLoralib(new Map([['layer.lora_A', a], ['layer.lora_B', b]]), options, name)).pairs[0]! // prettier-ignore
      const gradient = weightGradient(name, tensors)
      // The delta is linear in A and in B, so putting a unit matrix for one of them gives that element's derivative.
      const derivative = (a: HostTensor, b: HostTensor): number =>
        delta(convertPair(a, b)).reduce((sum, value, i) => sum + value * gradient[i]!, 0)
      const unit = ({ shape, data }: HostTensor, i: number): HostTensor =>
        float32(
          shape,
          Float32Array.from({ length: data.length }, (_, k) => (k === i ? 1 : 0)),
        )
      const byA = Array.from(A.data as Float32Array, (_, i) => derivative(unit(A, i), B))
      const byB = Array.from(B.data as Float32Array, (_, i) => derivative(A, unit(B, i)))
      expect(largestDifference(byA, numbers(tensors.get('grad.lora_A')!))).toBeLessThan(1e-4)
      expect(largestDifference(byB, numbers(tensors.get('grad.lora_B')!))).toBeLessThan(1e-4)
      const pair = convertPair(A, B)
      expect(pair.isEmbedding).toBe(name === 'embedding')
      if (name !== 'conv2d') return
      expect(pair.A.shape).toEqual([18, 6, 3, 3])
      expect(pair.B.shape).toEqual([10, 18, 1, 1])
    },
  )

  const plain = (): [string, HostTensor][] => [
    ['layers.0.q.lora_A', matrix(2, 6)],
    ['layers.0.q.lora_B', matrix(6, 2)],
  ]

  it('asks for what the file does not tell', () => {
    expect(() => fromLoralib(new Map(plain()), {}, 'x.pt')).toThrow(/x\.pt does not tell alpha.*--alpha/)
    const merged = new Map([
      ['c_attn.lora_A', matrix(4, 6)],
      ['c_attn.lora_B', matrix(12, 2)],
    ])
    expect(() => fromLoralib(merged, { alpha: 4 }, 'x.pt')).toThrow(/c_attn is a MergedLinear of 2 enabled slices.*enable-lora/)
    expect(() => fromLoralib(merged, { alpha: 4, enableLora: [true, true, true] }, 'x.pt')).toThrow(/2 slices, but 3 are enabled/)
    expect(() => fromLoralib(new Map(plain().slice(0, 1)), { alpha: 1 }, 'x.pt')).toThrow(/only one of lora_A and lora_B/)
    expect(() => fromLoralib(new Map([['w', matrix(2)]]), { alpha: 1 }, 'x.pt')).toThrow(/holds no "<module>\.lora_A"/)
  })

  it('tells biases and modules saved whole apart', () => {
    const bias = (name: string): [string, HostTensor] => [name, matrix(6)]
    const of = (...more: [string, HostTensor][]): AdapterFile => fromLoralib(new Map([...plain(), ...more]), { alpha: 4 }, 'x.pt')
    expect(of().config).toMatchObject({ bias: 'none', modulesToSave: null, r: 2, loraAlpha: 4, targetModules: ['q'] })
    const own = of(bias('layers.0.q.bias'))
    expect(own.config.bias).toBe('lora_only')
    expect(own.tensors.has(`${PREFIX}layers.0.q.base_layer.bias`)).toBe(true)
    const all = of(bias('layers.0.q.bias'), bias('layers.0.norm.bias'))
    expect(all.config.bias).toBe('all')
    expect(all.tensors.has(`${PREFIX}layers.0.norm.bias`)).toBe(true)
    const head = of(['classifier.dense.weight', matrix(6, 6)], bias('classifier.dense.bias'))
    expect(head.config).toMatchObject({ bias: 'none', modulesToSave: ['classifier'] })
    const full = of(['layers.0.q.weight', matrix(6, 6)])
    expect(full.notes.some(({ text, loss }) => loss && /base model's weights/.test(text))).toBe(true)
  })
})

/** An adapter of two layers with their own ranks and scales. */
function sample(): AdapterFile {
  const layers = [
    { module: 'model.layers.0.self_attn.q_proj', r: 2, alpha: 4 },
    { module: 'model.layers.1.self_attn.q_proj', r: 3, alpha: 4 },
  ]
  return {
    config: configFor(layers, { taskType: 'CAUSAL_LM', loraDropout: 0.25 }),
    tensors: new Map(
      layers.flatMap(({ module, r }) => [
        [`${PREFIX}${module}.lora_A.weight`, matrix(r, 6)],
        [`${PREFIX}${module}.lora_B.weight`, matrix(5, r)],
      ]),
    ),
    notes: [],
  }
}

const deltas = (adapter: AdapterFile): Record<string, number[]> =>
  Object.fromEntries(splitAdapter(adapter).pairs.map((pair) => [pair.module, delta(pair)]))

describe('there and back', () => {
  it.each([
    ['peft-bin', 'bin', 'peft-bin', true],
    ['loralib', 'a.pt', undefined, true],
    ['onnx-adapter', 'a.onnx_adapter', undefined, false],
    ['mlx', 'mlx', 'mlx', false],
  ])('PEFT to %s and back gives the same deltas', async (name, target, format, lossless) => {
    const adapter = sample()
    const [from, between, back] = ['peft', target, 'back'].map((part) => join(folder, name, part)) as [string, string, string]
    await writeAdapterFolder(files, from, adapter)
    const there = await convert(from, between, { ...(format && { format }) }, environment)
    expect(there).toMatchObject({ out: between, from: 'peft', format: name, tensors: 4, lossless })
    expect((await detectAdapterFormat(files, between)).name).toBe(name)
    await convert(between, back, { format: 'peft', ...(name === 'loralib' && { alpha: 4 }) }, environment)
    const found = await readAdapterFolder(files, back)
    const [expected, got] = [deltas(adapter), deltas({ ...found, notes: [] })]
    expect(Object.keys(got).sort()).toEqual(Object.keys(expected).sort())
    for (const [module, values] of Object.entries(expected)) expect(largestDifference(got[module]!, values)).toBeLessThan(2e-6)
    if (lossless) expect(found.tensors).toEqual(adapter.tensors)
  })

  it('a folder with adapter_model.bin is read as PEFT reads it', async () => {
    const adapter = sample()
    const path = join(folder, 'as-bin')
    await chooseAdapterFormat(path, 'peft-bin').write(files, path, adapter, {})
    expect((await readAdapterFolder(files, path)).tensors).toEqual(adapter.tensors)
  })

  it('scales of their own are multiplied into B for loralib', async () => {
    const adapter = { ...sample(), config: { ...sample().config, alphaPattern: { 'model.layers.1.self_attn.q_proj': 8 } } }
    const path = join(folder, 'own-scale.pt')
    const notes = await chooseAdapterFormat(path, undefined).write(files, path, adapter, {})
    expect(notes.map(({ loss }) => loss)).toEqual([false, false])
    const { loaded } = await readTorchTensors(files, path)
    expect(
      largestDifference(Object.values(deltas(fromLoralib(loaded, { alpha: 4 }, path)))[1]!, Object.values(deltas(adapter))[1]!),
    ).toBe(0)
  })

  it('what a format cannot hold is refused or named', async () => {
    const adapter = sample()
    const dora = new Map(adapter.tensors).set(`${PREFIX}model.layers.0.self_attn.q_proj.lora_magnitude_vector`, matrix(5))
    const write = (tensors: AdapterFile['tensors'], to: string): Promise<unknown> =>
      chooseAdapterFormat(to, undefined).write(files, join(folder, to), { ...adapter, tensors }, {})
    await expect(write(dora, 'x.pt')).rejects.toThrow(/layers\.0.*DoRA.*loralib cannot hold/)
    await expect(write(dora, 'x.onnx_adapter')).rejects.toThrow(/DoRA/)
    const saved = new Map(adapter.tensors).set(`${PREFIX}score.weight`, matrix(2, 5))
    const notes = await chooseAdapterFormat('x.onnx_adapter', undefined).write(
      files,
      join(folder, 'x.onnx_adapter'),
      { ...adapter, tensors: saved },
      {},
    )
    expect(notes.some(({ text, loss }) => loss && text.includes('score.weight'))).toBe(true)
    expect(() => chooseAdapterFormat('x.gif', undefined)).toThrow(/ends like no adapter format/)
    expect(() => chooseAdapterFormat('x', 'diffusion')).toThrow(/can be read, not written/)
    await expect(detectAdapterFormat(files, join(fixtures, 'torch'))).rejects.toThrow(/no adapter that is known/)
    await writeAdapterFolder(files, join(folder, 'self'), adapter)
    await expect(convert(join(folder, 'self'), join(folder, 'self'), {}, environment)).rejects.toThrow(/another place/)
  })
})

describe('.onnx_adapter', () => {
  it('reads the file that Python wrote', async () => {
    const path = join(fixtures, 'formats/python.onnx_adapter')
    const { adapterVersion, modelVersion, parameters } = decodeOnnxAdapter(await files.read(path), path)
    expect([adapterVersion, modelVersion]).toEqual([3, 5])
    const [a, b] = ['A', 'B'].map((m) => parameters.get(`${PREFIX}m.layers.0.q_proj.lora_${m}.weight`)!)
    expect([a!.dtype, a!.shape, Array.from(toFloat32(a!))]).toEqual(['float32', [2, 3], [0, 1, 2, 3, 4, 5]])
    expect([b!.dtype, b!.shape, Array.from(toFloat32(b!))]).toEqual(['float16', [4, 2], [0, 1, 2, 3, 4, 5, 6, 7]])
  })

  it("Olive's layout is transposed and without prefix", async () => {
    const adapter = sample()
    const path = join(folder, 'olive.onnx_adapter')
    await chooseAdapterFormat(path, undefined).write(files, path, adapter, { layout: 'olive' })
    const { parameters } = decodeOnnxAdapter(await files.read(path), path)
    expect(parameters.get('model.layers.0.self_attn.q_proj.lora_A.weight')!.shape).toEqual([6, 2])
    const back = await (await detectAdapterFormat(files, path)).read(files, path, {})
    expect(largestDifference(Object.values(deltas(back))[1]!, Object.values(deltas(adapter))[1]!)).toBeLessThan(2e-6)
  })

  it('a damaged file gives our own error, whatever is changed', () => {
    const whole = encodeOnnxAdapter({ adapterVersion: 1, modelVersion: 1, parameters: sample().tensors })
    const generator = new Random(5)
    let refused = 0
    for (let i = 0; i < 2000; i++) {
      const bytes = whole.slice(0, generator.uniform() < 0.2 ? generator.integer(whole.length) : whole.length)
      for (let n = 0; n < 3 && bytes.length > 0; n++)
        bytes[generator.integer(Math.min(bytes.length, 400))] = generator.integer(256)
      try {
        decodeOnnxAdapter(bytes, 'x')
      } catch (error) {
        refused++
        expect(String(error)).toMatch(/^InvalidAdapterError: x/)
      }
    }
    expect(refused).toBeGreaterThan(1000)
  })
})

describe('mlx-lm', () => {
  it('writes what mlx-lm reads: transposed, one rank, one scale', async () => {
    const adapter = sample()
    const path = join(folder, 'mlx-out')
    const notes = await mlxFormat.write!(files, path, adapter, {})
    expect(notes.map(({ text }) => text)).toEqual([
      expect.stringMatching(/filled up to 3/),
      expect.stringMatching(/one scale, 2/),
    ])
    expect(JSON.parse(await files.readText(`${path}/adapter_config.json`))).toEqual({
      fine_tune_type: 'lora',
      model: null,
      num_layers: -1,
      lora_parameters: { dropout: 0.25, keys: ['self_attn.q_proj'], rank: 3, scale: 2 },
    })
    const { tensors } = await readSafetensorsHeader(files, `${path}/adapters.safetensors`)
    expect([...tensors].map(([name, { shape }]) => [name, shape])).toEqual([
      ['model.layers.0.self_attn.q_proj.lora_a', [6, 3]],
      ['model.layers.0.self_attn.q_proj.lora_b', [3, 5]],
      ['model.layers.1.self_attn.q_proj.lora_a', [6, 3]],
      ['model.layers.1.self_attn.q_proj.lora_b', [3, 5]],
    ])
  })
})

describe('image models', () => {
  it('kohya: names with dots, alpha of each layer', async () => {
    const path = join(folder, 'kohya.safetensors')
    const key = 'lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q'
    const other = 'lora_te_text_model_encoder_layers_0_self_attn_q_proj'
    const down = matrix(2, 4)
    await files.write(
      path,
      encodeSafetensors([
        [`${key}.lora_down.weight`, down],
        [`${key}.lora_up.weight`, matrix(4, 2)],
        [`${key}.alpha`, float32([], Float32Array.of(1))],
        [`${other}.lora_down.weight`, matrix(3, 4)],
        [`${other}.lora_up.weight`, matrix(4, 3)],
      ]),
    )
    expect((await detectAdapterFormat(files, path)).name).toBe('diffusion')
    await expect(diffusionFormat.read(files, path, {})).rejects.toThrow(
      /text_encoder and unet; choose one|unet and text_encoder; choose one/,
    )
    const unet = await diffusionFormat.read(files, path, { component: 'unet' })
    const name = 'down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q'
    expect(unet.config).toMatchObject({ r: 2, loraAlpha: 1, targetModules: [name] })
    expect(unet.tensors.get(`${PREFIX}${name}.lora_A.weight`)).toEqual(down)
    const text = await diffusionFormat.read(files, path, { component: 'text_encoder' })
    expect(text.config).toMatchObject({ r: 3, loraAlpha: 3, targetModules: ['text_model.encoder.layers.0.self_attn.q_proj'] })
  })

  it('diffusers, new and old names, alpha from the metadata', async () => {
    const path = join(folder, 'pytorch_lora_weights.safetensors')
    await files.write(
      path,
      encodeSafetensors(
        [
          ['unet.mid_block.attn1.to_k.lora_A.weight', matrix(2, 4)],
          ['unet.mid_block.attn1.to_k.lora_B.weight', matrix(4, 2)],
          ['unet.up_blocks.0.attn1.processor.to_out_lora.down.weight', matrix(2, 4)],
          ['unet.up_blocks.0.attn1.processor.to_out_lora.up.weight', matrix(4, 2)],
        ],
        { lora_adapter_metadata: '{"unet.lora_alpha": 8}' },
      ),
    )
    const { config, tensors } = await diffusionFormat.read(files, path, {})
    expect(config.loraAlpha).toBe(8)
    expect([...tensors.keys()]).toContain(`${PREFIX}up_blocks.0.attn1.to_out.0.lora_A.weight`)
  })

  it('kinds that are no LoRA are refused by name', async () => {
    const path = join(folder, 'loha.safetensors')
    await files.write(path, encodeSafetensors([['lora_unet_conv_in.hada_w1_a', matrix(2, 2)]]))
    await expect(diffusionFormat.read(files, path, {})).rejects.toThrow(/hada_w1_a; LoHa/)
    expect(() => dottedName('down_blocks_0_strange', undefined)).toThrow(/"strange" is of no pipeline/)
    expect(dottedName('a_b_c', ['a.b_c', 'x'])).toBe('a.b_c')
  })
})

it('target names are short where they match nothing else, whole otherwise', () => {
  expect(targetNames(['h.0.q', 'h.0.v', 'h.1.q', 'h.1.v'])).toEqual(['q', 'v'])
  expect(targetNames(['h.0.q', 'h.1.q', 'h.1.v'])).toEqual(['h.0.q', 'h.1.q', 'h.1.v'])
  expect(targetNames(['h.1.q', 'h.2.q'])).toEqual(['h.1.q', 'h.2.q'])
  expect(targetNames(['h.0.a.q', 'h.0.b.q'])).toEqual(['a.q', 'b.q'])
})

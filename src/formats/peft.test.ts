/**
 * @file Adapter folders of PEFT 0.21 are written again byte for byte; adapter_config.json read with its defaults, and refusals
 * by key.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loraDefaults } from '../adapters/lora-fields.js'
import { LoraPart } from '../adapters/lora.js'
import { checkAdapterTensors } from '../adapters/strict.js'
import { FileError, InvalidAdapterError, InvalidModelError } from '../errors.js'
import { float32, tensor } from '../graph/constants.js'
import type { TargetModule } from '../graph/target-module.js'
import type { HostTensor } from '../graph/types.js'
import { nodeFiles } from '../io/node-files.js'
import { pythonFloat, pythonJson } from '../util/python-json.js'
import { formatAdapterConfig, parseAdapterConfig } from './peft-config.js'
import { readAdapterFolder, writeAdapterFolder } from './peft.js'

const files = nodeFiles()
const golden = 'test/fixtures/golden/peft'
const cases = [
  'gpt2',
  'gpt2-all-linear',
  'llama',
  'llama-all-linear',
  'llama-rslora',
  'llama-patterns',
  'mistral',
  'qwen2',
  'qwen3',
]
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lowrank-peft-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The text with the lines of `target_modules` sorted; PEFT writes them in random order. */
const withSortedTargets = (text: string): string =>
  text.replace(/("target_modules": \[\n)([^\]]*)(\n {2}\])/, (_, open: string, lines: string, close: string) => {
    const names = lines.split('\n').map((line) => line.replace(/,$/, ''))
    return `${open}${names.sort().join(',\n')}${close}`
  })

describe('golden adapters of PEFT 0.21', () => {
  it.each(cases.flatMap((c) => [`${c}/adapter`, `${c}/adapter-trained`]))('%s is written again byte for byte', async (name) => {
    const from = join(golden, name)
    const to = join(folder, name)
    const { unknownKeys, ...adapter } = await readAdapterFolder(files, from)
    expect(unknownKeys).toEqual({})
    await writeAdapterFolder(files, to, adapter)
    expect(await readFile(join(to, 'adapter_model.safetensors'))).toEqual(await readFile(join(from, 'adapter_model.safetensors')))
    expect(await readFile(join(to, 'adapter_config.json'), 'utf8')).toBe(
      withSortedTargets(await readFile(join(from, 'adapter_config.json'), 'utf8')),
    )
  })

  it('reads the fields', async () => {
    const { config, tensors } = await readAdapterFolder(files, join(golden, 'llama-patterns/adapter'))
    expect(config).toMatchObject({
      r: 4,
      loraAlpha: 8,
      rankPattern: { 'layers\\.0\\.self_attn\\.q_proj': 2 },
      alphaPattern: { v_proj: 16 },
      baseModelNameOrPath: null,
    })
    expect(tensors.get('base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight')?.shape).toEqual([2, 32])
  })
})

describe('adapter_config.json', () => {
  const parse = (keys: object) => parseAdapterConfig(JSON.stringify({ peft_type: 'LORA', ...keys }), 'dir/adapter_config.json')

  it('has the 41 keys of PEFT 0.21 for a new adapter', () => {
    const keys = Object.keys(JSON.parse(formatAdapterConfig({ config: loraDefaults })) as object)
    expect(keys).toHaveLength(41)
    expect(keys).toEqual([...keys].sort())
  })

  it('takes defaults for keys that older files lack', () => {
    expect(parse({ r: 16, target_modules: ['a'] }).config).toEqual({
      ...loraDefaults,
      r: 16,
      targetModules: ['a'],
      other: { peft_type: 'LORA' },
    })
  })

  it('keeps unknown keys and those it only carries along', () => {
    const parsed = parse({
      peft_version: '0.5.0',
      megatron_config: { a: [1, 2.5] },
      eva_config: null,
      future_key: { x: 'é\u2028😀' },
      use_new: false,
    })
    expect(parsed.unknownKeys).toEqual({ future_key: { x: 'é\u2028😀' }, use_new: false })
    const text = formatAdapterConfig(parsed)
    expect(text).toContain('"x": "\\u00e9\\u2028\\ud83d\\ude00"')
    expect(JSON.parse(text)).toMatchObject({
      peft_version: '0.5.0',
      megatron_config: { a: [1, 2.5] },
      future_key: { x: 'é\u2028😀' },
      use_new: false,
    })
    expect(formatAdapterConfig(parseAdapterConfig(text, 'x'))).toBe(text)
  })

  it.each([
    [{ target_parameters: ['experts.gate'] }, '"target_parameters": ["experts.gate"]'],
    [{ alora_invocation_tokens: [5] }, '"alora_invocation_tokens": [5]'],
    [{ arrow_config: {} }, '"arrow_config": {}'],
    [{ kasa_config: { beta: 1 } }, '"kasa_config": {"beta":1}'],
    [{ use_bdlora: { nblocks: 2 } }, '"use_bdlora": {"nblocks":2}'],
    [{ use_qalora: true }, '"use_qalora": true'],
    [{ use_tomorrow: true }, '"use_tomorrow": true'],
    [{ ensure_weight_tying: true }, '"ensure_weight_tying": true'],
    [{ init_lora_weights: 'pissa_niter_4' }, '"init_lora_weights": "pissa_niter_4"'],
  ])('refuses %j', (keys, found) => {
    expect(() => parse(keys)).toThrow(InvalidAdapterError)
    expect(() => parse(keys)).toThrow(
      `dir/adapter_config.json: ${found} is not supported, and ignoring it would change the results`,
    )
  })

  it.each([
    [{ r: 0 }, '"r" must be an integer above 0, got 0'],
    [{ lora_alpha: 'x' }, '"lora_alpha" must be a number, got "x"'],
    [{ target_modules: 3 }, '"target_modules" must be a list of names'],
    [{ peft_type: 'IA3' }, '"peft_type" must be "LORA", got "IA3"'],
    [
      { target_modules: 'a.*', layers_to_transform: [1] },
      '"layers_to_transform" cannot be combined with "target_modules" as one string',
    ],
  ])('refuses %j by its own name', (keys, message) => {
    expect(() => parse(keys)).toThrow(`dir/adapter_config.json: ${message}`)
  })

  it('refuses what is no JSON object', () => {
    expect(() => parseAdapterConfig('{', 'f')).toThrow('f is not valid JSON')
    expect(() => parseAdapterConfig('[]', 'f')).toThrow('f must hold a JSON object')
  })

  it('formats numbers and containers as Python does', () => {
    // repr of CPython 3.11.
    const pairs: [number, string][] = [
      [0, '0.0'],
      [0.1, '0.1'],
      [1e-4, '0.0001'],
      [1e-5, '1e-05'],
      [1.5e-7, '1.5e-07'],
      [1e15, '1000000000000000.0'],
      [1e16, '1e+16'],
      [1.25e22, '1.25e+22'],
      [-2, '-2.0'],
    ]
    for (const [value, text] of pairs) expect(pythonFloat(value)).toBe(text)
    expect(pythonJson({ b: [], a: {}, c: [1, 0.00002, null, true], '\u007f': 'ü"\n' })).toBe(
      '{\n  "a": {},\n  "b": [],\n  "c": [\n    1,\n    2e-05,\n    null,\n    true\n  ],\n  "\\u007f": "\\u00fc\\"\\n"\n}',
    )
  })
})

describe('damaged folders', () => {
  it('says what is missing and what to do', async () => {
    await expect(readAdapterFolder(files, join(folder, 'none'))).rejects.toThrow(/adapter folder ".*none" does not exist/)
    const dir = join(folder, 'incomplete')
    await files.write(join(dir, 'named/adapter_config.json'), '{}')
    await expect(readAdapterFolder(files, dir)).rejects.toThrow(
      /holds no adapter_config.json; .*did you mean .*incomplete\/named\?/,
    )
    await files.write(join(dir, 'adapter_config.json'), '{"peft_type":"LORA"}')
    await expect(readAdapterFolder(files, dir)).rejects.toThrow(
      /holds neither adapter_model.safetensors nor adapter_model.bin; the adapter is incomplete/,
    )
    await files.write(join(dir, 'adapter_model.bin'), 'x')
    await expect(readAdapterFolder(files, dir)).rejects.toThrow(/adapter_model.bin is no file of torch.save/)
    await writeFile(join(dir, 'adapter_model.safetensors'), 'damaged!!')
    await expect(readAdapterFolder(files, dir)).rejects.toThrow(InvalidModelError)
  })

  it('leaves no configuration without tensors when the disk is full', async () => {
    const dir = join(folder, 'full')
    const full = {
      ...files,
      write: async (path: string) => {
        throw new FileError(`no space left on the device while writing ${path}`)
      },
    }
    await expect(writeAdapterFolder(full, dir, { config: loraDefaults, tensors: new Map() })).rejects.toThrow(
      /no space left .*adapter_model.safetensors/,
    )
    expect(await readdir(dir)).toEqual([])
  })
})

describe('checkAdapterTensors', () => {
  const layer = (name: string): TargetModule => ({
    name,
    kind: 'Linear',
    weight: '',
    bias: undefined,
    input: '',
    output: '',
    inFeatures: 4,
    outFeatures: 3,
    isOutputHead: false,
  })
  const targets = [
    { module: layer('a.q'), r: 2, alpha: 2, scale: 1 },
    { module: layer('a.v'), r: 2, alpha: 2, scale: 1 },
  ].map((target) => new LoraPart(target))
  const zeros = (...shape: number[]): HostTensor => float32(shape, new Float32Array(shape.reduce((p, d) => p * d, 1)))
  const right = (): Map<string, HostTensor> =>
    new Map(
      ['a.q', 'a.v'].flatMap((m): [string, HostTensor][] => [
        [`base_model.model.${m}.lora_A.weight`, zeros(2, 4)],
        [`base_model.model.${m}.lora_B.weight`, zeros(3, 2)],
      ]),
    )

  it('accepts what fits', () => {
    expect(() => checkAdapterTensors(targets, right())).not.toThrow()
  })
  it('names everything that is wrong in one error', () => {
    const tensors = right()
    tensors.delete('base_model.model.a.q.lora_A.weight')
    tensors.set('base_model.model.a.q.lora_B.weight', zeros(3, 5))
    tensors.set('base_model.model.a.v.lora_A.weight', tensor('int64', [2, 4], new Array<number>(8).fill(1)))
    tensors.set('base_model.model.a.v.lora_B.weight', float32([3, 2], Float32Array.of(0, 0, 0, NaN, 0, 0)))
    tensors.set('base_model.model.lm_head.base_layer.weight', zeros(1))
    let message = ''
    try {
      checkAdapterTensors(targets, tensors, 'dir')
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidAdapterError)
      message = (error as Error).message
    }
    expect(message).toBe(
      [
        'dir does not fit the model or its own adapter_config.json:',
        '  missing tensors (1):',
        '    base_model.model.a.q.lora_A.weight [2, 4]',
        '  unexpected tensors (1):',
        '    base_model.model.lm_head.base_layer.weight [1]',
        '  tensors of the wrong shape (1):',
        '    base_model.model.a.q.lora_B.weight: expected [3, 2], found [3, 5]',
        '  tensors that are not floating-point (1):',
        '    base_model.model.a.v.lora_A.weight: int64',
        '  tensors with NaN or infinity (1):',
        '    base_model.model.a.v.lora_B.weight, element 3',
        '  Use the base model that the adapter was trained on, and for the task that it was trained for.',
      ].join('\n'),
    )
  })
  it('finds infinity in 16-bit floats', () => {
    const tensors = right()
    tensors.set('base_model.model.a.v.lora_B.weight', {
      dtype: 'bfloat16',
      shape: [3, 2],
      data: Uint16Array.of(0, 0, 0x7f80, 0, 0, 0),
    })
    expect(() => checkAdapterTensors(targets, tensors)).toThrow('a.v.lora_B.weight, element 2')
    tensors.set('base_model.model.a.v.lora_B.weight', {
      dtype: 'float16',
      shape: [3, 2],
      data: Uint16Array.of(0, 0xfc01, 0, 0, 0, 0),
    })
    expect(() => checkAdapterTensors(targets, tensors)).toThrow('a.v.lora_B.weight, element 1')
  })
})

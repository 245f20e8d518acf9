/**
 * @file GGUF files: a round trip of every type, bytes against the specification, damage refused, and adapters in llama.cpp's
 * layout.
 */
import { resolve } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { convert } from '../../adapter/convert.js'
import { FolderModel } from '../../model/folder-model.js'
import { inspect } from '../../inspect/inspect.js'
import { float32 } from '../../graph/constants.js'
import type { HostTensor } from '../../graph/types.js'
import { memoryFiles, type MemoryFiles } from '../../io/memory-files.js'
import { nodeEnvironment } from '../../node-environment.js'
import { Random } from '../../util/rng.js'
import type { LoraConfig } from '../../adapters/lora-config.js'
import { loraDefaults } from '../../adapters/lora-fields.js'
import { PREFIX } from '../../adapters/lora.js'
import { splitAdapter, type AdapterFile } from '../adapter-file.js'
import { readAdapterFolder } from '../peft.js'
import { ggufFormat } from './adapter-format.js'
import { rowSources } from './architectures.js'
import { loadGgufTensor, readGgufHeader } from './read.js'
import type { GgufValue } from './types.js'
import { encodeGguf } from './write.js'

let files: MemoryFiles
beforeEach(() => void (files = memoryFiles()))

const everyValue = new Map<string, GgufValue>([
  ['a', { type: 'uint8', value: 255 }],
  ['b', { type: 'int8', value: -128 }],
  ['c', { type: 'uint16', value: 65_535 }],
  ['d', { type: 'int16', value: -32_768 }],
  ['e', { type: 'uint32', value: 4_294_967_295 }],
  ['f', { type: 'int32', value: -2_147_483_648 }],
  ['g', { type: 'float32', value: 0.5 }],
  ['h', { type: 'bool', value: true }],
  ['i', { type: 'string', value: 'Größe €' }],
  ['j', { type: 'uint64', value: 2n ** 64n - 1n }],
  ['k', { type: 'int64', value: -(2n ** 63n) }],
  ['l', { type: 'float64', value: 0.1 }],
  ['m', { type: 'array', items: 'string', value: ['x', '', 'y'] }],
  ['n', { type: 'array', items: 'int64', value: [-1n, 2n] }],
  ['o', { type: 'array', items: 'bool', value: [true, false] }],
  ['p', { type: 'array', items: 'array', value: [{ type: 'array', items: 'uint8', value: [1, 2] }] }],
  ['q', { type: 'array', items: 'float32', value: [] }],
])

const tensors = new Map<string, HostTensor>([
  ['one', float32([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6))],
  ['two', { dtype: 'float16', shape: [3], data: Uint16Array.of(1, 2, 3) }],
  ['three', { dtype: 'bfloat16', shape: [1, 2, 1, 1], data: Uint16Array.of(0x3f80, 0x4000) }],
  ['four', { dtype: 'int32', shape: [], data: Int32Array.of(-7) }],
])

describe('the file', () => {
  it.each([32, 8, 64])('keeps every type of value and tensor, with alignment %i', async (alignment) => {
    await files.write('x.gguf', encodeGguf(everyValue, tensors, alignment))
    const header = await readGgufHeader(files, 'x.gguf')
    const { 'general.alignment': _, ...values } = Object.fromEntries(header.metadata)
    expect(values).toEqual(Object.fromEntries(everyValue))
    expect(header.version).toBe(3)
    for (const [name, tensor] of header.tensors) {
      expect(tensor.offset % alignment).toBe(0)
      expect(await loadGgufTensor(files, 'x.gguf', name, tensor)).toEqual(tensors.get(name))
    }
  })

  it('lays bytes out as the specification says', () => {
    const bytes = encodeGguf(
      new Map([['k', { type: 'bool', value: true }]]),
      new Map([['t', float32([2, 1], Float32Array.of(1, 2))]]),
    )
    const hex = Buffer.from(bytes).toString('hex')
    const u32 = (value: number): string => Buffer.from(Uint32Array.of(value).buffer).toString('hex')
    const u64 = (value: number): string => Buffer.from(BigUint64Array.of(BigInt(value)).buffer).toString('hex')
    const head =
      '47475546' +
      u32(3) +
      u64(1) +
      u64(1) +
      (u64(1) + '6b' + u32(7) + '01') +
      (u64(1) + '74' + u32(2) + u64(1) + u64(2) + u32(0) + u64(0))
    expect(hex.slice(0, head.length)).toBe(head)
    expect(bytes.length % 32).toBe(0)
    expect(hex.endsWith('0000803f00000040' + '00'.repeat(24))).toBe(true)
  })

  it('describes what is quantised, and does not read it', async () => {
    const bytes = encodeGguf(new Map(), new Map([['w.weight', float32([2, 32], new Float32Array(64))]]))
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    // The type is the four bytes before the offset, which ends the head: magic 4, version 4, counts 16, name 8 + 8, axes 4 + 16.
    view.setUint32(60, 8, true)
    await files.write('q.gguf', bytes)
    const { tensors: found } = await readGgufHeader(files, 'q.gguf')
    expect(found.get('w.weight')).toMatchObject({ type: 'Q8_0', shape: [2, 32], bytes: 68 })
    await expect(loadGgufTensor(files, 'q.gguf', 'w.weight', found.get('w.weight')!)).rejects.toThrow(
      /q\.gguf: tensor "w\.weight" is quantised \(Q8_0\)/,
    )
    view.setUint32(60, 99, true)
    await files.write('q.gguf', bytes)
    expect((await readGgufHeader(files, 'q.gguf')).tensors.get('w.weight')).toMatchObject({ type: 'type 99', bytes: undefined })
    const environment = { ...nodeEnvironment(), files }
    expect(await inspect('q.gguf', environment)).toMatchObject({
      kind: 'gguf',
      parameters: 64,
      tensors: 1,
      modules: [{ name: 'w', kind: 'type 99', shape: [2, 32] }],
    })
  })

  it('reads heads longer than the first piece', async () => {
    const words = Array.from({ length: 60_000 }, (_, i) => `word ${i}`)
    const metadata = new Map<string, GgufValue>([['tokens', { type: 'array', items: 'string', value: words }]])
    await files.write('long.gguf', encodeGguf(metadata, tensors))
    expect((await readGgufHeader(files, 'long.gguf')).metadata.get('tokens')!.value).toEqual(words)
  })

  it('refuses other files by what they are', async () => {
    const whole = encodeGguf(everyValue, tensors)
    const changed = async (change: (view: DataView) => void, length = whole.length): Promise<void> => {
      const bytes = whole.slice(0, length)
      change(new DataView(bytes.buffer))
      await files.write('x', bytes)
      await readGgufHeader(files, 'x')
    }
    await expect(changed((view) => view.setUint8(0, 65))).rejects.toThrow(/x: the file begins with "AGUF", not "GGUF"/)
    await expect(changed((view) => view.setUint32(4, 3, false))).rejects.toThrow(/big-endian/)
    await expect(changed((view) => view.setUint32(4, 1, true))).rejects.toThrow(/version 1 is not supported; expected 2 or 3/)
    await expect(changed((view) => view.setUint32(8, 1e9, true))).rejects.toThrow(/the number of tensors is 1000000000/)
    await expect(changed(() => undefined, 100)).rejects.toThrow(/truncated|more than a file/)
    await expect(changed(() => undefined, whole.length - 40)).rejects.toThrow(/tensor "four" ends at byte .* truncated/)
  })

  it('a damaged file gives our own error, whatever is changed', async () => {
    const whole = encodeGguf(everyValue, tensors)
    const random = new Random(3)
    let refused = 0
    for (let i = 0; i < 1500; i++) {
      const bytes = whole.slice(0, random.uniform() < 0.2 ? random.integer(whole.length) : whole.length)
      for (let n = 0; n < 3 && bytes.length > 0; n++) bytes[random.integer(bytes.length)] = random.integer(256)
      await files.write('x', bytes)
      try {
        await readGgufHeader(files, 'x')
      } catch (error) {
        refused++
        expect(String(error)).toMatch(/^InvalidModelError: x: /)
      }
    }
    expect(refused).toBeGreaterThan(300)
  })
})

const llama = { model_type: 'llama', num_attention_heads: 2, num_key_value_heads: 1, tie_word_embeddings: false }

const matrix = (rows: number, columns: number, seed = 1): HostTensor => {
  const random = new Random(seed)
  return float32(
    [rows, columns],
    Float32Array.from({ length: rows * columns }, () => random.uniform() - 0.5),
  )
}

function adapterOf(
  modules: Readonly<Record<string, readonly [rows: number, r: number]>>,
  config: Partial<LoraConfig> = {},
): AdapterFile {
  const entries = Object.entries(modules).flatMap(([module, [rows, r]], i) => [
    [`${PREFIX}${module}.lora_A.weight`, matrix(r, 8, i)] as const,
    [`${PREFIX}${module}.lora_B.weight`, matrix(rows, r, i + 50)] as const,
  ])
  return { config: { ...loraDefaults, r: 4, loraAlpha: 8, ...config }, tensors: new Map(entries), notes: [] }
}

const q = 'model.layers.0.self_attn.q_proj'
const write = (adapter: AdapterFile, baseConfig: Record<string, unknown> | undefined = llama) =>
  ggufFormat.write!(files, 'a.gguf', adapter, { ...(baseConfig && { baseConfig }) })

describe('adapters', () => {
  it('interleaves the halves of heads, and groups q, k and v', () => {
    expect(Array.from(rowSources('rotary-q', 8, 2))).toEqual([0, 2, 1, 3, 4, 6, 5, 7])
    expect(Array.from(rowSources('by-part', 12, 2))).toEqual([0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11])
  })

  it("writes llama.cpp's names and metadata", async () => {
    const adapter = adapterOf({ [q]: [8, 4], 'model.layers.1.mlp.down_proj': [8, 2], lm_head: [16, 4] })
    expect(await write(adapter)).toEqual([])
    const { metadata, tensors: found } = await readGgufHeader(files, 'a.gguf')
    expect([...found].map(([name, { shape }]) => [name, shape])).toEqual([
      ['blk.0.attn_q.weight.lora_a', [4, 8]],
      ['blk.0.attn_q.weight.lora_b', [8, 4]],
      ['blk.1.ffn_down.weight.lora_a', [2, 8]],
      ['blk.1.ffn_down.weight.lora_b', [8, 2]],
      ['output.weight.lora_a', [4, 8]],
      ['output.weight.lora_b', [16, 4]],
    ])
    const value = (key: string): unknown => metadata.get(key)?.value
    expect(['general.type', 'general.architecture', 'adapter.type', 'adapter.lora.alpha'].map(value)).toEqual(['adapter', 'llama', 'lora', 8]) // prettier-ignore
  })

  it('comes back as it was, without the base model where its own metadata tells the heads', async () => {
    const adapter = adapterOf({ [q]: [8, 4], 'model.layers.0.self_attn.k_proj': [4, 4] })
    await write(adapter)
    expect(await ggufFormat.holds(files, 'a.gguf')).toBe(true)
    const back = await ggufFormat.read(files, 'a.gguf', {})
    expect(back.tensors).toEqual(adapter.tensors)
    expect(back.config).toMatchObject({ r: 4, loraAlpha: 8, targetModules: ['q_proj', 'k_proj'], taskType: 'CAUSAL_LM' })
  })

  it('gives layers with another scale a larger B, and says so', async () => {
    const down = 'model.layers.0.mlp.down_proj'
    const plain = adapterOf({ [q]: [8, 4], [down]: [8, 2], 'model.layers.0.mlp.up_proj': [8, 4] })
    for (const config of [{ alphaPattern: { [down]: 12 } }, { useRslora: true }, { loraAlpha: 0, alphaPattern: { [q]: 3 } }]) {
      const adapter = { ...plain, config: { ...plain.config, ...config } }
      const notes = await write(adapter)
      expect(notes).toEqual([{ text: expect.stringMatching(/^llama\.cpp has one alpha/) as string, loss: expect.any(Boolean) as boolean }]) // prettier-ignore
      const back = splitAdapter(await ggufFormat.read(files, 'a.gguf', {})).pairs
      for (const [i, { B, scale }] of splitAdapter(adapter).pairs.entries())
        for (const [j, value] of B.data.entries())
          expect(Number(back[i]!.B.data[j]) * back[i]!.scale).toBeCloseTo(Number(value) * scale, 6)
    }
  })

  it('refuses what llama.cpp would ignore or crash on', async () => {
    const adapter = adapterOf({ [q]: [8, 4] })
    const beside = (name: string) => ({ ...adapter, tensors: new Map(adapter.tensors).set(PREFIX + name, matrix(8, 1)) })
    await expect(write(beside(`${q}.lora_magnitude_vector`))).rejects.toThrow(/q_proj has DoRA.*merge the adapter/)
    await expect(write(beside('score.weight'))).rejects.toThrow(/LoRA matrices only, and this adapter trains score\.weight/)
    await expect(ggufFormat.write!(files, 'a.gguf', adapter, {})).rejects.toThrow(
      /the base model must be told: give model \(--model\)/,
    )
    await expect(write(adapter, { ...llama, model_type: 'bert' })).rejects.toThrow(
      /"bert" models cannot be written as GGUF; known are llama, mistral/,
    )
    await expect(write(adapterOf({ 'transformer.wpe': [8, 4] }), { model_type: 'gpt2', n_head: 2 })).rejects.toThrow(
      /transformer\.wpe: llama\.cpp applies no adapter/,
    )
    await expect(write(adapterOf({ lm_head: [16, 4] }), { ...llama, tie_word_embeddings: true })).rejects.toThrow(
      /lm_head: .*one table as embedding and head/,
    )
    await expect(write(adapter, { ...llama, num_attention_heads: 3 })).rejects.toThrow(/8 rows of B are no 3 heads/)
  })

  it('refuses to guess the order of rows', async () => {
    const adapter = adapterOf({ [q]: [8, 4] })
    await write(adapter)
    const { metadata, tensors: found } = await readGgufHeader(files, 'a.gguf')
    const loaded = new Map<string, HostTensor>()
    for (const [name, info] of found) loaded.set(name, await loadGgufTensor(files, 'a.gguf', name, info))
    const foreign = new Map([...metadata].filter(([key]) => !key.includes('head_count')))
    await files.write('b.gguf', encodeGguf(foreign, loaded))
    await expect(ggufFormat.read(files, 'b.gguf', {})).rejects.toThrow(/does not tell their number; give the base model/)
    expect((await ggufFormat.read(files, 'b.gguf', { baseConfig: llama })).tensors).toEqual(adapter.tensors)
    await expect(ggufFormat.read(files, 'b.gguf', { baseConfig: { ...llama, model_type: 'qwen2' } })).rejects.toThrow(
      /adapter for llama, but the model is a qwen2/,
    )
  })
})

describe('golden adapters', () => {
  const golden = resolve(import.meta.dirname, '../../../test/fixtures/golden/peft')
  it.each(['llama-all-linear', 'llama-embedding', 'gpt_neox', 'gpt2-all-linear', 'phi3', 'gemma3'])(
    '%s: to GGUF and back, bit for bit',
    async (name) => {
      const environment = nodeEnvironment({ threads: 1 })
      const model = await FolderModel.open(`${golden}/${name}/model`, environment)
      const from = await readAdapterFolder(environment.files, `${golden}/${name}/adapter`)
      const adapter = { ...from, notes: [] }
      await ggufFormat.write!(files, 'a.gguf', adapter, { baseConfig: model.config.json, modules: model.modules })
      const back = await ggufFormat.read(files, 'a.gguf', { modules: model.modules })
      const kept = [...from.tensors].filter(([key]) => !key.endsWith('.base_layer.weight'))
      expect(back.tensors).toEqual(new Map(kept))
      expect(splitAdapter(back).pairs.map(({ scale }) => scale)).toEqual(splitAdapter(adapter).pairs.map(({ scale }) => scale))
    },
  )

  it('an adapter with DoRA is refused by convert', async () => {
    const environment = nodeEnvironment({ threads: 1 })
    const model = await FolderModel.open(`${golden}/llama-dora/model`, environment)
    await expect(convert(`${golden}/llama-dora/adapter`, '/nowhere/a.gguf', { model }, environment)).rejects.toThrow(/DoRA/)
  })
})

/**
 * @file Safetensors files of the reference implementation read, written again byte for byte, and refused by name where they
 * are damaged.
 */
import { mkdtemp, readFile, writeFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { InvalidModelError } from '../errors.js'
import { bytesOf, tensor } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import { nodeFiles } from '../io/node-files.js'
import { castFloats, loadTensor, readSafetensorsHeader, toFloat32 } from './safetensors.js'
import { encodeSafetensors, safetensorsChunks } from './safetensors-write.js'

const files = nodeFiles()
const golden = 'test/fixtures/golden/peft'
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lowrank-safetensors-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A file with the given header text and data bytes. */
async function craft(
  header: string,
  dataBytes: number,
  length = BigInt(new TextEncoder().encode(header).length),
): Promise<string> {
  const path = join(folder, `${crypto.randomUUID()}.safetensors`)
  const json = new TextEncoder().encode(header)
  const bytes = new Uint8Array(8 + json.length + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, length, true)
  bytes.set(json, 8)
  await writeFile(path, bytes)
  return path
}

const entry = (dtype: string, shape: number[], begin: number, end: number) => ({ dtype, shape, data_offsets: [begin, end] })

async function refusal(path: string): Promise<string> {
  const error: unknown = await readSafetensorsHeader(files, path).then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(InvalidModelError)
  expect((error as Error).message).toContain(path)
  return (error as Error).message
}

describe('reading and writing', () => {
  it.each(['gpt2/model/model.safetensors', 'llama/adapter/adapter_model.safetensors', 'qwen3/tensors.safetensors'])(
    'writes %s again byte for byte',
    async (name) => {
      const path = join(golden, name)
      const { tensors, metadata } = await readSafetensorsHeader(files, path)
      const loaded: [string, HostTensor][] = []
      for (const [key, value] of tensors) loaded.push([key, await loadTensor(files, value)])
      loaded.reverse()
      const original = new Uint8Array(await readFile(path))
      expect(encodeSafetensors(loaded, metadata)).toEqual(original)
      const chunks = safetensorsChunks(
        loaded.map(([key, t]) => ({ name: key, dtype: t.dtype, shape: t.shape, load: async () => bytesOf(t) })),
        metadata,
      )
      const streamed: number[] = []
      for await (const chunk of chunks) streamed.push(...chunk)
      expect(new Uint8Array(streamed)).toEqual(original)
    },
  )

  it('keeps every element type, empty tensors and scalars, in the order of the reference', async () => {
    const path = join(folder, 'types.safetensors')
    const types = [
      'bool',
      'uint8',
      'int8',
      'int16',
      'uint16',
      'float16',
      'bfloat16',
      'int32',
      'uint32',
      'float32',
      'float64',
      'int64',
      'uint64',
    ] as const
    await files.write(
      path,
      encodeSafetensors([
        ...types.map((t): [string, HostTensor] => [`t.${t}`, tensor(t, [3], [0, 1, 1])]),
        ['empty', tensor('float32', [0, 4], [])],
        ['scalar', tensor('float32', [], [2.5])],
        ['é', tensor('float32', [1], [7])],
      ]),
    )
    const { tensors, metadata } = await readSafetensorsHeader(files, path)
    expect(metadata).toEqual({ format: 'pt' })
    // As safetensors.torch.save_file orders them: by type (its enumeration, descending), then by name.
    expect([...tensors.keys()]).toEqual([
      't.uint64',
      't.int64',
      't.float64',
      'empty',
      'scalar',
      't.float32',
      'é',
      't.uint32',
      't.int32',
      't.bfloat16',
      't.float16',
      't.uint16',
      't.int16',
      't.int8',
      't.uint8',
      't.bool',
    ])
    for (const [name, value] of tensors) {
      const loaded = await loadTensor(files, value)
      if (name.startsWith('t.')) expect(loaded).toEqual(tensor(value.dtype, [3], [0, 1, 1]))
    }
    expect(toFloat32(await loadTensor(files, tensors.get('scalar')!))).toEqual(Float32Array.of(2.5))
    expect(tensors.get('empty')!.shape).toEqual([0, 4])
  })

  it('widens 16-bit floats exactly and refuses integers', () => {
    expect([...toFloat32({ dtype: 'float16', shape: [3], data: Uint16Array.of(0x3c00, 0x0001, 0xfbff) })]).toEqual([
      1,
      2 ** -24,
      -65504,
    ])
    expect([...toFloat32({ dtype: 'bfloat16', shape: [2], data: Uint16Array.of(0x3f80, 0xc040) })]).toEqual([1, -3])
    expect(() => toFloat32(tensor('int64', [1], [1]))).toThrow('element type int64 [1] is no floating-point tensor')
  })

  it('rounds to 16 bits to the nearest even number, and leaves alone what has the type', () => {
    const floats = tensor('float32', [3], [1 + 2 ** -11, 1 + 3 * 2 ** -11, -65519])
    const half = castFloats(floats, 'float16')
    expect([half.dtype, half.shape, [...toFloat32(half)]]).toEqual(['float16', [3], [1, 1 + 2 ** -9, -65504]])
    expect([...toFloat32(castFloats(half, 'bfloat16'))]).toEqual([1, 1, -65536])
    expect(castFloats(floats, 'float32')).toBe(floats)
    expect(() => castFloats(tensor('int64', [1], [1]), 'float16')).toThrow('element type int64 [1]')
  })

  it('refuses to write a name twice or wrong bytes', async () => {
    const one = tensor('float32', [1], [1])
    expect(() =>
      encodeSafetensors([
        ['a', one],
        ['a', one],
      ]),
    ).toThrow('tensor "a" is given twice')
    expect(() => encodeSafetensors([['a', { ...one, shape: [2] }]])).toThrow('tensor "a": float32 [2] needs 8 bytes, got 4')
    expect(() => encodeSafetensors([['a', { dtype: 'int4', shape: [2], data: Uint8Array.of(1) }]])).toThrow(
      'element type int4 cannot be stored',
    )
  })
})

describe('damaged files', () => {
  it('too short for a header length', async () => {
    const path = join(folder, 'short')
    await writeFile(path, 'abc')
    expect(await refusal(path)).toMatch(/3 bytes are too few .* truncated/)
  })
  it('header length beyond the file, and absurd', async () => {
    expect(await refusal(await craft('{}', 0, 500n))).toMatch(/the header needs 500 bytes, but only 2 follow/)
    expect(await refusal(await craft('{}', 0, 0x7fff_ffff_ffff_ffffn))).toMatch(
      /header length 9223372036854775807 is above the limit/,
    )
  })
  it.each([
    ['{"a": ', /not valid JSON/],
    ['[]', /must be a JSON object/],
    [' {}', /must be a JSON object/],
    ['{"__metadata__":{"format":1}}', /"__metadata__" key "format" must be a string, got 1/],
    ['{"__metadata__":[]}', /"__metadata__" must be an object/],
    ['{"a":5}', /tensor "a": expected an object/],
  ])('header %s', async (header, message) => {
    expect(await refusal(await craft(header, 0))).toMatch(message)
  })
  it('not UTF-8', async () => {
    const path = await craft('{"a":1}', 0)
    const bytes = await readFile(path)
    bytes[10] = 0xff
    await writeFile(path, bytes)
    expect(await refusal(path)).toMatch(/not valid UTF-8/)
  })
  it('the same tensor twice', async () => {
    const a = JSON.stringify(entry('F32', [1], 0, 4))
    expect(await refusal(await craft(`{"a":${a},"\\u0061":${a}}`, 4))).toMatch(/has the key "a" twice/)
  })
  it.each([
    [entry('F8_E4M3', [4], 0, 4), /tensor "w": element type "F8_E4M3" is not supported \(known: F64, F32/],
    [entry('constructor', [4], 0, 4), /element type "constructor" is not supported/],
    [entry('F32', [-1], 0, 4), /tensor "w": shape must be a list of non-negative integers, got \[-1\]/],
    [entry('F32', [1.5], 0, 4), /shape must be/],
    [entry('F32', [1], 4, 0), /tensor "w": data_offsets must be \[begin, end\]/],
    [entry('F32', [1], 0, 3.5), /data_offsets must be/],
    [entry('F32', [2], 0, 4), /tensor "w": F32 \[2\] needs 8 bytes, but data_offsets \[0, 4\] hold 4/],
    [entry('F16', [1], 0, 4), /F16 \[1\] needs 2 bytes/],
    [entry('F32', [2 ** 40, 2 ** 40], 0, 4), /needs .* bytes, but/],
    [entry('F32', [1], 4, 8), /tensor "w" at data offset 4 leaves a gap of 4 bytes after the header/],
  ])('tensor %j', async (info, message) => {
    expect(await refusal(await craft(JSON.stringify({ w: info }), info.data_offsets[1] ?? 0))).toMatch(message)
  })
  it('overlapping and separated tensors', async () => {
    expect(await refusal(await craft(JSON.stringify({ a: entry('F32', [2], 0, 8), b: entry('F32', [2], 4, 12) }), 12))).toMatch(
      /tensor "b" at data offset 4 overlaps tensor "a" by 4 bytes/,
    )
    expect(await refusal(await craft(JSON.stringify({ a: entry('F32', [1], 0, 4), b: entry('F32', [1], 8, 12) }), 12))).toMatch(
      /tensor "b" at data offset 8 leaves a gap of 4 bytes after tensor "a"/,
    )
  })
  it('data cut short, and data too long', async () => {
    const header = JSON.stringify({ a: entry('F32', [4], 0, 16) })
    expect(await refusal(await craft(header, 15))).toMatch(
      /tensor "a" ends at byte \d+, but the file has \d+ bytes; the file is truncated/,
    )
    expect(await refusal(await craft(header, 17))).toMatch(/1 bytes follow tensor "a"/)
  })
})

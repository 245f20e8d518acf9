/** @file Torch files against what Python says they hold; hostile and damaged ones. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { InvalidModelError } from '../../errors.js'
import { tensor } from '../../graph/constants.js'
import type { HostTensor } from '../../graph/types.js'
import { nodeFiles } from '../../io/node-files.js'
import { halfToFloat, bfloat16ToFloat } from '../../util/half.js'
import { Random } from '../../util/rng.js'
import { ByteReader } from './bytes.js'
import { encodeTorch, streamTorch, inPlace, namedTensors, openTorch, readTorchTensors } from './index.js'
import { readPickle } from './pickle.js'
import { PickleDict } from './values.js'

const files = nodeFiles()
const fixtures = join(import.meta.dirname, '../../../test/fixtures/torch')
const folder = mkdtempSync(join(tmpdir(), 'lowrank-torch-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Expected {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly values: readonly number[]
}
const { files: expected } = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as {
  files: Record<string, Record<string, Expected>>
}

const numbers = ({ dtype, data }: HostTensor): number[] =>
  dtype === 'float16'
    ? Array.from(data as Uint16Array, halfToFloat)
    : dtype === 'bfloat16'
      ? Array.from(data as Uint16Array, bfloat16ToFloat)
      : Array.from(data as ArrayLike<number | bigint>, Number)

const described = (loaded: ReadonlyMap<string, HostTensor>): Record<string, Expected> =>
  Object.fromEntries([...loaded].map(([name, t]) => [name, { dtype: t.dtype, shape: t.shape, values: numbers(t) }]))

const bytes = (...parts: (string | readonly number[])[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'string' ? [...new TextEncoder().encode(part)] : part)))

const run = (...parts: (string | readonly number[])[]): unknown => readPickle(new ByteReader(bytes(...parts)))

describe('files that PyTorch wrote', () => {
  it.each(Object.keys(expected))('%s: every tensor as Python has it', async (name) => {
    const { loaded } = await readTorchTensors(files, join(fixtures, name))
    expect(described(loaded)).toEqual(expected[name])
  })

  it('tells what lies beside a wrapped state dict', async () => {
    const named = namedTensors(await openTorch(files, join(fixtures, 'wrapped.legacy.th')))
    expect(named.wrapper).toBe('state_dict')
    expect(named.ignored).toEqual(['epoch', 'best', 'big', 'args'])
  })

  it('finds row-major tensors in place, and no others', async () => {
    const file = await openTorch(files, join(fixtures, 'views.zip.pt'))
    const { tensors } = namedTensors(file)
    const found = [...tensors].filter(([, t]) => inPlace(file, t) !== undefined).map(([name]) => name)
    expect(found).toEqual(['whole', 'row', 'scalar', 'empty'])
    const row = inPlace(file, tensors.get('row')!)!
    const raw = await files.read(row.file.path, row.file)
    expect(Array.from(new Float32Array(raw.slice().buffer))).toEqual(expected['views.zip.pt']!['row']!.values)
    const deflated = await openTorch(files, join(fixtures, 'deflated.pt'))
    expect(inPlace(deflated, namedTensors(deflated).tensors.get('float32')!)).toBeUndefined()
  })
})

describe('hostile files', () => {
  it.each([
    ['hostile-system.pt', /"posix\.system"/],
    ['hostile-legacy.th', /"posix\.system"/],
    ['hostile-eval.pt', /"builtins\.eval"/],
    ['hostile-getattr.pt', /"builtins\.getattr"/],
    ['hostile-module.pt', /"torch\.nn\.modules\.linear\.Linear"/],
  ])('%s is refused by the name it asks for', async (name, message) => {
    await expect(openTorch(files, join(fixtures, name))).rejects.toThrow(message)
    expect(existsSync('/tmp/owned')).toBe(false)
  })

  it('os.system is refused in every spelling', () => {
    expect(() => run([0x80, 2], 'cos\nsystem\n', [0x85, 0x52, 0x2e])).toThrow(/"os\.system"/)
    expect(() => run([0x8c, 2], 'os', [0x8c, 6], 'system', [0x93, 0x2e])).toThrow(/"os\.system"/)
    expect(() => run('(ios\nsystem\n.')).toThrow(/"os\.system"/)
    expect(() => run('ctorch.nn\n__proto__\n.')).toThrow(/"torch\.nn\.__proto__"/)
  })

  it.each([
    ['an empty stack', [[0x30, 0x2e]], /empty stack/],
    ['a length beyond the end', [[0x58, 255, 255, 255, 255]], /ends too early/],
    ['a length of 2^63', [[0x8d, 255, 255, 255, 255, 255, 255, 255, 127]], /ends too early/],
    ['a memo never written', [[0x6a, 255, 255, 255, 255, 0x2e]], /memo 4294967295/],
    ['a mark never set', ['t.'], /lacks a mark/],
    ['a call of text', [[0x8c, 1, 0x61, 0x29, 0x52, 0x2e]], /calls text a/],
    ['an integer of a megabyte', [[0x8b, 0, 0, 16, 0]], /integer of 1048576 bytes/],
    ['an unknown instruction', [[0x80, 2, 0x82]], /0x82/],
    ['a million dicts', ['}'.repeat(1e6)], /too many objects/],
  ] as [string, (string | number[])[], RegExp][])('%s is refused', (_, parts, message) => {
    expect(() => run(...parts)).toThrow(InvalidModelError)
    expect(() => run(...parts)).toThrow(message)
  })

  it('nesting of any depth needs no recursion', () => {
    expect(() => run('('.repeat(1e5), 'N', 't'.repeat(1e5), '.')).toThrow(/too many objects/)
    expect(run(']'.repeat(900), 'a'.repeat(899), '.')).toHaveLength(1)
  })

  it('a dict that holds itself is refused', async () => {
    const value = new PickleDict()
    value.entries.set('again', value)
    const file = { path: 'loop.pt', container: 'zip', bytes: 1000, value, storages: new Map() } as const
    expect(() => namedTensors(file)).toThrow(/nested too deeply/)
  })

  it('a dict of exponentially many paths is refused', () => {
    let value = new PickleDict()
    for (let i = 0; i < 40; i++) {
      const outer = new PickleDict()
      outer.entries.set('a', value)
      outer.entries.set('b', value)
      value = outer
    }
    const file = { path: 'bomb.pt', container: 'zip', bytes: 1000, value, storages: new Map() } as const
    expect(() => namedTensors(file)).toThrow(/more tensors than|nested too deeply/)
  })

  it('no mutation of a file gives another error than ours', async () => {
    const generator = new Random(7)
    const random = (): number => generator.uniform()
    for (const name of ['views.zip.pt', 'views.legacy.th', 'deflated.pt', 'protocol4.pt']) {
      const original = readFileSync(join(fixtures, name))
      for (let i = 0; i < 150; i++) {
        const mutated = Uint8Array.from(original)
        for (let n = 0; n <= random() * 4; n++) mutated[Math.floor(random() * mutated.length)] = Math.floor(random() * 256)
        const path = join(folder, `mutated-${name}`)
        writeFileSync(path, random() < 0.2 ? mutated.subarray(0, Math.floor(random() * mutated.length)) : mutated)
        const error = await readTorchTensors(files, path).then(
          () => undefined,
          (e: unknown) => e,
        )
        if (error !== undefined) expect(error, `${name} ${i}: ${(error as Error).stack}`).toBeInstanceOf(InvalidModelError)
      }
    }
  }, 60_000)
})

describe('writing', () => {
  it('gives back what was written, of every element type', async () => {
    const dtypes = ['float32', 'float16', 'bfloat16', 'float64', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool'] as const
    const written = new Map<string, HostTensor>(dtypes.map((dtype) => [`layer.${dtype}`, tensor(dtype, [2, 2], [1, 0, 1, 1])]))
    written.set('scalar', tensor('float32', [], [3]))
    written.set('empty', tensor('float32', [0, 4], []))
    const path = join(folder, 'written.pt')
    await files.write(path, encodeTorch(written))
    const { loaded } = await readTorchTensors(files, path)
    expect(loaded).toEqual(written)
    const file = await openTorch(files, path)
    for (const { offset } of file.storages.values()) expect(offset % 64).toBe(0)
  })

  it('puts tensors under a key, stores a shared one once, and gives the same bytes in pieces', async () => {
    const [a, b] = [tensor('float32', [2, 3], [1, 2, 3, 4, 5, 6]), tensor('int64', [1], [7])]
    const list = [['w.a', a], ['w.b', b], ['tied.a', a]] as const // prettier-ignore
    const whole = encodeTorch(list, 'archive', 'model_state_dict')
    const pieces: Uint8Array[] = []
    for await (const piece of streamTorch(list, (each) => Promise.resolve(each), { wrapper: 'model_state_dict' }))
      pieces.push(piece)
    expect(Buffer.concat(pieces).equals(whole)).toBe(true)
    const path = join(folder, 'wrapped.pt')
    await files.write(path, whole)
    const { loaded, wrapper } = await readTorchTensors(files, path)
    expect([...loaded]).toEqual(list)
    expect(wrapper).toBe('model_state_dict')
    expect((await openTorch(files, path)).storages.size).toBe(2)
  })

  it('is read with 64-bit sizes and offsets everywhere, as archives above 4 GB have them', async () => {
    const written = new Map([['w', tensor('float32', [2], [1, 2])]])
    const small = encodeTorch(written)
    const view = new DataView(small.buffer)
    const end = small.length - 22
    const [count, start] = [view.getUint16(end + 10, true), view.getUint32(end + 16, true)]
    const parts: number[] = [...small.subarray(0, start)]
    const u64 = (value: number): number[] => [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)]
    for (let n = 0, at = start; n < count; n++) {
      const length = 46 + view.getUint16(at + 28, true)
      const entry = small.slice(at, at + length)
      const [packed, size, offset] = [20, 24, 42].map((o) => view.getUint32(at + o, true)) as [number, number, number]
      for (const o of [20, 24, 42]) entry.fill(255, o, o + 4)
      entry[30] = 28
      parts.push(...entry, 1, 0, 24, 0, ...u64(size), ...u64(packed), ...u64(offset))
      at += length
    }
    const record = parts.length
    parts.push(
      0x50,
      0x4b,
      6,
      6,
      ...u64(44),
      45,
      0,
      45,
      0,
      ...u64(0),
      ...u64(count),
      ...u64(count),
      ...u64(record - start),
      ...u64(start),
    )
    parts.push(0x50, 0x4b, 6, 7, 0, 0, 0, 0, ...u64(record), 1, 0, 0, 0)
    parts.push(0x50, 0x4b, 5, 6, 0, 0, 0, 0, ...new Array<number>(12).fill(255), 0, 0)
    const path = join(folder, 'zip64.pt')
    await files.write(path, Uint8Array.from(parts))
    expect((await readTorchTensors(files, path)).loaded).toEqual(written)
  })

  it('refuses a type that PyTorch has no storage for', () => {
    expect(() => encodeTorch([['x', tensor('uint16', [1], [1])]])).toThrow(/"x": element type uint16/)
  })
})

const real = join(import.meta.dirname, '../../../../shared/models')
describe.skipIf(!existsSync(real))('real checkpoints', () => {
  it('reads the adapter of the LoRA paper', async () => {
    const named = namedTensors(await openTorch(files, join(real, 'roberta-base-lora-mnli/roberta_base_lora_mnli.bin')))
    expect(named.tensors.size).toBe(52)
    expect(named.tensors.get('classifier.out_proj.weight')!.shape).toEqual([3, 768])
  })

  it('reads the legacy stream of a ResNet saved under DataParallel', async () => {
    const named = namedTensors(await openTorch(files, join(real, 'resnet-cifar10/resnet20-12fca82f.th')))
    expect(named.parallel).toBe(true)
    expect(named.ignored).toEqual(['best_prec1'])
    expect(named.tensors.get('conv1.weight')!.shape).toEqual([16, 3, 3, 3])
  })
})

/** @file Writing what `torch.save(state_dict)` writes: a zip of stored entries that `torch.load(weights_only=True)` reads. */
import { InvalidModelError } from '../../errors.js'
import { bytesOf } from '../../graph/constants.js'
import { elementCount, type DType, type HostTensor } from '../../graph/types.js'

/** Typed storages by element type; the unsigned types that have none are written as PyTorch does, untyped. */
const storageNames: Partial<Record<DType, string>> = {
  float32: 'FloatStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  float64: 'DoubleStorage',
  int64: 'LongStorage',
  int32: 'IntStorage',
  int16: 'ShortStorage',
  int8: 'CharStorage',
  uint8: 'ByteStorage',
  bool: 'BoolStorage',
}

/** Bytes collected in a list that grows. */
class Bytes {
  private readonly parts: Uint8Array[] = []
  length = 0

  add(part: Uint8Array | readonly number[]): this {
    const bytes = part instanceof Uint8Array ? part : Uint8Array.from(part)
    this.parts.push(bytes)
    this.length += bytes.length
    return this
  }

  join(): Uint8Array {
    const result = new Uint8Array(this.length)
    let offset = 0
    for (const part of this.parts) {
      result.set(part, offset)
      offset += part.length
    }
    return result
  }
}

const utf8 = new TextEncoder()
const u16 = (value: number): number[] => [value & 255, (value >>> 8) & 255]
const u32 = (value: number): number[] => [...u16(value), ...u16(value >>> 16)]

/** BINUNICODE */
const text = (value: string): number[] => {
  const bytes = utf8.encode(value)
  return [0x58, ...u32(bytes.length), ...bytes]
}

const global = (module: string, name: string): number[] => [0x63, ...utf8.encode(`${module}\n${name}\n`)]

/** BININT, or LONG1 of 8 bytes above 2^31. */
const integer = (value: number): number[] =>
  value < 2 ** 31 ? [0x4a, ...u32(value)] : [0x8a, 8, ...u32(value % 2 ** 32), ...u32(Math.floor(value / 2 ** 32))]

const tuple = (values: readonly number[]): number[] => [0x28, ...values.flatMap(integer), 0x74]

const stridesOf = (shape: readonly number[]): number[] => {
  const strides = shape.map(() => 1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * Math.max(1, shape[axis + 1]!)
  return strides
}

const emptyOrderedDict = [...global('collections', 'OrderedDict'), 0x29, 0x52]

/** The pickle of an OrderedDict of tensors; tensor i lies in storage i. */
function pickle(tensors: readonly (readonly [string, HostTensor])[]): Uint8Array {
  const out = new Bytes().add([0x80, 2, ...emptyOrderedDict, 0x28])
  tensors.forEach(([name, { dtype, shape }], i) => {
    const storage = storageNames[dtype]
    if (storage === undefined)
      throw new InvalidModelError(`tensor "${name}": element type ${dtype} cannot be stored in a torch file`)
    out.add([
      ...text(name),
      ...global('torch._utils', '_rebuild_tensor_v2'),
      0x28,
      // The storage: ('storage', type, key, location, elements) as a persistent id.
      ...[0x28, ...text('storage'), ...global('torch', storage), ...text(String(i)), ...text('cpu')],
      ...[...integer(elementCount(shape)), 0x74, 0x51],
      ...[...integer(0), ...tuple(shape), ...tuple(stridesOf(shape))],
      // requires_grad, backward_hooks
      ...[0x89, ...emptyOrderedDict, 0x74, 0x52],
    ])
  })
  return out.add([0x75, 0x2e]).join()
}

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
  return c
})

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = table[(crc ^ byte) & 255]! ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

/** PyTorch aligns what it stores so that it can be mapped. */
const ALIGNMENT = 64
const LARGEST = 0xfffffffe

/** A zip of stored entries, each aligned through the extra field of its header, as PyTorch writes it. */
function zip(entries: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const out = new Bytes()
  const directory = new Bytes()
  for (const [name, bytes] of entries) {
    const encoded = utf8.encode(name)
    const offset = out.length
    const before = offset + 30 + encoded.length
    // An extra field has a head of 4 bytes; id "FB" is PyTorch's.
    const padding = (ALIGNMENT - ((before + 4) % ALIGNMENT)) % ALIGNMENT
    const shared = [...u16(20), ...u16(0x800), ...u16(0), ...u16(0), ...u16(0x21), ...u32(crc32(bytes)), ...u32(bytes.length)]
    const common = [...shared, ...u32(bytes.length), ...u16(encoded.length)]
    out.add([...u32(0x04034b50), ...common, ...u16(4 + padding)]).add(encoded)
    out.add([0x46, 0x42, ...u16(padding), ...new Array<number>(padding).fill(0x5a)]).add(bytes)
    directory.add([
      ...u32(0x02014b50),
      ...u16(20),
      ...common,
      ...u16(0),
      ...u16(0),
      ...u16(0),
      ...u16(0),
      ...u32(0),
      ...u32(offset),
    ])
    directory.add(encoded)
  }
  const start = out.length
  if (start > LARGEST || entries.length > 0xfffe)
    throw new InvalidModelError(
      'a torch file of 4 GB or more, or of more than 65,000 tensors, cannot be written; use safetensors',
    )
  out.add(directory.join())
  const count = u16(entries.length)
  return out.add([...u32(0x06054b50), 0, 0, 0, 0, ...count, ...count, ...u32(directory.length), ...u32(start), 0, 0]).join()
}

/**
 * A torch file in memory.
 * @param name the folder inside the archive, which `torch.save` takes from the file's name
 * @throws InvalidModelError for an element type that PyTorch lacks, or 4 GB and more
 * @example
 * await files.write('model.pt', encodeTorch(stateDict(model)))
 */
export function encodeTorch(tensors: Iterable<readonly [string, HostTensor]>, name = 'archive'): Uint8Array {
  const list = [...tensors]
  return zip([
    [`${name}/data.pkl`, pickle(list)],
    [`${name}/.format_version`, utf8.encode('1')],
    [`${name}/byteorder`, utf8.encode('little')],
    ...list.map(([, tensor], i): [string, Uint8Array] => [`${name}/data/${i}`, bytesOf(tensor)]),
    [`${name}/version`, utf8.encode('3\n')],
  ])
}

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

/** What the head of a file tells of a tensor. */
export type TensorHead = Pick<HostTensor, 'dtype' | 'shape'>

/** Tensors that are stored, each once: one that stands there by two names is shared, as tied weights are. */
const storagesOf = <T>(tensors: readonly (readonly [string, T])[]): readonly T[] => [
  ...new Set(tensors.map(([, tensor]) => tensor)),
]

/** The pickle of an OrderedDict of tensors, in a dict of one key where there is a wrapper. */
function pickle(tensors: readonly (readonly [string, TensorHead])[], wrapper: string | undefined): Uint8Array {
  const out = new Bytes().add([0x80, 2])
  // EMPTY_DICT, the key; SETITEM at the end.
  if (wrapper !== undefined) out.add([0x7d, ...text(wrapper)])
  out.add([...emptyOrderedDict, 0x28])
  const storages = new Map(storagesOf(tensors).map((tensor, i) => [tensor, i]))
  tensors.forEach(([name, tensor]) => {
    const { dtype, shape } = tensor
    const storage = storageNames[dtype]
    if (storage === undefined)
      throw new InvalidModelError(`tensor "${name}": element type ${dtype} cannot be stored in a torch file`)
    out.add([
      ...text(name),
      ...global('torch._utils', '_rebuild_tensor_v2'),
      0x28,
      // The storage: ('storage', type, key, location, elements) as a persistent id.
      ...[0x28, ...text('storage'), ...global('torch', storage), ...text(String(storages.get(tensor)!)), ...text('cpu')],
      ...[...integer(elementCount(shape)), 0x74, 0x51],
      ...[...integer(0), ...tuple(shape), ...tuple(stridesOf(shape))],
      // requires_grad, backward_hooks
      ...[0x89, ...emptyOrderedDict, 0x74, 0x52],
    ])
  })
  return out.add([0x75, ...(wrapper === undefined ? [] : [0x73]), 0x2e]).join()
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
class ZipWriter {
  private readonly directory = new Bytes()
  private count = 0
  private length = 0

  /** The bytes of an entry, to be written behind those before it. */
  entry(name: string, bytes: Uint8Array): Uint8Array[] {
    const encoded = utf8.encode(name)
    const before = this.length + 30 + encoded.length
    // An extra field has a head of 4 bytes; id "FB" is PyTorch's.
    const padding = (ALIGNMENT - ((before + 4) % ALIGNMENT)) % ALIGNMENT
    const shared = [...u16(20), ...u16(0x800), ...u16(0), ...u16(0), ...u16(0x21), ...u32(crc32(bytes)), ...u32(bytes.length)]
    const common = [...shared, ...u32(bytes.length), ...u16(encoded.length)]
    const head = new Bytes()
      .add([...u32(0x04034b50), ...common, ...u16(4 + padding)])
      .add(encoded)
      .add([0x46, 0x42, ...u16(padding), ...new Array<number>(padding).fill(0x5a)])
      .join()
    this.directory
      .add([
        ...u32(0x02014b50),
        ...u16(20),
        ...common,
        ...u16(0),
        ...u16(0),
        ...u16(0),
        ...u16(0),
        ...u32(0),
        ...u32(this.length),
      ])
      .add(encoded)
    this.length += head.length + bytes.length
    this.count++
    if (this.length > LARGEST || this.count > 0xfffe) throw tooLarge()
    return [head, bytes]
  }

  /** What stands behind all entries. */
  end(): Uint8Array {
    const { directory, length } = this
    const count = u16(this.count)
    const bytes = directory.join()
    return new Bytes()
      .add(bytes)
      .add([...u32(0x06054b50), 0, 0, 0, 0, ...count, ...count, ...u32(bytes.length), ...u32(length), 0, 0])
      .join()
  }
}

const tooLarge = (): InvalidModelError =>
  new InvalidModelError('a torch file of 4 GB or more, or of more than 65,000 tensors, cannot be written; use safetensors')

/** How a file is written. */
export interface TorchWriteOptions {
  /** The folder inside the archive, which `torch.save` takes from the file's name; `archive` by default. */
  readonly name?: string
  /** The key under which the tensors lie, as in `torch.save({'model_state_dict': …})`; they are the whole of it by default. */
  readonly wrapper?: string
}

/**
 * A torch file in pieces, one tensor in memory at a time. What stands there by two names is stored once.
 * @param load reads a tensor of the list
 * @throws InvalidModelError for an element type that PyTorch lacks, or 4 GB and more
 * @example
 * await files.write('model.pt', streamTorch(weights, (tensor) => loadTensor(files, tensor)))
 */
export async function* streamTorch<T extends Pick<HostTensor, 'dtype' | 'shape'>>(
  tensors: Iterable<readonly [string, T]>,
  load: (tensor: T) => Promise<HostTensor>,
  { name = 'archive', wrapper }: TorchWriteOptions = {},
): AsyncGenerator<Uint8Array> {
  const list = [...tensors]
  const zip = new ZipWriter()
  for (const [entry, bytes] of headEntries(list, wrapper)) yield* zip.entry(`${name}/${entry}`, bytes)
  for (const [i, tensor] of storagesOf(list).entries()) yield* zip.entry(`${name}/data/${i}`, bytesOf(await load(tensor)))
  yield* zip.entry(`${name}/version`, utf8.encode('3\n'))
  yield zip.end()
}

/** What stands before the storages. */
const headEntries = (list: readonly (readonly [string, TensorHead])[], wrapper?: string): [string, Uint8Array][] => [
  ['data.pkl', pickle(list, wrapper)],
  ['.format_version', utf8.encode('1')],
  ['byteorder', utf8.encode('little')],
]

/**
 * A torch file in memory. A tensor that stands there by two names is stored once.
 * @param name the folder inside the archive, which `torch.save` takes from the file's name
 * @param wrapper the key under which the tensors lie, as in `torch.save({'model_state_dict': …})`; they are the whole of it by default
 * @throws InvalidModelError for an element type that PyTorch lacks, or 4 GB and more
 * @example
 * await files.write('model.pt', encodeTorch(stateDict(model)))
 */
export function encodeTorch(tensors: Iterable<readonly [string, HostTensor]>, name = 'archive', wrapper?: string): Uint8Array {
  const list = [...tensors]
  const zip = new ZipWriter()
  const out = new Bytes()
  const add = (entry: string, bytes: Uint8Array): void => zip.entry(`${name}/${entry}`, bytes).forEach((piece) => out.add(piece))
  for (const [entry, bytes] of headEntries(list, wrapper)) add(entry, bytes)
  storagesOf(list).forEach((tensor, i) => add(`data/${i}`, bytesOf(tensor)))
  add('version', utf8.encode('3\n'))
  return out.add(zip.end()).join()
}

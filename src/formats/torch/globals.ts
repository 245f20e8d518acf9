/** @file The whitelist of a torch pickle: names that may occur, and the plain data that stands for calling them. */
import { InvalidModelError } from '../../errors.js'
import { bytesPerElement, type DType } from '../../graph/types.js'
import { describePickle, PickleDict, PickleGlobal, PickleTuple, StorageValue, TorchTensor, type PickleValue } from './values.js'

/** Element types of typed storages. */
const storageTypes: Readonly<Record<string, DType>> = {
  'torch.FloatStorage': 'float32',
  'torch.HalfStorage': 'float16',
  'torch.BFloat16Storage': 'bfloat16',
  'torch.DoubleStorage': 'float64',
  'torch.LongStorage': 'int64',
  'torch.IntStorage': 'int32',
  'torch.ShortStorage': 'int16',
  'torch.CharStorage': 'int8',
  'torch.ByteStorage': 'uint8',
  'torch.BoolStorage': 'bool',
}

const UNTYPED = 'torch.storage.UntypedStorage'

/** `torch.float32` and the like, as values. */
const dtypes: Readonly<Record<string, DType>> = {
  'torch.float32': 'float32',
  'torch.float16': 'float16',
  'torch.bfloat16': 'bfloat16',
  'torch.float64': 'float64',
  'torch.int64': 'int64',
  'torch.int32': 'int32',
  'torch.int16': 'int16',
  'torch.int8': 'int8',
  'torch.uint8': 'uint8',
  'torch.uint16': 'uint16',
  'torch.uint32': 'uint32',
  'torch.uint64': 'uint64',
  'torch.bool': 'bool',
}

/** Element types of NumPy's scalars, by their codes. */
const numpyScalars: Readonly<Record<string, (view: DataView) => PickleValue>> = {
  f8: (view) => view.getFloat64(0, true),
  f4: (view) => view.getFloat32(0, true),
  i8: (view) => view.getBigInt64(0, true),
  i4: (view) => view.getInt32(0, true),
  u1: (view) => view.getUint8(0),
  b1: (view) => view.getUint8(0) !== 0,
}

const fail = (what: string): InvalidModelError => new InvalidModelError(what)

function isSize(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

const itemsOf = (value: PickleValue | undefined): readonly PickleValue[] | undefined =>
  value instanceof PickleTuple ? value.items : Array.isArray(value) ? value : undefined

function sizes(value: PickleValue | undefined, what: string): number[] {
  const items = itemsOf(value)
  if (items === undefined || items.length > 64 || !items.every(isSize))
    throw fail(`the ${what} of a tensor must be a tuple of at most 64 integers not below 0, got ${describePickle(value)}`)
  return [...items] as number[]
}

/** The view of a storage that `_rebuild_tensor` describes, checked to lie inside it. */
function rebuildTensor(args: readonly PickleValue[], asType?: DType): TorchTensor {
  const [storage, offset, shapeValue, strideValue] = args
  if (!(storage instanceof StorageValue) || !isSize(offset))
    throw fail(`a tensor needs a storage and an offset, got ${describePickle(storage)} and ${describePickle(offset)}`)
  const dtype = asType ?? storage.dtype
  if (dtype === undefined) throw fail(`the tensor on untyped storage "${storage.key}" has no element type`)
  const shape = sizes(shapeValue, 'shape')
  const strides = sizes(strideValue, 'strides')
  if (shape.length !== strides.length)
    throw fail(`a tensor of shape [${shape.join(', ')}] has ${strides.length} strides; the file is damaged`)
  const unit = bytesPerElement[dtype as keyof typeof bytesPerElement]
  const held = storage.dtype === undefined ? Math.floor(storage.elements / unit) : storage.elements
  const empty = shape.includes(0)
  // Offset of the last element, in doubles: an overflow only grows.
  const last = shape.reduce((sum, size, i) => sum + (size - 1) * strides[i]!, offset)
  if (empty ? offset > held : !(last < held))
    throw fail(
      `a tensor of shape [${shape.join(', ')}], strides [${strides.join(', ')}] and offset ${offset} ends outside its storage "${storage.key}" of ${held} elements; the file is damaged`,
    )
  return new TorchTensor(dtype, shape, strides, offset, storage)
}

/** Keys and values of a list of pairs. */
function fillDict(dict: PickleDict, pairs: PickleValue | undefined): PickleDict {
  if (pairs instanceof PickleDict) for (const [key, value] of pairs.entries) dict.entries.set(key, value)
  else
    for (const pair of itemsOf(pairs) ?? []) {
      const items = itemsOf(pair)
      if (items?.length !== 2) throw fail(`an OrderedDict needs pairs, got ${describePickle(pair)}`)
      dict.entries.set(items[0]!, items[1]!)
    }
  return dict
}

function numpyScalar([type, bytes]: readonly PickleValue[]): PickleValue {
  const code = type instanceof PickleTuple ? type.items[0] : undefined
  const read = typeof code === 'string' && Object.hasOwn(numpyScalars, code) ? numpyScalars[code] : undefined
  if (read === undefined || !(bytes instanceof Uint8Array) || bytes.length !== Number((code as string).slice(1)))
    throw fail(`a NumPy scalar of type ${describePickle(code)} is not supported`)
  return read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength))
}

function latin1(text: PickleValue | undefined): Uint8Array {
  if (typeof text !== 'string' || /[^\0-\xff]/.test(text)) throw fail('_codecs.encode needs text of latin-1')
  return Uint8Array.from(text, (c) => c.charCodeAt(0))
}

/** What stands for the call of each whitelisted function. */
const calls: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>> = {
  'collections.OrderedDict': ([pairs]) => fillDict(new PickleDict(), pairs),
  'collections.Counter': ([pairs]) => fillDict(new PickleDict(), pairs),
  'builtins.dict': ([pairs]) => fillDict(new PickleDict(), pairs),
  'builtins.set': ([items]) => [...(itemsOf(items) ?? [])],
  'torch.Size': ([items]) => new PickleTuple(itemsOf(items) ?? []),
  'torch.device': ([name]) => (typeof name === 'string' ? name : null),
  'torch._utils._rebuild_tensor': (args) => rebuildTensor(args),
  'torch._utils._rebuild_tensor_v2': (args) => rebuildTensor(args),
  'torch._utils._rebuild_tensor_v3': (args) => {
    const type = args[6]
    const dtype = type instanceof PickleGlobal ? dtypes[type.name] : undefined
    if (dtype === undefined) throw fail(`a tensor's element type ${describePickle(type)} is not supported`)
    return rebuildTensor(args, dtype)
  },
  'torch._utils._rebuild_parameter': ([tensor]) => parameter(tensor),
  'torch._utils._rebuild_parameter_with_state': ([tensor]) => parameter(tensor),
  'numpy.dtype': (args) => new PickleTuple(args.slice(0, 1)),
  'numpy.core.multiarray.scalar': numpyScalar,
  'numpy._core.multiarray.scalar': numpyScalar,
  '_codecs.encode': ([text]) => latin1(text),
}

function parameter(tensor: PickleValue | undefined): TorchTensor {
  if (!(tensor instanceof TorchTensor)) throw fail(`a parameter needs a tensor, got ${describePickle(tensor)}`)
  return tensor
}

/** Python 2's names of modules, which protocol 2 writes. */
const renamed = (module: string): string => (module === '__builtin__' ? 'builtins' : module)

/**
 * A name that the pickle asks for.
 * @throws InvalidModelError naming it unless it is in the whitelist
 */
export function findGlobal(module: string, name: string): PickleGlobal {
  const full = `${renamed(module)}.${name}`
  const known = [calls, storageTypes, dtypes].some((table) => Object.hasOwn(table, full)) || full === UNTYPED
  if (!known)
    throw fail(
      `the pickle asks Python for "${full.slice(0, 200)}", which is not in the list of what a checkpoint may hold; nothing was executed. ` +
        'Save the tensors alone (in Python: torch.save(model.state_dict(), path)) and use that file',
    )
  return new PickleGlobal(full)
}

/** The data that stands for `callable(*args)`. @throws InvalidModelError if it is no whitelisted function */
export function callGlobal(callable: PickleValue | undefined, args: PickleValue | undefined): PickleValue {
  const call = callable instanceof PickleGlobal && Object.hasOwn(calls, callable.name) ? calls[callable.name] : undefined
  if (call === undefined)
    throw fail(`the pickle calls ${describePickle(callable)}, which is no function that a checkpoint may use`)
  if (!(args instanceof PickleTuple)) throw fail(`the arguments of ${describePickle(callable)} must be a tuple`)
  return call(args.items)
}

/** The storage that a persistent id names: ('storage', type, key, location, size[, view]). */
export function storageOf(id: PickleValue | undefined): StorageValue {
  const items = itemsOf(id) ?? []
  const [tag, type, key, , elements, view] = items
  const name = type instanceof PickleGlobal ? type.name : ''
  const dtype = Object.hasOwn(storageTypes, name) ? storageTypes[name] : undefined
  if (tag !== 'storage' || (dtype === undefined && name !== UNTYPED) || typeof key !== 'string' || !isSize(elements))
    throw fail(`a storage must be ('storage', type, key, location, size), got ${items.map(describePickle).join(', ')}`)
  if (view !== undefined && view !== null)
    throw fail(
      `storage "${key}" is a view of another storage, as PyTorch before 0.4 wrote them; save the file anew with a newer PyTorch`,
    )
  return new StorageValue(key, dtype, elements)
}

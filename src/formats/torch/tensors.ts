/** @file The tensors of an open torch file by name, in place or in memory. */
import { InvalidModelError } from '../../errors.js'
import { allocate, fromBytes } from '../../graph/constants.js'
import { bytesPerElement, elementCount, type FileTensor, type HostTensor } from '../../graph/types.js'
import type { Files } from '../../io/files.js'
import { openTorch, type TorchFile } from './read.js'
import { PickleDict, TorchTensor, type PickleValue } from './values.js'
import { readEntry } from './zip.js'

/** Keys under which training scripts put the state dict. */
const WRAPPERS = ['model_state_dict', 'state_dict', 'model', 'module']

/** What DataParallel puts in front of every name. */
const PARALLEL = 'module.'

const DEEPEST = 64
const LONGEST_NAME = 4096
/** Tensors that are views of more than their file holds are refused beyond this. */
const LARGEST_GROWTH = 8

/** The named tensors of a file. */
export interface NamedTensors {
  /** Tensors by name. */
  readonly tensors: ReadonlyMap<string, TorchTensor>
  /** Key of the dict that holds them, if they lie in one. */
  readonly wrapper: string | undefined
  /** Whether "module." was taken off every name. */
  readonly parallel: boolean
  /** Top-level keys that hold no part of them: optimizer states, scores. */
  readonly ignored: readonly string[]
}

const holdsTensors = (value: PickleValue | undefined): boolean =>
  value instanceof PickleDict && [...value.entries.values()].some((item) => item instanceof TorchTensor)

/** Names joined with dots through nested dicts. Shared parts are visited once a path, so their number is bounded. */
function flatten(root: PickleDict, file: TorchFile): Map<string, TorchTensor> {
  const found = new Map<string, TorchTensor>()
  let steps = 0
  let characters = 0
  const visit = (dict: PickleDict, prefix: string, depth: number): void => {
    for (const [key, value] of dict.entries) {
      if (++steps > file.bytes)
        throw new InvalidModelError(`${file.path}: its nested dicts name more tensors than the file has bytes`)
      if (!(value instanceof TorchTensor) && !(value instanceof PickleDict)) continue
      if (typeof key !== 'string' && typeof key !== 'number')
        throw new InvalidModelError(`${file.path}: a tensor's name must be text, got a key of another type`)
      const name = `${prefix}${key}`
      characters += name.length
      if (depth > DEEPEST || name.length > LONGEST_NAME || characters > 4 * file.bytes + 65536)
        throw new InvalidModelError(
          `${file.path}: its dicts are nested too deeply or their keys are too long; the file is damaged`,
        )
      if (value instanceof PickleDict) visit(value, `${name}.`, depth + 1)
      else {
        if (found.has(name)) throw new InvalidModelError(`${file.path}: two tensors have the name "${name}"`)
        found.set(name, value)
      }
    }
  }
  visit(root, '', 0)
  return found
}

/**
 * The tensors of a state dict, or of the one that a training script wrapped (`state_dict`, `model_state_dict`, `model`).
 * @throws InvalidModelError if the file holds no dict of tensors
 * @example
 * const { tensors } = namedTensors(await openTorch(files, 'model.pt'))
 */
export function namedTensors(file: TorchFile): NamedTensors {
  const { value, path } = file
  if (!(value instanceof PickleDict)) throw new InvalidModelError(`${path}: expected a dict of tensors, as model.state_dict() is`)
  const wrapper = holdsTensors(value) ? undefined : WRAPPERS.find((key) => holdsTensors(value.entries.get(key)))
  const holder = wrapper === undefined ? value : (value.entries.get(wrapper) as PickleDict)
  const flat = flatten(holder, file)
  if (flat.size === 0)
    throw new InvalidModelError(`${path} holds no named tensor; expected a dict of tensors, as model.state_dict() is`)
  const parallel = [...flat.keys()].every((name) => name.startsWith(PARALLEL))
  return {
    tensors: parallel ? new Map([...flat].map(([name, tensor]) => [name.slice(PARALLEL.length), tensor])) : flat,
    wrapper,
    parallel,
    ignored: wrapper === undefined ? [] : [...value.entries.keys()].filter((key) => key !== wrapper).map(String),
  }
}

const unitOf = ({ dtype }: TorchTensor): number => bytesPerElement[dtype as keyof typeof bytesPerElement]

/** Whether elements lie one after the other in row-major order; axes of one element may have any stride. */
export function isContiguous({ shape, strides }: TorchTensor): boolean {
  if (shape.includes(0)) return true
  let expected = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false
    expected *= shape[axis]!
  }
  return true
}

/** The tensor as a range of the file, or undefined where its bytes are deflated or not in row-major order. */
export function inPlace(file: TorchFile, tensor: TorchTensor): FileTensor | undefined {
  const place = file.storages.get(tensor.storage.key)!
  if (place.deflated !== undefined || !isContiguous(tensor)) return undefined
  const unit = unitOf(tensor)
  return {
    dtype: tensor.dtype,
    shape: tensor.shape,
    file: { path: file.path, offset: place.offset + tensor.offset * unit, length: elementCount(tensor.shape) * unit },
  }
}

/** Bytes between the first and the last element of a view, both included. */
const span = ({ shape, strides }: TorchTensor, unit: number): number =>
  shape.includes(0) ? 0 : unit * (1 + shape.reduce((sum, size, i) => sum + (size - 1) * strides[i]!, 0))

/**
 * Reads one tensor into memory, row-major, whatever its strides.
 * @throws InvalidModelError, FileError
 * @example
 * const file = await openTorch(files, 'model.pt')
 * const host = await loadTorchTensor(files, file, name, namedTensors(file).tensors.get(name)!)
 */
export async function loadTorchTensor(files: Files, file: TorchFile, tensor: TorchTensor): Promise<HostTensor> {
  const { dtype, shape, strides } = tensor
  const unit = unitOf(tensor)
  const count = elementCount(shape)
  if (!(count * unit <= LARGEST_GROWTH * file.bytes + 65536))
    throw new InvalidModelError(
      `${file.path}: a tensor of shape [${shape.join(', ')}] repeats its storage to more than the file holds`,
    )
  const place = file.storages.get(tensor.storage.key)!
  const start = tensor.offset * unit
  const length = span(tensor, unit)
  const bytes =
    place.deflated === undefined
      ? await files.read(file.path, { offset: place.offset + start, length })
      : (await readEntry(files, file.path, place.deflated)).slice(start, start + length)
  if (isContiguous(tensor)) return fromBytes(dtype, shape, bytes)
  const source = fromBytes(dtype, [length / unit], bytes).data
  const data = allocate(dtype, count)
  const index = shape.map(() => 0)
  for (let i = 0, from = 0; i < count; i++) {
    data[i] = source[from]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      from -= index[axis]! * strides[axis]!
      index[axis] = 0
    }
  }
  return { dtype, shape, data }
}

/**
 * Every named tensor of a torch file in memory; for adapters and small models.
 * @throws InvalidModelError if the file is damaged, holds no tensors by name, or tensors far larger than itself
 * @example
 * const { loaded } = await readTorchTensors(files, 'lora.pt')
 */
export async function readTorchTensors(
  files: Files,
  path: string,
): Promise<NamedTensors & { readonly loaded: Map<string, HostTensor> }> {
  const file = await openTorch(files, path)
  const named = namedTensors(file)
  const total = [...named.tensors.values()].reduce((sum, tensor) => sum + elementCount(tensor.shape) * unitOf(tensor), 0)
  if (!(total <= LARGEST_GROWTH * file.bytes + 65536))
    throw new InvalidModelError(`${path}: its tensors are views that hold ${total} bytes, the file has ${file.bytes}`)
  const loaded = new Map<string, HostTensor>()
  for (const [name, tensor] of named.tensors) loaded.set(name, await loadTorchTensor(files, file, tensor))
  return { ...named, loaded }
}

/** @file What a pickle of PyTorch can hold, as plain data: no class of Python's is ever made, no function called. */
import type { DType } from '../../graph/types.js'

/** A tuple; lists are arrays. */
export class PickleTuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

/** A dict or an OrderedDict. */
export class PickleDict {
  readonly entries = new Map<PickleValue, PickleValue>()
}

/** A name of a Python module that stands in the whitelist. */
export class PickleGlobal {
  constructor(readonly name: string) {}
}

/** A block of memory that tensors look into. */
export interface TorchStorage {
  /** Name of the entry or of the storage in the file. */
  readonly key: string
  /** Undefined for an untyped storage, whose size counts bytes. */
  readonly dtype: DType | undefined
  /** Elements, or bytes of an untyped storage. */
  readonly elements: number
}

/** A tensor as PyTorch stores it: a view of a storage. Offset and strides count elements. */
export class TorchTensor {
  /** A view of a storage. */
  constructor(
    /** Element type. */
    readonly dtype: DType,

    /** Lengths of the axes. */
    readonly shape: readonly number[],

    /** Elements from one index of an axis to the next. */
    readonly strides: readonly number[],

    /** First element in the storage. */
    readonly offset: number,

    /** The block of memory. */
    readonly storage: TorchStorage,
  ) {}
}

/** A storage on the stack of the machine. */
export class StorageValue implements TorchStorage {
  constructor(
    readonly key: string,
    readonly dtype: DType | undefined,
    readonly elements: number,
  ) {}
}

/** What a pickle evaluates to. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | PickleTuple
  | PickleDict
  | PickleGlobal
  | StorageValue
  | TorchTensor

/** What a value is, for messages. */
export function describePickle(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'None'
  if (typeof value !== 'object') return `${typeof value === 'string' ? 'text' : typeof value} ${String(value).slice(0, 40)}`
  if (value instanceof PickleGlobal) return value.name
  if (value instanceof TorchTensor) return `a tensor [${value.shape.join(', ')}]`
  if (value instanceof PickleTuple) return 'a tuple'
  if (value instanceof PickleDict) return 'a dict'
  return value instanceof Uint8Array ? 'bytes' : value instanceof StorageValue ? 'a storage' : 'a list'
}

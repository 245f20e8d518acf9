/** @file The plain data a graph is made of: element types, dimensions, tensors, attributes. */

/** Element types of ONNX tensors, by their lower-case names. */
export type DType =
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'float64'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'int4'
  | 'uint4'
  | 'string'

/** A dimension: a number, or text that stands for a length known at the run only, as `graph/dim` writes it: `batch*sequence`. */
export type Dim = number | string
export type Shape = readonly Dim[]

export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

/** A tensor in memory. float16 and bfloat16 are held as their bits in a `Uint16Array`, bool as `Uint8Array`. */
export interface HostTensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: TypedArray
}

/** A tensor that stays in its file: `length` bytes from `offset` of `path`, little-endian, row-major. */
export interface FileTensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly file: { readonly path: string; readonly offset: number; readonly length: number }
}

/** A constant of a graph. */
export type Initializer = HostTensor | FileTensor

export const isFileTensor = (tensor: Initializer): tensor is FileTensor => 'file' in tensor

/** A named value of a graph. `shape` is undefined where not even the rank is known. */
export interface Value {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape | undefined
}

/** An attribute of a node, tagged with its ONNX type because `1` may be an int or a float. */
export type Attribute =
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'tensor'; readonly value: Initializer }
  /** Sub-graphs and other rare kinds are carried through unchanged, as the protobuf message read. */
  | { readonly type: 'opaque'; readonly value: unknown }

export type Attributes = Readonly<Record<string, Attribute>>

export const int = (value: number): Attribute => ({ type: 'int', value })
export const float = (value: number): Attribute => ({ type: 'float', value })
export const string = (value: string): Attribute => ({ type: 'string', value })
export const ints = (value: readonly number[]): Attribute => ({ type: 'ints', value })

/** One operation. Inputs and outputs are value names; `''` is a missing optional one. */
export interface Node {
  readonly op: string
  /** `''` is ai.onnx. */
  readonly domain: string
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Attributes
  /** Which of several functions of that name is called. */
  readonly overload?: string
  /** Version of the operator set of a node that came out of a function with one of its own. */
  readonly opset?: number
  /** What the exporter noted beside the node, for example the PyTorch module it comes from. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** Bytes per element; the 4-bit types pack two elements a byte. */
export const bytesPerElement: Readonly<Record<Exclude<DType, 'string'>, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float64: 8,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
  int4: 0.5,
  uint4: 0.5,
}

export const elementCount = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1)

export const isFloat = (dtype: DType): boolean =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float64'

export const formatShape = (shape: Shape | undefined): string =>
  shape === undefined ? '[unknown rank]' : `[${shape.join(', ')}]`

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
/** Lengths of a tensor's axes; `[]` is a scalar. */
export type Shape = readonly Dim[]

/** What holds the elements of a tensor in memory. */
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
  /** Element type. */
  readonly dtype: DType
  /** Lengths of the axes. */
  readonly shape: readonly number[]
  /** The elements in row-major order. */
  readonly data: TypedArray
}

/** A tensor that stays in its file: `length` bytes from `offset` of `path`, little-endian, row-major. */
export interface FileTensor {
  /** Element type. */
  readonly dtype: DType
  /** Lengths of the axes. */
  readonly shape: readonly number[]
  /** Where its bytes lie: a path, and an offset and a length in bytes. */
  readonly file: { readonly path: string; readonly offset: number; readonly length: number }
}

/** A constant of a graph. */
export type Initializer = HostTensor | FileTensor

export const isFileTensor = (tensor: Initializer): tensor is FileTensor => 'file' in tensor

/** A named value of a graph. `shape` is undefined where not even the rank is known. */
export interface Value {
  /** Unique in its graph. */
  readonly name: string
  /** Element type. */
  readonly dtype: DType
  /** Lengths of the axes, some of them perhaps symbolic. */
  readonly shape: Shape | undefined
}

/** An attribute of a node, tagged with its ONNX type because `1` may be an int or a float. */
export type Attribute =
  /** One integer. */
  | AttributeOf<'int', number>
  /** One float32 number. */
  | AttributeOf<'float', number>
  /** A text. */
  | AttributeOf<'string', string>
  /** Integers. */
  | AttributeOf<'ints', readonly number[]>
  /** float32 numbers. */
  | AttributeOf<'floats', readonly number[]>
  /** Texts. */
  | AttributeOf<'strings', readonly string[]>
  /** A tensor. */
  | AttributeOf<'tensor', Initializer>
  /** Sub-graphs and other rare kinds are carried through unchanged, as the protobuf message read. */
  | AttributeOf<'opaque', unknown>

/** An attribute of one ONNX type. */
export interface AttributeOf<Type extends string, Content> {
  /** Its ONNX type. */
  readonly type: Type
  /** What it holds. */
  readonly value: Content
}

/** Attributes of a node by their names in the ONNX specification. */
export type Attributes = Readonly<Record<string, Attribute>>

/**
 * An integer attribute.
 * @example
 * b.emit('Softmax', [x], { axis: int(-1) })
 */
export const int = (value: number): Attribute => ({ type: 'int', value })
/**
 * A floating-point attribute.
 * @example
 * b.emit('Gemm', [x, w], { alpha: float(0.5) })
 */
export const float = (value: number): Attribute => ({ type: 'float', value })
/**
 * A text attribute.
 * @example
 * b.emit('Gelu', [x], { approximate: string('tanh') })
 */
export const string = (value: string): Attribute => ({ type: 'string', value })
/**
 * An attribute that is a list of integers.
 * @example
 * b.emit('Transpose', [x], { perm: ints([1, 0]) })
 */
export const ints = (value: readonly number[]): Attribute => ({ type: 'ints', value })

/** One operation. Inputs and outputs are value names; `''` is a missing optional one. */
export interface Node {
  /** Operator, by its name in the ONNX specification. */
  readonly op: string
  /** `''` is ai.onnx. */
  readonly domain: string
  /** For messages and other programs; need not be unique. */
  readonly name: string
  /** Names of the values it reads. */
  readonly inputs: readonly string[]
  /** Names of the values it computes. */
  readonly outputs: readonly string[]
  /** Its attributes by name. */
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

/** Bytes that the values of a tensor take; values of less than a byte fill the last one. */
export const byteLength = ({ dtype, shape }: { readonly dtype: DType; readonly shape: readonly number[] }): number =>
  Math.ceil(elementCount(shape) * bytesPerElement[dtype as keyof typeof bytesPerElement])

export const isFloat = (dtype: DType): boolean =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float64'

export const formatShape = (shape: Shape | undefined): string =>
  shape === undefined ? '[unknown rank]' : `[${shape.join(', ')}]`

/**
 * @file What a GGUF file is made of: typed metadata and tensors, by the names of ggml.
 * The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
 */
import type { DType } from '../../graph/types.js'

/** Types of metadata values; the place in the list is the number in the file. */
export const valueTypes = [
  ...(['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'float32'] as const),
  ...(['bool', 'string', 'array', 'uint64', 'int64', 'float64'] as const),
] as const

/** Type of a metadata value, by ggml's name in lower case. */
export type GgufValueType = (typeof valueTypes)[number]

/** Types whose values are JavaScript numbers. */
export type GgufNumberType = 'uint8' | 'int8' | 'uint16' | 'int16' | 'uint32' | 'int32' | 'float32' | 'float64'

/** A metadata value with the type it has in the file. Items of an array are of one type. */
export type GgufValue =
  | GgufValueOf<GgufNumberType, number>
  | GgufValueOf<'uint64' | 'int64', bigint>
  | GgufValueOf<'bool', boolean>
  | GgufValueOf<'string', string>
  | GgufArray

/** A metadata value of one type. */
export interface GgufValueOf<Type extends GgufValueType, Content> {
  /** Its type in the file. */
  readonly type: Type
  /** What it is. */
  readonly value: Content
}

/** A list as a metadata value. */
export interface GgufArray extends GgufValueOf<'array', readonly GgufItem[]> {
  /** Type of its items. */
  readonly items: GgufValueType
}

/** An item of an array; arrays inside arrays keep their types. */
export type GgufItem = number | bigint | boolean | string | GgufArray

/** A tensor in its file. */
export interface GgufTensor {
  /** ggml's name, `F32` or `Q4_K`; `type 99` if it is newer than this table. */
  readonly type: string
  /** Row-major: the reverse of ggml's `ne`. */
  readonly shape: readonly number[]
  /** First byte in the file. */
  readonly offset: number
  /** Undefined for a type that is not known. */
  readonly bytes: number | undefined
}

/** An element type of ggml: `bytes` hold `block` elements. */
export interface GgmlType {
  readonly name: string
  readonly block: number
  readonly bytes: number
  /** Of plain types. The others are quantised in blocks: described, not read. */
  readonly dtype?: DType
}

const plain = (name: string, bytes: number, dtype: DType): GgmlType => ({ name, block: 1, bytes, dtype })
const blocks = (name: string, block: number, bytes: number): GgmlType => ({ name, block, bytes })

/** `enum ggml_type`; numbers that are missing were given up by ggml. */
export const ggmlTypes: ReadonlyMap<number, GgmlType> = new Map([
  [0, plain('F32', 4, 'float32')],
  [1, plain('F16', 2, 'float16')],
  [2, blocks('Q4_0', 32, 18)],
  [3, blocks('Q4_1', 32, 20)],
  [6, blocks('Q5_0', 32, 22)],
  [7, blocks('Q5_1', 32, 24)],
  [8, blocks('Q8_0', 32, 34)],
  [9, blocks('Q8_1', 32, 36)],
  [10, blocks('Q2_K', 256, 84)],
  [11, blocks('Q3_K', 256, 110)],
  [12, blocks('Q4_K', 256, 144)],
  [13, blocks('Q5_K', 256, 176)],
  [14, blocks('Q6_K', 256, 210)],
  [15, blocks('Q8_K', 256, 292)],
  [16, blocks('IQ2_XXS', 256, 66)],
  [17, blocks('IQ2_XS', 256, 74)],
  [18, blocks('IQ3_XXS', 256, 98)],
  [19, blocks('IQ1_S', 256, 50)],
  [20, blocks('IQ4_NL', 32, 18)],
  [21, blocks('IQ3_S', 256, 110)],
  [22, blocks('IQ2_S', 256, 82)],
  [23, blocks('IQ4_XS', 256, 136)],
  [24, plain('I8', 1, 'int8')],
  [25, plain('I16', 2, 'int16')],
  [26, plain('I32', 4, 'int32')],
  [27, plain('I64', 8, 'int64')],
  [28, plain('F64', 8, 'float64')],
  [29, blocks('IQ1_M', 256, 56)],
  [30, plain('BF16', 2, 'bfloat16')],
  [34, blocks('TQ1_0', 256, 54)],
  [35, blocks('TQ2_0', 256, 66)],
  [39, blocks('MXFP4', 32, 17)],
  [40, blocks('NVFP4', 64, 36)],
])

export const MAGIC = 'GGUF'
/** Tensors have at most so many axes (GGML_MAX_DIMS). */
export const MAX_AXES = 4
/** Where `general.alignment` is not said. */
export const DEFAULT_ALIGNMENT = 32

export const alignUp = (offset: number, alignment: number): number => Math.ceil(offset / alignment) * alignment

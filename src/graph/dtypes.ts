/** @file Element types: their numbers in ONNX files, and the integers that they hold. */
import { bytesPerElement, type DType } from './types.js'

const dataTypes: Readonly<Record<number, DType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
  21: 'uint4',
  22: 'int4',
}

/** Element types by their TensorProto number. */
export const dtypeFromOnnx = (code: number): DType | undefined => dataTypes[code]
export const dtypeToOnnx = (dtype: DType): number => Number(Object.entries(dataTypes).find(([, name]) => name === dtype)![0])

/** Whether two elements share a byte. */
export const isPacked = (dtype: DType): boolean => dtype !== 'string' && bytesPerElement[dtype] < 1

/** The least and the greatest integer that a type holds and JavaScript counts exactly; undefined for other types. */
export function integerRange(dtype: DType): readonly [number, number] | undefined {
  const [, sign, width] = /^(u?)int(\d+)$/.exec(dtype) ?? []
  if (width === undefined) return undefined
  const bits = Math.min(Number(width), 53)
  if (sign === 'u') return [0, 2 ** bits - 1]
  return bits < 53 ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
}

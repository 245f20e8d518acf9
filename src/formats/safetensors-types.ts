/** @file Names of element types in safetensors files. */
import type { DType } from '../graph/types.js'

/** Element types by the names that safetensors gives them; the rarer ones (F8, F4, C64) have no ONNX kernel that trains. */
export const safetensorsTypes: Readonly<Record<string, DType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U64: 'uint64',
  U32: 'uint32',
  U16: 'uint16',
  U8: 'uint8',
  BOOL: 'bool',
}

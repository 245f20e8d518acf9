/** @file ONNX `TensorProto` to a tensor, in memory or in its external file. */
import { TensorProto_DataLocation as DataLocation, type TensorProto } from 'onnx-buf'
import { InvalidModelError } from '../errors.js'
import { allocate, fromBytes } from '../graph/constants.js'
import { dtypeFromOnnx, isPacked } from '../graph/dtypes.js'
import { byteLength, elementCount, type DType, type FileTensor, type HostTensor, type Initializer } from '../graph/types.js'

const decimal = /^\d+$/

/**
 * @param what the tensor for messages, for example `initializer "wte.weight"`
 * @param folder of the model file, for external data; undefined if the model came as bytes alone
 * @throws InvalidModelError for an element type we have none for, wrong sizes, and external data outside the folder
 */
export function decodeTensor(proto: TensorProto, what: string, folder: string | undefined): Initializer {
  const dtype = dtypeFromOnnx(proto.dataType)
  if (dtype === undefined || dtype === 'string')
    throw new InvalidModelError(`${what}: element type ${dtype ?? `number ${proto.dataType}`} is not supported`)
  const shape = proto.dims.map(Number)
  if (!shape.every((d) => Number.isSafeInteger(d) && d >= 0) || !Number.isSafeInteger(elementCount(shape)))
    throw new InvalidModelError(`${what}: [${shape.join(', ')}] is no shape; the file is damaged`)
  if (proto.segment !== undefined) throw new InvalidModelError(`${what}: tensors in segments are not supported`)
  if (proto.dataLocation === DataLocation.EXTERNAL) return externalTensor(proto, dtype, shape, what, folder)
  const size = byteLength({ dtype, shape })
  if (proto.rawData.byteLength === 0) return typedTensor(proto, dtype, shape, what)
  if (proto.rawData.byteLength !== size)
    throw new InvalidModelError(
      `${what}: ${dtype} [${shape.join(', ')}] needs ${size} bytes, the file has ${proto.rawData.byteLength}`,
    )
  return fromBytes(dtype, shape, proto.rawData)
}

/** Values in the typed field that ONNX assigns to the element type; small types travel as int32. */
function typedTensor(proto: TensorProto, dtype: Exclude<DType, 'string'>, shape: readonly number[], what: string): HostTensor {
  const fields: Partial<Record<DType, readonly (number | bigint)[]>> = {
    float32: proto.floatData,
    float64: proto.doubleData,
    int64: proto.int64Data,
    uint64: proto.uint64Data,
    uint32: proto.uint64Data,
  }
  const values = fields[dtype] ?? proto.int32Data
  // Two values of 4 bits share one number. Compared before memory is taken: a damaged shape can ask for any amount.
  const needed = isPacked(dtype) ? byteLength({ dtype, shape }) : elementCount(shape)
  if (values.length !== needed)
    throw new InvalidModelError(`${what}: ${dtype} [${shape.join(', ')}] needs ${needed} values, the file has ${values.length}`)
  const data = allocate(dtype, elementCount(shape))
  const wide = data instanceof BigInt64Array || data instanceof BigUint64Array
  values.forEach((value, i) => {
    data[i] = wide ? BigInt(value) : Number(value)
  })
  return { dtype, shape, data }
}

function externalTensor(
  proto: TensorProto,
  dtype: Exclude<DType, 'string'>,
  shape: readonly number[],
  what: string,
  folder: string | undefined,
): FileTensor {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]))
  const location = entries.get('location') ?? ''
  if (folder === undefined)
    throw new InvalidModelError(
      `${what}: its data lies in the file "${location}"; load the model from its folder, not from bytes alone`,
    )
  refuseEscape(location, what)
  const number = (key: string, fallback: number): number => {
    const text = entries.get(key)
    if (text === undefined) return fallback
    if (!decimal.test(text) || !Number.isSafeInteger(Number(text)))
      throw new InvalidModelError(`${what}: external data has ${key} "${text}", expected a whole number of bytes`)
    return Number(text)
  }
  const size = byteLength({ dtype, shape })
  const length = number('length', size)
  if (length !== size)
    throw new InvalidModelError(`${what}: ${dtype} [${shape.join(', ')}] needs ${size} bytes, its external data has ${length}`)
  return { dtype, shape, file: { path: `${folder.replace(/\/+$/, '')}/${location}`, offset: number('offset', 0), length } }
}

/** A model from elsewhere must not name files outside its folder. */
function refuseEscape(location: string, what: string): void {
  const parts = location.split(/[/\\]/)
  const absolute = /^([/\\]|[A-Za-z]:)/.test(location)
  if (location === '' || location.includes('\0') || absolute || parts.includes('..'))
    throw new InvalidModelError(`${what}: external data location "${location}" is not a file inside the model's folder`)
}

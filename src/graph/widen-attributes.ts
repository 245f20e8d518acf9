/** @file Attributes of a node whose 16-bit values become float32. */
import { dtypeFromOnnx, dtypeToOnnx } from './dtypes.js'
import { numbersOf, float32 } from './constants.js'
import { int, isFileTensor, type Attribute, type Attributes, type DType } from './types.js'

/** Attributes that name the element type of a result. */
const TYPES: ReadonlySet<string> = new Set(['to', 'dtype', 'output_dtype'])

/** @param isNarrow which element types become float32; tensors that lie in files stay */
export function widenAttributes(attributes: Attributes, isNarrow: (dtype: DType) => boolean): Attributes {
  const widened = (name: string, attribute: Attribute): Attribute => {
    if (attribute.type === 'int' && TYPES.has(name)) {
      const dtype = dtypeFromOnnx(attribute.value)
      return dtype !== undefined && isNarrow(dtype) ? int(dtypeToOnnx('float32')) : attribute
    }
    if (attribute.type !== 'tensor' || !isNarrow(attribute.value.dtype) || isFileTensor(attribute.value)) return attribute
    const { value } = attribute
    return { type: 'tensor', value: float32(value.shape, Float32Array.from(numbersOf(value)!)) }
  }
  return Object.fromEntries(Object.entries(attributes).map(([name, attribute]) => [name, widened(name, attribute)]))
}

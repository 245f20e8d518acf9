/** @file A weight of the model in the constant of the file that holds it: as it is, turned round, or a part of it. */
import { transposeHost } from '../graph/transpose.js'
import { float32 } from '../graph/constants.js'
import type { WeightView } from '../merge/constants.js'
import type { StoredWeight } from './locate.js'
import type { WeightOrigin } from './names.js'
import { readPart, writePart } from './recurrent-weights.js'

const turned = (values: Float32Array, shape: readonly number[]): Float32Array =>
  transposeHost(float32(shape, values)).data as Float32Array

/** The weight that came from that place, in what is stored there. */
export function viewOf({ transposed, part }: WeightOrigin, { tensor, transposed: isTurned }: StoredWeight): WeightView {
  const { shape } = tensor
  if (part !== undefined)
    return {
      shape: part.shape,
      read: (whole) => readPart(whole, part),
      write(whole, values) {
        const result = whole.slice()
        writePart(result, values, part)
        return result
      },
    }
  if (transposed === isTurned) return { shape, read: (whole) => whole, write: (_, values) => values }
  const back = [...shape].reverse()
  return { shape: back, read: (whole) => turned(whole, shape), write: (_, values) => turned(values, back) }
}

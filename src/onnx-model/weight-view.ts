/** @file A weight of the model in the constant of the file that holds it: as it is, turned round, or a part of it. */
import type { WeightView } from '../merge/constants.js'
import { transpose } from '../util/transpose.js'
import type { StoredWeight } from './locate.js'
import type { WeightOrigin } from './names.js'
import { readPart, writePart } from './recurrent-weights.js'

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
  const [rows, columns] = shape as [number, number]
  return {
    shape: [columns, rows],
    read: (whole) => transpose(whole, rows, columns),
    write: (_, values) => transpose(values, columns, rows),
  }
}

/** @file Arithmetic on symbolic shapes: broadcasting, axes, reshaping. */
import { ShapeError } from '../errors.js'
import { compareDims, divideDims, floorDivideDims, multiplyDims } from './dim/index.js'
import { formatShape, type Dim, type Shape } from './types.js'

/** Two lengths that must be equal, but at least one is a name: only the run can tell. */
export class UndecidedDimsError extends ShapeError {
  constructor(
    message: string,
    readonly a: Dim,
    readonly b: Dim,
  ) {
    super(message)
  }
}

const mismatch = (message: string, a: Dim, b: Dim): ShapeError =>
  compareDims(a, b) === undefined ? new UndecidedDimsError(message, a, b) : new ShapeError(message)

/** The common length of two dimensions that must be equal. */
export function equalDims(a: Dim, b: Dim, message: string): Dim {
  if (a !== b) throw mismatch(message, a, b)
  return a
}

/** Axis counted from the front; `-1` is the last of `rank`. */
export function normalizeAxis(axis: number, rank: number, where: string): number {
  const normal = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(normal) || normal < 0 || normal >= rank)
    throw new ShapeError(`${where}: axis ${axis} is out of range for rank ${rank}`)
  return normal
}

/**
 * Shape of an element-wise result (NumPy rules). Two different names, or a name beside a number other than 1,
 * cannot be decided before the run: that throws instead of guessing.
 */
export function broadcastShapes(a: Shape, b: Shape, where: string): Shape {
  const rank = Math.max(a.length, b.length)
  const result: Dim[] = []
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1
    const y = b[b.length - rank + i] ?? 1
    if (x === y || y === 1) result.push(x)
    else if (x === 1) result.push(y)
    else throw mismatch(`${where}: cannot broadcast ${formatShape(a)} with ${formatShape(b)}`, x, y)
  }
  return result
}

/** Axes over which a gradient of shape `from` is summed to get back to the broadcast operand of shape `to`. */
export function broadcastAxes(from: Shape, to: Shape): number[] {
  const lead = from.length - to.length
  const axes = Array.from({ length: lead }, (_, i) => i)
  to.forEach((dim, i) => {
    if (dim === 1 && from[lead + i] !== 1) axes.push(lead + i)
  })
  return axes
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, i) => dim === b[i])

export const productOfDims = (shape: Shape): Dim => shape.reduce<Dim>(multiplyDims, 1)

/** Replaces the one `-1` and the `0`s of a Reshape target by the dimensions they stand for. */
export function resolveReshape(input: Shape, target: readonly Dim[], where: string): Shape {
  const copied = target.map((dim, i) => {
    if (dim !== 0) return dim
    const same = input[i]
    if (same === undefined)
      throw new ShapeError(`${where}: reshape target ${formatShape(target)} copies dimension ${i} of ${formatShape(input)}`)
    return same
  })
  const at = copied.indexOf(-1)
  if (at < 0) return copied
  const rest = productOfDims(copied.filter((_, i) => i !== at))
  const size = productOfDims(input)
  const inferred =
    divideDims(size, rest) ?? (typeof size === 'number' && typeof rest === 'number' ? undefined : floorDivideDims(size, rest))
  if (inferred === undefined) throw new ShapeError(`${where}: cannot reshape ${formatShape(input)} to ${formatShape(target)}`)
  return copied.map((dim, i) => (i === at ? inferred : dim))
}

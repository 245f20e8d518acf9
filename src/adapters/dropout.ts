/** @file Dropout whose mask is a pure function of a seed, so that a resumed run drops the same elements. */
import type { GraphBuilder } from '../graph/builder.js'
import { tensor } from '../graph/constants.js'
import { int, type Shape, type Value } from '../graph/types.js'
import { dtypeToOnnx } from '../graph/dtypes.js'
import { ShapeError } from '../errors.js'

/** Weyl constant, 2³² divided by the golden ratio: neighbouring indices land far apart. */
const GOLDEN = 0x9e3779b9

/** A 32-bit finaliser with low bias (two xor-shift-multiply rounds), on numbers. */
export function mix32(value: number): number {
  let x = value >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
  return (x ^ (x >>> 15)) >>> 0
}

const uint32 = (b: GraphBuilder, value: number): Value => b.scalar(value >>> 0, 'uint32')

function shiftRight(b: GraphBuilder, x: Value, by: number): Value {
  return b.emit('BitShift', [x, uint32(b, by)], { direction: { type: 'string', value: 'RIGHT' } })
}

const xor = (b: GraphBuilder, x: Value, y: Value): Value => b.emit('BitwiseXor', [x, y])

/** `mix32` as graph operations on uint32. */
function mix(b: GraphBuilder, x: Value): Value {
  const first = b.mul(xor(b, x, shiftRight(b, x, 16)), uint32(b, 0x21f0aaad))
  const second = b.mul(xor(b, first, shiftRight(b, first, 15)), uint32(b, 0x735a2d97))
  return xor(b, second, shiftRight(b, second, 15))
}

/**
 * Inverted dropout on a matrix: each element is zeroed with probability `p`, the rest scaled by 1/(1 − p).
 *
 * The mask is a hash of (seed, stream, row, column). Rows and columns are hashed apart, so only the last mixing touches
 * every element.
 *
 * @param x [rows, features], the number of features known
 * @param seed uint32 [1], another one each step
 * @param stream tells layers apart that share a seed
 */
export function dropout(b: GraphBuilder, x: Value, p: number, seed: Value, stream: number): Value {
  const [rows, features] = x.shape ?? []
  if (rows === undefined || typeof features !== 'number' || x.shape?.length !== 2)
    throw new ShapeError(
      `dropout needs a matrix [rows, features] with a known number of features, got "${x.name}" [${x.shape?.join(', ') ?? '?'}]`,
    )
  const count = b.emit('Squeeze', [b.dim(rows)])
  const index = b.emit('Range', [b.scalar(0, 'int64'), count, b.scalar(1, 'int64')], {}, { shapes: [[rows]] })
  const rowIndex = b.emit('Cast', [index], { to: int(dtypeToOnnx('uint32')) })
  const keyed = xor(b, b.mul(rowIndex, uint32(b, GOLDEN)), mix(b, xor(b, seed, uint32(b, mix32(stream + 1)))))
  const rowHash = b.reshape(mix(b, keyed), [rows, 1])
  const columnHash = b.constant(
    tensor(
      'uint32',
      [1, features],
      Array.from({ length: features }, (_, i) => mix32(Math.imul(i + 1, GOLDEN) ^ mix32(stream))),
    ),
    'dropout_columns',
  )
  const shape: Shape = [rows, features]
  const bits = shiftRight(b, mix(b, xor(b, rowHash, columnHash)), 8)
  const uniform = b.cast(bits, 'float32') // [0, 2²⁴)
  const kept = b.cast(b.greaterOrEqual(uniform, p * 2 ** 24), x.dtype)
  return b.mul(x, b.mul({ ...kept, shape }, 1 / (1 - p)))
}

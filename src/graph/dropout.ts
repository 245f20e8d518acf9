/** @file Dropout whose mask is a pure function of a seed, so that a resumed run drops the same elements. */
import { ShapeError } from '../errors.js'
import type { GraphBuilder } from './builder.js'
import { tensor } from './constants.js'
import { dtypeToOnnx } from './dtypes.js'
import { productOfDims } from './shapes.js'
import { formatShape, int, type Dim, type Value } from './types.js'

/** Name of the input that seeds the masks of a graph, uint32 [1]. */
export const DROPOUT_SEED = 'dropout_seed'

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

/** 0, 1, … as uint32 [length]. */
function indices(b: GraphBuilder, length: Dim): Value {
  const count = b.emit('Squeeze', [b.dim(length)])
  const range = b.emit('Range', [b.scalar(0, 'int64'), count, b.scalar(1, 'int64')], {}, { shapes: [[length]] })
  return b.emit('Cast', [range], { to: int(dtypeToOnnx('uint32')) })
}

/** Hashes of the columns, uint32 [1, features]: a constant where their number is known. */
function columnHashes(b: GraphBuilder, features: Dim, stream: number): Value {
  if (typeof features === 'number') {
    const hashes = Array.from({ length: features }, (_, i) => mix32(Math.imul(i + 1, GOLDEN) ^ mix32(stream)))
    return b.constant(tensor('uint32', [1, features], hashes), 'dropout_columns')
  }
  const keyed = b.mul(b.add(indices(b, features), uint32(b, 1)), uint32(b, GOLDEN))
  return b.reshape(mix(b, xor(b, keyed, uint32(b, mix32(stream)))), [1, features])
}

/**
 * Inverted dropout: each element is zeroed with probability `p`, the rest scaled by 1/(1 − p).
 *
 * The mask is a hash of (seed, stream, row, column), where all axes but the last count rows. Rows and columns are hashed
 * apart, so only the last mixing touches every element.
 *
 * @param x [.., features]
 * @param seed uint32 [1], another one each step
 * @param stream tells layers apart that share a seed
 */
export function dropout(b: GraphBuilder, x: Value, p: number, seed: Value, stream: number): Value {
  const { shape } = x
  if (shape === undefined || shape.length < 2)
    throw new ShapeError(`dropout needs an array [.., features] of known rank, got "${x.name}" ${formatShape(shape)}`)
  const rows = productOfDims(shape.slice(0, -1))
  const features = shape.at(-1)!
  const keyed = xor(b, b.mul(indices(b, rows), uint32(b, GOLDEN)), mix(b, xor(b, seed, uint32(b, mix32(stream + 1)))))
  const rowHash = b.reshape(mix(b, keyed), [rows, 1])
  const bits = shiftRight(b, mix(b, xor(b, rowHash, columnHashes(b, features, stream))), 8)
  const uniform = b.cast(bits, 'float32') // [0, 2²⁴)
  const kept = { ...b.cast(b.greaterOrEqual(uniform, p * 2 ** 24), x.dtype), shape: [rows, features] }
  return b.mul(x, b.mul(shape.length === 2 ? kept : b.reshape(kept, shape), 1 / (1 - p)))
}

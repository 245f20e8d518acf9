/**
 * @file QR and singular value decompositions against their definitions: products, orthonormal columns, known small singular
 * values.
 */
import { describe, expect, it } from 'vitest'
import { Random } from '../rng.js'
import { matrix, product, transposed, type Matrix } from './matrix.js'
import { qr } from './qr.js'
import { svd, svdLowRank, type Svd } from './svd.js'

const random = new Random(3)
const normal = (rows: number, columns: number): Matrix =>
  matrix(
    rows,
    columns,
    Array.from({ length: rows * columns }, () => random.normal()),
  )
const largestDifference = (a: Matrix, b: Matrix): number =>
  a.data.reduce((max, x, i) => Math.max(max, Math.abs(x - b.data[i]!)), 0)
const identity = (n: number): Matrix =>
  matrix(
    n,
    n,
    Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
  )
const orthonormal = (a: Matrix): number => largestDifference(product(transposed(a), a), identity(a.columns))
const assembled = ({ U, S, V }: Svd): Matrix =>
  product(matrix(U.rows, S.length, U.data.map((x, i) => x * S[i % S.length]!)), transposed(V)) // prettier-ignore

const cases: readonly (readonly [string, Matrix])[] = [
  ['tall', normal(17, 5)],
  ['wide', normal(4, 11)],
  ['square', normal(12, 12)],
  ['of one number', matrix(1, 1, [-3])],
  ['of rank 2', product(normal(9, 2), normal(2, 6))],
  ['zero', matrix(5, 3)],
  ['of far scales', matrix(3, 3, [1e12, 1, 0, 0, 1e-12, 1e-13, 0, 0, 1])],
  ['of equal singular values', identity(6)],
]

describe.each(cases)('a matrix %s', (_name, a) => {
  const size = a.data.reduce((max, x) => Math.max(max, Math.abs(x)), 1)

  it('is its Q·R', () => {
    const { Q, R } = qr(a)
    expect(orthonormal(Q)).toBeLessThan(1e-13)
    expect(largestDifference(product(Q, R), a)).toBeLessThan(1e-13 * size)
    for (let i = 0; i < R.rows; i++) for (let j = 0; j < i; j++) expect(R.data[i * R.columns + j]).toBe(0)
  })

  it('is its U·S·Vᵀ', () => {
    const found = svd(a)
    expect(orthonormal(found.U)).toBeLessThan(1e-12)
    expect(orthonormal(found.V)).toBeLessThan(1e-12)
    expect(largestDifference(assembled(found), a)).toBeLessThan(1e-13 * size * 10)
    found.S.forEach((s, i) => expect(s).toBeLessThanOrEqual(found.S[i - 1] ?? Infinity))
  })
})

it('keeps the digits of small singular values', () => {
  // A diagonal of 1, 10⁻⁸ and 10⁻¹⁶ times a rotation: singular values that squaring would lose.
  const { Q } = qr(normal(3, 3))
  const { S } = svd(product(matrix(3, 3, [1, 0, 0, 0, 1e-8, 0, 0, 0, 1e-16]), Q))
  expect(S[1]! / 1e-8).toBeCloseTo(1, 6)
})

it('finds the largest singular values by projection', () => {
  const a = product(normal(30, 6), normal(6, 20))
  const [whole, part] = [svd(a), svdLowRank(a, 3, 12, new Random(1))]
  for (let i = 0; i < 3; i++) expect(part.S[i]! / whole.S[i]!).toBeCloseTo(1, 4)
  expect(orthonormal(part.U)).toBeLessThan(1e-12)
  // A projection onto as many directions as the matrix has loses nothing.
  expect(largestDifference(assembled(svdLowRank(a, 6, 0, new Random(1))), a)).toBeLessThan(1e-11)
})

/** @file Gradient cases of products with quantised weights. */
import { int } from '../../graph/types.js'
import type { GradientCase } from '../../testing/gradcheck.js'

const [N, K, block] = [3, 64, 16]
const blocks = K / block

/** Numbers that look random and are the same everywhere. */
const bytes = (count: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => ((i + seed) * 2654435761) >>> 11)

const product = (name: string, bits: 4 | 8, withZeroPoints: boolean): GradientCase => {
  const perByte = 8 / bits
  const B = bytes((N * K) / perByte, 1)
  const zeroPoints = bytes((N * blocks) / perByte, 77)
  const scales = Float32Array.from({ length: N * blocks }, (_, i) => 0.01 * (1 + (i % 5)))
  const at = (data: Uint8Array, i: number): number => (bits === 8 ? data[i]! : (data[i >> 1]! >> (4 * (i & 1))) & 15)
  const weight = (n: number, k: number): number => {
    const group = n * blocks + Math.floor(k / block)
    return scales[group]! * (at(B, n * K + k) - (withZeroPoints ? at(zeroPoints, group) : 2 ** (bits - 1)))
  }
  return {
    name: `MatMulNBits ${name}`,
    dims: { rows: 2 },
    inputs: { x: ['rows', K] },
    build: (b, { x }) =>
      b.emit(
        'MatMulNBits',
        [
          x!,
          b.constant({ dtype: 'uint8', shape: [N, blocks, block / perByte], data: B }),
          b.constant({ dtype: 'float32', shape: [N * blocks], data: scales }),
          withZeroPoints ? b.constant({ dtype: 'uint8', shape: [(N * blocks) / perByte], data: zeroPoints }) : undefined,
        ],
        { K: int(K), N: int(N), bits: int(bits), block_size: int(block) },
        { domain: 'com.microsoft' },
      ),
    forward: ({ x }) => [
      Array.from({ length: 2 * N }, (_, i) => {
        const [row, n] = [Math.floor(i / N), i % N]
        return Array.from({ length: K }, (_, k) => x![row * K + k]! * weight(n, k)).reduce((a, v) => a + v, 0)
      }),
    ],
  }
}

/** Forms in which codes and zero points do not fill whole blocks and bytes. */
const irregular = (
  name: string,
  bits: 4 | 8,
  length: number,
  points: 'packed' | 'float' | 'none',
  grouped = false,
): GradientCase => {
  const count = Math.ceil(length / block)
  const perByte = 8 / bits
  const B = bytes((N * count * block) / perByte, 5)
  const packed = bytes(N * Math.ceil(count / perByte), 99)
  const real = Float32Array.from({ length: N * count }, (_, i) => 1.5 + (i % 4))
  const scales = Float32Array.from({ length: N * count }, (_, i) => 0.01 * (1 + (i % 5)))
  const groups = Int32Array.from({ length }, (_, k) => (grouped ? (k * 7) % count : Math.floor(k / block)))
  const nibble = (data: Uint8Array, i: number): number => (bits === 8 ? data[i]! : (data[i >> 1]! >> (4 * (i & 1))) & 15)
  const point = (n: number, g: number): number =>
    points === 'none' ? 2 ** (bits - 1) : points === 'float' ? real[n * count + g]! : nibble(packed, n * Math.ceil(count / perByte) * perByte + g) // prettier-ignore
  const weight = (n: number, k: number): number =>
    scales[n * count + groups[k]!]! * (nibble(B, n * count * block + k) - point(n, groups[k]!))
  return {
    name: `MatMulNBits ${name}`,
    inputs: { x: [2, length] },
    build: (b, { x }) =>
      b.emit(
        'MatMulNBits',
        [
          x!,
          b.constant({ dtype: 'uint8', shape: [N, count, block / perByte], data: B }),
          b.constant({ dtype: 'float32', shape: [N * count], data: scales }),
          points === 'none'
            ? undefined
            : points === 'float'
              ? b.constant({ dtype: 'float32', shape: [N * count], data: real })
              : b.constant({ dtype: 'uint8', shape: [packed.length], data: packed }),
          grouped ? b.constant({ dtype: 'int32', shape: [length], data: groups }) : undefined,
        ],
        { K: int(length), N: int(N), bits: int(bits), block_size: int(block) },
        { domain: 'com.microsoft' },
      ),
    forward: ({ x }) => [
      Array.from({ length: 2 * N }, (_, i) => {
        const [row, n] = [Math.floor(i / N), i % N]
        return Array.from({ length }, (_, k) => x![row * length + k]! * weight(n, k)).reduce((a, v) => a + v, 0)
      }),
    ],
  }
}

export const quantizedCases: readonly GradientCase[] = [
  irregular('with a last block that is cut off', 4, 40, 'none'),
  irregular('with an odd number of packed zero points', 4, 48, 'packed'),
  irregular('with zero points in floating point', 4, 64, 'float'),
  irregular('in 8 bits with a last block that is cut off and zero points', 8, 40, 'packed'),
  irregular('with a group for each column', 4, 64, 'none', true),
  product('in 4 bits', 4, false),
  product('in 4 bits with zero points', 4, true),
  product('in 8 bits', 8, false),
  product('in 8 bits with zero points', 8, true),
]

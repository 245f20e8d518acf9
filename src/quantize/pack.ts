/** @file The arithmetic of quantising a frozen matrix: 8 bits for each output, 4 bits in blocks. */

/** A matrix in 8 bits: W ≈ codes·scale, one scale for each of its outputs. */
export interface Int8Matrix {
  /** [in, out], the second operand of a product. */
  readonly codes: Int8Array
  /** [out] */
  readonly scales: Float32Array
}

/**
 * Symmetric 8-bit codes in −127…127, scale = max|column|/127 for each output. A product the other way round sees the other
 * side as its outputs, and gets codes and scales of its own.
 *
 * @param W [out, in] if `outputsFirst`, else [in, out]; not changed
 */
export function packInt8(W: Float32Array, inFeatures: number, outFeatures: number, outputsFirst: boolean): Int8Matrix {
  const scales = new Float32Array(outFeatures)
  const [stepOut, stepIn] = outputsFirst ? [inFeatures, 1] : [1, outFeatures]
  for (let o = 0; o < outFeatures; o++) {
    let largest = 0
    for (let i = 0, at = o * stepOut; i < inFeatures; i++, at += stepIn) largest = Math.max(largest, Math.abs(W[at]!))
    // A channel of zeros has codes of zero, whatever its scale.
    scales[o] = largest === 0 ? 1 : largest / 127
  }
  const codes = new Int8Array(W.length)
  for (let o = 0; o < outFeatures; o++) {
    const inverse = 1 / scales[o]!
    for (let i = 0, at = o * stepOut; i < inFeatures; i++, at += stepIn)
      codes[i * outFeatures + o] = Math.max(-127, Math.min(127, Math.round(W[at]! * inverse)))
  }
  return { codes, scales }
}

/** The float32 matrix [out, in] that 8-bit codes stand for. */
export function unpackInt8({ codes, scales }: Int8Matrix): Float32Array {
  const outFeatures = scales.length
  const inFeatures = codes.length / outFeatures
  return Float32Array.from(codes, (_, k) => {
    const [o, i] = [Math.floor(k / inFeatures), k % inFeatures]
    return codes[i * outFeatures + o]! * scales[o]!
  })
}

/** Elements of a row that share one scale of 4 bits. */
export const INT4_BLOCK = 32

/** A weight in 4 bits in the layout of `MatMulNBits`: W ≈ (code − 8)·scale, one scale for each block of a row. */
export interface Int4Matrix {
  /** [out, in/32, 16]: two codes a byte, the first in the low half. */
  readonly codes: Uint8Array
  /** [out·in/32] */
  readonly scales: Float32Array
}

/** Scales that are tried for each block, as shares of the one that spends the range −8…7 on its largest element. */
const SHARES = [1, 0.925, 0.85] as const

const code4 = (x: number): number => (x < -8 ? -8 : x > 7 ? 7 : Math.round(x))

/** Sum of squares of what a scale loses. */
function lossOf(block: Float32Array, scale: number): number {
  const inverse = 1 / scale
  let loss = 0
  for (let i = 0; i < INT4_BLOCK; i++) {
    const rest = block[i]! - code4(block[i]! * inverse) * scale
    loss += rest * rest
  }
  return loss
}

/** The scale that fits given codes best, in the sense of least squares: Σxq / Σq². */
function refit(block: Float32Array, scale: number): number {
  const inverse = 1 / scale
  let xq = 0
  let qq = 0
  for (let i = 0; i < INT4_BLOCK; i++) {
    const code = code4(block[i]! * inverse)
    xq += block[i]! * code
    qq += code * code
  }
  return qq === 0 ? scale : Math.fround(xq / qq)
}

/** Scale of a block that loses least among a few, refitted to its codes; codes are round(x/scale) + 8. */
function blockScale(block: Float32Array): number {
  let extreme = 0
  for (let i = 0; i < INT4_BLOCK; i++) if (Math.abs(block[i]!) > Math.abs(extreme)) extreme = block[i]!
  if (extreme === 0) return 1
  let best = 0
  let least = Infinity
  for (const share of SHARES) {
    // −8 is one step further than +7: the largest element takes it, so the scale has the opposite sign.
    const scale = Math.fround((extreme * share) / -8)
    const loss = lossOf(block, scale)
    if (loss < least) [least, best] = [loss, scale]
  }
  const refitted = refit(block, best)
  return refitted !== 0 && lossOf(block, refitted) < least ? refitted : best
}

/**
 * 4-bit codes in blocks of 32 along the inputs, the scale of each chosen for the least squared error.
 * @param W [out, in] if `outputsFirst`, else [in, out]; `inFeatures` a multiple of 32; not changed
 */
export function packInt4(W: Float32Array, inFeatures: number, outFeatures: number, outputsFirst: boolean): Int4Matrix {
  const blocks = inFeatures / INT4_BLOCK
  const codes = new Uint8Array((inFeatures * outFeatures) / 2)
  const scales = new Float32Array(blocks * outFeatures)
  const stepOut = outputsFirst ? inFeatures : 1
  const stepIn = outputsFirst ? 1 : outFeatures
  const block = new Float32Array(INT4_BLOCK)
  for (let o = 0; o < outFeatures; o++)
    for (let k = 0; k < blocks; k++) {
      for (let i = 0; i < INT4_BLOCK; i++) block[i] = W[o * stepOut + (k * INT4_BLOCK + i) * stepIn]!
      const scale = blockScale(block)
      scales[o * blocks + k] = scale
      const inverse = 1 / scale
      const at = (o * inFeatures + k * INT4_BLOCK) / 2
      for (let i = 0; i < INT4_BLOCK; i += 2)
        codes[at + i / 2] = (code4(block[i]! * inverse) + 8) | ((code4(block[i + 1]! * inverse) + 8) << 4)
    }
  return { codes, scales }
}

/** The float32 matrix [out, in] that 4-bit codes stand for. */
export function unpackInt4({ codes, scales }: Int4Matrix): Float32Array {
  const result = new Float32Array(codes.length * 2)
  for (let i = 0; i < result.length; i++) {
    const byte = codes[i >> 1]!
    result[i] = (((i & 1) === 0 ? byte & 15 : byte >> 4) - 8) * scales[Math.floor(i / INT4_BLOCK)]!
  }
  return result
}

/** @file The arithmetic of quantising a frozen matrix: 8 bits for each column of a product, 4 bits in blocks. */
import type { TypedArray } from '../graph/types.js'

/** Some whole rows of a matrix, as stored. */
export interface MatrixSlice {
  readonly firstRow: number
  /** [rows of the slice, columns] */
  readonly values: Float32Array
}

/** Packs a matrix that comes in slices: each pass sees all of them, in order. */
export interface Packer {
  readonly passes: readonly ((slice: MatrixSlice) => void)[]
  /** What was packed, once all passes are over. */
  contents(): readonly TypedArray[]
}

/** A matrix in 8 bits: W ≈ codes·scale, one scale for each column of the codes. */
export interface Int8Matrix {
  readonly codes: Int8Array
  readonly scales: Float32Array
}

const LARGEST_CODE = 127
const code8 = (x: number): number => Math.max(-LARGEST_CODE, Math.min(LARGEST_CODE, Math.round(x)))

/**
 * Symmetric 8-bit codes in −127…127 of a matrix [rows, columns] as the second operand of a product, and of its transpose as
 * that of the product the other way round; scale = max|column|/127, of each its own columns.
 */
export class Int8Packer implements Packer {
  readonly asStored: Int8Matrix
  /** [columns, rows] */
  readonly transposed: Int8Matrix

  constructor(
    private readonly rows: number,
    private readonly columns: number,
  ) {
    this.asStored = { codes: new Int8Array(rows * columns), scales: new Float32Array(columns) }
    this.transposed = { codes: new Int8Array(rows * columns), scales: new Float32Array(rows) }
  }

  readonly passes = [(slice: MatrixSlice): void => this.measure(slice), (slice: MatrixSlice): void => this.encode(slice)]

  /** The largest of each row and column, as scales of codes that are yet to come. */
  private measure({ firstRow, values }: MatrixSlice): void {
    const { columns } = this
    for (let at = 0, row = firstRow; at < values.length; row++) {
      let largest = 0
      for (let column = 0; column < columns; column++, at++) {
        const size = Math.abs(values[at]!)
        if (size > largest) largest = size
        if (size > this.asStored.scales[column]!) this.asStored.scales[column] = size
      }
      this.transposed.scales[row] = largest
    }
  }

  private encode({ firstRow, values }: MatrixSlice): void {
    const { rows, columns, asStored, transposed } = this
    if (firstRow === 0)
      for (const { scales } of [asStored, transposed])
        // A column of zeros has codes of zero, whatever its scale.
        scales.forEach((largest, i) => (scales[i] = largest === 0 ? 1 : largest / LARGEST_CODE))
    for (let at = 0, row = firstRow; at < values.length; row++) {
      const inverse = 1 / transposed.scales[row]!
      for (let column = 0; column < columns; column++, at++) {
        asStored.codes[row * columns + column] = code8(values[at]! / asStored.scales[column]!)
        transposed.codes[column * rows + row] = code8(values[at]! * inverse)
      }
    }
  }

  contents(): readonly TypedArray[] {
    return [this.asStored.codes, this.asStored.scales, this.transposed.codes, this.transposed.scales]
  }
}

/** The float32 matrix that 8-bit codes stand for, of their shape. */
export function unpackInt8({ codes, scales }: Int8Matrix): Float32Array {
  const columns = scales.length
  return Float32Array.from(codes, (code, i) => code * scales[i % columns]!)
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
 * 4-bit codes in blocks of 32 along the inputs, the scale of each chosen for the least squared error. Of a matrix that is
 * stored [in, out], slices begin at whole blocks; `inFeatures` is a multiple of 32.
 */
export class Int4Packer implements Packer, Int4Matrix {
  readonly codes: Uint8Array
  readonly scales: Float32Array
  private readonly block = new Float32Array(INT4_BLOCK)

  /** @param outputsFirst W is stored [out, in], else [in, out] */
  constructor(
    private readonly inFeatures: number,
    private readonly outFeatures: number,
    private readonly outputsFirst: boolean,
  ) {
    this.codes = new Uint8Array((inFeatures * outFeatures) / 2)
    this.scales = new Float32Array((inFeatures / INT4_BLOCK) * outFeatures)
  }

  readonly passes = [(slice: MatrixSlice): void => this.encode(slice)]

  private encode({ firstRow, values }: MatrixSlice): void {
    const { inFeatures, outFeatures, outputsFirst } = this
    const rows = values.length / (outputsFirst ? inFeatures : outFeatures)
    const [firstOut, outs] = outputsFirst ? [firstRow, rows] : [0, outFeatures]
    const [firstIn, ins] = outputsFirst ? [0, inFeatures] : [firstRow, rows]
    const [stepOut, stepIn] = outputsFirst ? [inFeatures, 1] : [1, outFeatures]
    for (let o = 0; o < outs; o++)
      for (let i = 0; i < ins; i += INT4_BLOCK) {
        for (let k = 0; k < INT4_BLOCK; k++) this.block[k] = values[o * stepOut + (i + k) * stepIn]!
        this.encodeBlock(firstOut + o, firstIn + i)
      }
  }

  private encodeBlock(out: number, firstIn: number): void {
    const { block, inFeatures } = this
    const at = out * inFeatures + firstIn
    const scale = blockScale(block)
    this.scales[at / INT4_BLOCK] = scale
    const inverse = 1 / scale
    for (let k = 0; k < INT4_BLOCK; k += 2)
      this.codes[(at + k) / 2] = (code4(block[k]! * inverse) + 8) | ((code4(block[k + 1]! * inverse) + 8) << 4)
  }

  contents(): readonly TypedArray[] {
    return [this.codes, this.scales]
  }
}

/** A packer that has seen a matrix as a whole. */
export function packedWhole<P extends Packer>(packer: P, W: Float32Array): P {
  for (const pass of packer.passes) pass({ firstRow: 0, values: W })
  return packer
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

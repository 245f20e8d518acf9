/** @file Conversions of the 16-bit float formats, as bits in a `Uint16Array`, to and from float32. */

const scratch = new Float32Array(1)
const bits = new Uint32Array(scratch.buffer)

/** IEEE 754 binary16 bits to a number. */
export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** A number to IEEE 754 binary16 bits, rounding to nearest even. */
export function floatToHalf(value: number): number {
  scratch[0] = value
  const x = bits[0]!
  const sign = (x >>> 16) & 0x8000
  const magnitude = x & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // Subnormal: the scaled value is rounded by the float adder itself.
    scratch[0] = Math.abs(value) + 0.5
    return sign | (bits[0]! - 0x3f000000)
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
}

/** bfloat16 bits to a number: the upper half of a float32. */
export function bfloat16ToFloat(value: number): number {
  bits[0] = value << 16
  return scratch[0]!
}

/** A number to bfloat16 bits, rounding to nearest even. */
export function floatToBfloat16(value: number): number {
  scratch[0] = value
  const x = bits[0]!
  if ((x & 0x7fffffff) > 0x7f800000) return (x >>> 16) | 0x40
  return (x + 0x7fff + ((x >>> 16) & 1)) >>> 16
}

/** A whole array of the given 16-bit format as float32. */
export function widen(dtype: 'float16' | 'bfloat16', source: Uint16Array): Float32Array {
  const convert = dtype === 'float16' ? halfToFloat : bfloat16ToFloat
  const result = new Float32Array(source.length)
  for (let i = 0; i < source.length; i++) result[i] = convert(source[i]!)
  return result
}

/** A float32 array rounded to the given 16-bit format. */
export function narrow(dtype: 'float16' | 'bfloat16', source: Float32Array): Uint16Array {
  const convert = dtype === 'float16' ? floatToHalf : floatToBfloat16
  const result = new Uint16Array(source.length)
  for (let i = 0; i < source.length; i++) result[i] = convert(source[i]!)
  return result
}

/** @file Numbers as Python computes and writes them. Digits of floats are exact: a double is an integer times a power of two. */
import { TemplateError } from './errors.js'
import type { Meter } from './limits.js'
import { strip } from './unicode.js'
import { pythonFloat } from '../util/python-json.js'

/** Bits of |value|. */
export function bitLength(value: bigint): number {
  const digits = (value < 0n ? -value : value).toString(16)
  return digits.length * 4 - Math.clz32(Number.parseInt(digits.charAt(0), 16)) + 28
}

/** Bits of the integers that a processor cannot hold, all together: what arithmetic with them is charged by. */
export const longBits = (...values: readonly bigint[]): number =>
  values.reduce((sum, value) => sum + (BigInt.asIntN(64, value) === value ? 0 : bitLength(value)), 0)

/** `repr(x)` of a float. */
export function reprFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  return pythonFloat(value)
}

/** Digits of the longest integer that Python reads or writes. */
const MAX_DIGITS = 4300
export const tooManyDigits = (): TemplateError =>
  new TemplateError(`Exceeds the limit (${MAX_DIGITS} digits) for integer string conversion`)

/** `repr(n)` of an int. @throws TemplateError above 4,300 digits, where Python refuses too */
export function reprInt(value: bigint, meter: Meter): string {
  meter.calculate(longBits(value))
  const text = value.toString()
  if (text.replace('-', '').length > MAX_DIGITS) throw tooManyDigits()
  return text
}

/** A finite double as mantissa · 2^exponent, both integers. */
function parts(value: number): { readonly mantissa: bigint; readonly exponent: number } {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  const bits = view.getBigUint64(0)
  const biased = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xfffffffffffffn
  const mantissa = biased === 0 ? fraction : fraction | 0x10000000000000n
  return { mantissa: value < 0 || Object.is(value, -0) ? -mantissa : mantissa, exponent: Math.max(biased, 1) - 1075 }
}

/** numerator / denominator, both positive, to the nearest integer, ties to even. */
function roundedQuotient(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  const twice = (numerator % denominator) * 2n
  return twice > denominator || (twice === denominator && quotient % 2n === 1n) ? quotient + 1n : quotient
}

/** |value| · 10^digits as the nearest integer, ties to even. */
function scaled(value: number, digits: number): bigint {
  const { mantissa, exponent } = parts(Math.abs(value))
  let numerator = mantissa
  let denominator = 1n
  if (exponent >= 0) numerator <<= BigInt(exponent)
  else denominator <<= BigInt(-exponent)
  if (digits >= 0) numerator *= 10n ** BigInt(digits)
  else denominator *= 10n ** BigInt(-digits)
  return roundedQuotient(numerator, denominator)
}

/** A double has no more decimals than this, nor significant digits: those behind are zeros. */
const MAX_DECIMALS = 1074

/** |value| with so many digits after the point, as `'%.*f'` writes it. */
export function fixed(value: number, digits: number): string {
  if (digits > MAX_DECIMALS) return fixed(value, MAX_DECIMALS) + '0'.repeat(digits - MAX_DECIMALS)
  const text = scaled(value, digits)
    .toString()
    .padStart(digits + 1, '0')
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`
}

/** |value| as a digit string of so many significant digits and the power of ten of the first. */
export function significant(value: number, count: number): { readonly digits: string; readonly power: number } {
  if (value === 0) return { digits: '0'.repeat(count), power: 0 }
  if (count > MAX_DECIMALS) {
    const { digits, power } = significant(value, MAX_DECIMALS)
    return { digits: digits.padEnd(count, '0'), power }
  }
  let power = Math.floor(Math.log10(Math.abs(value)))
  // The logarithm may be off by one, and rounding may carry over.
  for (let tries = 0; tries < 4; tries++) {
    const digits = scaled(value, count - 1 - power).toString()
    if (digits.length === count) return { digits, power }
    power += digits.length > count ? 1 : -1
  }
  throw new Error('internal: digits of a float')
}

/** `round(x, digits)` of a float: to the nearest decimal, ties to even. */
export function roundFloat(value: number, digits: number): number {
  if (!Number.isFinite(value) || value === 0 || digits > 323) return value
  if (digits < -308) return value < 0 ? -0 : 0
  const whole = scaled(value, digits)
  const result = Number(`${whole}e${-digits}`) * (value < 0 ? -1 : 1)
  if (!Number.isFinite(result)) throw new TemplateError('rounded value too large to represent')
  return result
}

/** `round(n, digits)` of an int: ties to even. */
export function roundInt(value: bigint, digits: bigint): bigint {
  if (digits >= 0n) return value
  if (-digits > BigInt(value.toString().length)) return 0n
  const unit = 10n ** -digits
  const magnitude = roundedQuotient(value < 0n ? -value : value, unit) * unit
  return value < 0n ? -magnitude : magnitude
}

/** `int(x)` of a float. */
export function truncate(value: number): bigint {
  if (Number.isNaN(value)) throw new TemplateError('cannot convert float NaN to integer')
  if (!Number.isFinite(value)) throw new TemplateError('cannot convert float infinity to integer')
  return BigInt(Math.trunc(value))
}

/** `float(n)` of an int. */
export function toFloat(value: bigint): number {
  const result = Number(value)
  if (!Number.isFinite(result)) throw new TemplateError('int too large to convert to float')
  return result
}

/** a / b of ints, rounded once. */
export function divideInts(a: bigint, b: bigint): number {
  if (b === 0n) throw new TemplateError('division by zero')
  const limit = BigInt(Number.MAX_SAFE_INTEGER)
  const small = (n: bigint): boolean => n <= limit && n >= -limit
  if (small(a) && small(b)) return Number(a) / Number(b)
  if (a === 0n) return 0
  // Enough bits that what is left only breaks ties, kept as one sticky bit.
  const negative = a < 0n !== b < 0n
  const numerator = a < 0n ? -a : a
  const denominator = b < 0n ? -b : b
  const shift = numerator.toString(2).length - denominator.toString(2).length - 66
  const [left, right] = shift > 0 ? [numerator, denominator << BigInt(shift)] : [numerator << BigInt(-shift), denominator]
  const quotient = left / right
  const sticky = left % right === 0n ? 0n : 1n
  const exact = (quotient << 1n) | sticky
  const power = shift - 1
  const result = power > 1024 ? Infinity : scaleDown(exact, power)
  if (!Number.isFinite(result)) throw new TemplateError('integer division result too large for a float')
  return negative ? -result : result
}

/** integer · 2^power, rounded once. */
function scaleDown(value: bigint, power: number): number {
  if (power >= 0) return Number(value << BigInt(power))
  // Below the normal range the rounding must happen at the last bit that a subnormal has.
  const length = value.toString(2).length
  if (length + power > -1021) return Number(value) * 2 ** Math.max(power, -1000) * 2 ** Math.min(0, power + 1000)
  const drop = -1074 - power
  return Number(roundedQuotient(value, 1n << BigInt(drop))) * 2 ** -1074
}

/** a ** b of a float, for a whole b: rounded once. @throws TemplateError where it is too large */
export function wholePower(a: number, b: number, meter: Meter): number {
  const { mantissa, exponent } = parts(a)
  meter.calculate((53 + Math.abs(exponent)) * Math.abs(b))
  const times = BigInt(Math.abs(b))
  const base = mantissa ** times
  const shift = BigInt(exponent) * times
  const [numerator, denominator] = shift >= 0n ? [base << shift, 1n] : [base, 1n << -shift]
  try {
    return b < 0 ? divideInts(denominator, numerator) : divideInts(numerator, denominator)
  } catch {
    throw new TemplateError('(34, Numerical result out of range)')
  }
}

/** a // b of ints: downwards. */
export function floorDivide(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new TemplateError('integer division or modulo by zero')
  const quotient = a / b
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
}

/** a % b of ints: the sign of b. */
export function modulo(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new TemplateError('integer division or modulo by zero')
  const rest = a % b
  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest
}

/** a % b and a // b of floats, as CPython's `_float_div_mod` computes them. */
export function divideFloats(a: number, b: number): { readonly quotient: number; readonly rest: number } {
  if (b === 0) throw new TemplateError('float floor division by zero')
  let rest = a % b
  let quotient = (a - rest) / b
  if (rest !== 0) {
    if (b < 0 !== rest < 0) {
      rest += b
      quotient -= 1
    }
  } else rest = b < 0 ? -0 : 0
  if (quotient === 0) return { quotient: a / b < 0 || Object.is(a / b, -0) ? -0 : 0, rest }
  const floor = Math.floor(quotient)
  return { quotient: quotient - floor > 0.5 ? floor + 1 : floor, rest }
}

const FLOAT = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)$/i

/** `float(s)`; undefined where it is no number. */
export function parseFloatText(text: string, meter: Meter): number | undefined {
  const plain = withoutSeparators(text, meter)
  if (plain === undefined || !FLOAT.test(plain)) return undefined
  const unsigned = plain.replace(/^[+-]/, '').toLowerCase()
  const sign = plain.startsWith('-') ? -1 : 1
  if (unsigned.startsWith('i')) return sign * Infinity
  return unsigned === 'nan' ? NaN : sign * Number(unsigned)
}

/** `int(s, base)`; undefined where it is no integer, or one of too many digits. */
export function parseIntText(text: string, base: number, meter: Meter): bigint | undefined {
  const plain = withoutSeparators(text, meter)?.toLowerCase()
  if (plain === undefined) return undefined
  const negative = plain.startsWith('-')
  let body = plain.replace(/^[+-]/, '')
  const prefixes: Readonly<Record<string, number>> = { '0b': 2, '0o': 8, '0x': 16 }
  const prefix = prefixes[body.slice(0, 2)]
  let radix = base
  if (prefix !== undefined && (base === 0 || base === prefix)) {
    radix = prefix
    body = body.slice(2)
  } else if (base === 0) {
    if (/^0+[1-9]/.test(body)) return undefined
    radix = 10
  }
  if (body === '') return undefined
  const digits = Array.from(body, (digit) => (/[0-9a-z]/.test(digit) ? Number.parseInt(digit, 36) : radix))
  if (digits.some((digit) => digit >= radix)) return undefined
  // As Python, which converts any number of digits only where each is a whole number of bits.
  if (!Number.isInteger(Math.log2(radix)) && digits.length > MAX_DIGITS) return undefined
  meter.bits(digits.length * Math.log2(radix))
  meter.step(digits.length)
  const value = digits.reduce((sum, digit) => sum * BigInt(radix) + BigInt(digit), 0n)
  return negative ? -value : value
}

/** White space that may stand around a number: what `str.isspace` takes for it, but for the separators U+001C–001F. */
const AROUND =
  '\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'

/** White space around and single underscores between digits fall away; undefined where an underscore stands elsewhere. */
function withoutSeparators(text: string, meter: Meter): string | undefined {
  meter.walk(text.length)
  const trimmed = strip(text, AROUND, 'both')
  if (/[^\0-\x7f]/.test(trimmed)) {
    // Decimal digits of other scripts are digits to Python as well.
    const digits = trimmed.replace(/\p{Nd}/gu, (digit) => String(decimalDigit(digit)))
    return /[^\0-\x7f]/.test(digits) ? undefined : withoutSeparators(digits, meter)
  }
  if (/(^|[^0-9a-z])_|_($|[^0-9a-z])|__/i.test(trimmed)) return undefined
  return trimmed.replaceAll('_', '')
}

const worths = new Map<string, number>()

/** The worth of a decimal digit of any script: Unicode puts each script's ten in a row, and where rows touch they are whole. */
function decimalDigit(digit: string): number {
  const known = worths.get(digit)
  if (known !== undefined) return known
  const code = digit.codePointAt(0) ?? 0
  let start = code
  while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--
  const worth = (code - start) % 10
  worths.set(digit, worth)
  return worth
}

/** @file Numbers between bounds, digit by digit: a digit may be written if some number of the range begins so. */
import { Machine } from './machine.js'
import { DIGITS } from './json.js'

/** Decimals of a number that has bounds. */
const DECIMALS = 10
const UNIT = 10n ** BigInt(DECIMALS)

/** Which numbers. */
export interface NumberRange {
  readonly integer: boolean
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  /** A whole number. */
  readonly multipleOf?: number
}

/** A decimal number in units of 10^-{@link DECIMALS}, and whether it is a whole number of them; else the next below. */
function scaled(value: number): { readonly units: bigint; readonly exact: boolean } {
  const [, sign, whole, decimals = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value))!
  const digits = BigInt(whole! + decimals)
  const shift = Number(exponent) - decimals.length + DECIMALS
  const size = 10n ** BigInt(Math.abs(shift))
  const magnitude = shift >= 0 ? digits * size : digits / size
  const exact = shift >= 0 || digits % size === 0n
  if (sign === '') return { units: magnitude, exact }
  return { units: exact ? -magnitude : -magnitude - 1n, exact }
}

const ceilDiv = (a: bigint, b: bigint): bigint => (a >= 0n ? (a + b - 1n) / b : -(-a / b))
const greater = (a: bigint, b: bigint): bigint => (a > b ? a : b)
const lesser = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const powers = Array.from({ length: DIGITS + DECIMALS + 1 }, (_, i) => 10n ** BigInt(i))

/** The numbers of a range, of at most 15 digits in all and {@link DECIMALS} behind the point, so that no two are the same in 64 bits. */
class Range {
  private readonly low: bigint
  private readonly high: bigint
  private readonly step: bigint
  private readonly known = new Map<string, NumberText>()

  constructor(private readonly asked: NumberRange) {
    const furthest = powers[DIGITS]! * UNIT - 1n
    const low = (value: number, exclusive: boolean): bigint => {
      const { units, exact } = scaled(value)
      return exclusive || !exact ? units + 1n : units
    }
    const high = (value: number, exclusive: boolean): bigint => {
      const { units, exact } = scaled(value)
      return exclusive && exact ? units - 1n : units
    }
    const { minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = asked
    const lows = [...finite(minimum).map((v) => low(v, false)), ...finite(exclusiveMinimum).map((v) => low(v, true))]
    const highs = [...finite(maximum).map((v) => high(v, false)), ...finite(exclusiveMaximum).map((v) => high(v, true))]
    this.low = lows.reduce(greater, -furthest)
    this.high = highs.reduce(lesser, furthest)
    this.step = asked.multipleOf === undefined ? 1n : BigInt(asked.multipleOf) * UNIT
  }

  of(text: string): NumberText {
    let number = this.known.get(text)
    if (number === undefined) this.known.set(text, (number = new NumberText(this, text)))
    return number
  }

  /** Whether a multiple of a unit, and of what is asked for, lies in the range and between two values. */
  private has(from: bigint, to: bigint, unit: bigint): boolean {
    const size = greater(this.step, this.asked.integer ? greater(unit, UNIT) : unit)
    return ceilDiv(greater(from, this.low), size) * size <= lesser(to, this.high)
  }

  private hasSigned(negative: boolean, from: bigint, to: bigint, unit: bigint): boolean {
    return negative ? this.has(-to, -from, unit) : this.has(from, to, unit)
  }

  /** Whether some number begins so. */
  begins(text: string): boolean {
    const { minus, whole, point, decimals } = parts(text)
    if (whole === '') return '0123456789'.split('').some((digit) => this.begins(text + digit)) || (!minus && this.begins('-'))
    if (whole.length > 1 && whole.startsWith('0')) return false
    if (minus && this.asked.integer && whole === '0') return false
    if (point && this.asked.integer) return false
    const value = BigInt(whole) * UNIT
    if (point) {
      const most = Math.min(DECIMALS, DIGITS - whole.length)
      if (decimals.length > most || most === 0) return false
      const start = value + BigInt(decimals || '0') * powers[DECIMALS - decimals.length]!
      const unit = powers[DECIMALS - most]!
      return this.hasSigned(minus, start, start + powers[DECIMALS - decimals.length]! - unit, unit)
    }
    const longest = whole === '0' ? 1 : DIGITS
    for (let length = whole.length; length <= longest; length++) {
      const more = powers[length - whole.length]!
      const unit = this.asked.integer ? UNIT : powers[DECIMALS - Math.min(DECIMALS, DIGITS - length)]!
      if (this.hasSigned(minus, value * more, (value + UNIT) * more - unit, unit)) return true
    }
    return false
  }

  /** Whether it is a number of the range. */
  includes(text: string): boolean {
    const { minus, whole, point, decimals } = parts(text)
    if (whole === '' || (point && decimals === '')) return false
    const value = BigInt(whole) * UNIT + BigInt(decimals || '0') * powers[DECIMALS - decimals.length]!
    return this.hasSigned(minus, value, value, 1n) && (minus ? -value : value) % this.step === 0n
  }
}

const finite = (value: number): readonly number[] => (Number.isFinite(value) ? [value] : [])

function parts(text: string): {
  readonly minus: boolean
  readonly whole: string
  readonly point: boolean
  readonly decimals: string
} {
  const minus = text.startsWith('-')
  const [whole = '', decimals] = (minus ? text.slice(1) : text).split('.')
  return { minus, whole, point: decimals !== undefined, decimals: decimals ?? '' }
}

class NumberText extends Machine {
  readonly accepts: boolean
  private readonly next = new Map<number, NumberText | undefined>()

  constructor(
    private readonly range: Range,
    private readonly text: string,
  ) {
    super()
    this.accepts = range.includes(text)
  }

  override step(symbol: number): NumberText | undefined {
    if (!this.next.has(symbol)) this.next.set(symbol, this.reach(symbol))
    return this.next.get(symbol)
  }

  private reach(symbol: number): NumberText | undefined {
    const character = String.fromCharCode(symbol)
    const fits =
      /[0-9]/.test(character) || (character === '-' ? this.text === '' : character === '.' && /^-?\d+$/.test(this.text))
    const text = this.text + character
    return fits && this.range.begins(text) ? this.range.of(text) : undefined
  }
}

/** The numbers of a range as they are written in JSON, without exponents; undefined if there is none of at most 15 digits. */
export function boundedNumber(asked: NumberRange): Machine | undefined {
  const range = new Range(asked)
  return range.begins('') ? range.of('') : undefined
}

/** @file Python's format specifications: what stands behind the colon of `{:>8.2f}`. */
import { TemplateError, unsupported } from './errors.js'
import type { Meter } from './limits.js'
import { fixed, longBits, reprFloat, reprInt, significant, toFloat } from './numbers.js'
import { str } from './text.js'
import { lengthOf, sliceText } from './unicode.js'
import { textOf, typeName, Undefined, type Value } from './values.js'

const SPEC = /^(?:([^])?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([_,])?(?:\.(\d+))?([a-zA-Z%])?$/u

interface Spec {
  readonly fill: string
  readonly align: string | undefined
  readonly sign: string
  readonly alternate: boolean
  readonly zero: boolean
  readonly width: number
  readonly group: string
  readonly precision: number | undefined
  readonly type: string
}

/** Widths and precisions beyond this are no wish of anybody. */
const MAX_WIDTH = 2 ** 20

function parseSpec(text: string, value: Value): Spec {
  const match = SPEC.exec(text)
  if (match === null) throw new TemplateError(`Invalid format specifier '${text}' for object of type '${typeName(value)}'`)
  const [, fill, align, sign, negativeZero, alternate, zero, width, group, precision, type] = match
  if (negativeZero !== undefined) throw unsupported('the format option z')
  const size = (digits: string | undefined): number | undefined => {
    if (digits === undefined) return undefined
    if (Number(digits) > MAX_WIDTH) throw new TemplateError(`a format of more than ${MAX_WIDTH} characters`)
    return Number(digits)
  }
  return {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    align,
    sign: sign ?? '',
    alternate: alternate !== undefined,
    zero: zero !== undefined,
    width: size(width) ?? 0,
    group: group ?? '',
    precision: size(precision),
    type: type ?? '',
  }
}

/** `format(value, spec)`. */
export function formatValue(value: Value, spec: string, meter: Meter): string {
  if (value instanceof Undefined) {
    if (spec !== '') throw new TemplateError('unsupported format string passed to Undefined.__format__')
    return ''
  }
  if (spec === '') return str(value, meter)
  const text = textOf(value)
  const parsed = parseSpec(spec, value)
  meter.write(parsed.width + (parsed.precision ?? 0))
  if (text !== undefined) {
    meter.read(text.length)
    return formatText(text, parsed)
  }
  const number = typeof value === 'boolean' ? BigInt(value) : value
  if (typeof number === 'bigint') return formatInt(number, parsed, typeName(value), meter)
  if (typeof number === 'number') return formatFloat(number, parsed)
  throw new TemplateError(`unsupported format string passed to ${typeName(value)}.__format__`)
}

function formatText(text: string, spec: Spec): string {
  if (spec.type !== '' && spec.type !== 's') throw unknownCode(spec.type, 'str')
  if (spec.sign !== '') throw new TemplateError('Sign not allowed in string format specifier')
  if (spec.alternate) throw new TemplateError('Alternate form (#) not allowed in string format specifier')
  if (spec.align === '=') throw new TemplateError("'=' alignment not allowed in string format specifier")
  if (spec.group !== '') throw new TemplateError(`Cannot specify '${spec.group}' with 's'.`)
  const cut = spec.precision === undefined ? text : sliceText(text, 0, spec.precision)
  return pad(cut, '', { ...spec, align: spec.align ?? '<' })
}

const unknownCode = (code: string, type: string): TemplateError =>
  new TemplateError(`Unknown format code '${code}' for object of type '${type}'`)

function formatCharacter(value: bigint, spec: Spec): string {
  if (spec.sign !== '') throw new TemplateError("Sign not allowed with integer format specifier 'c'")
  if (spec.alternate) throw new TemplateError("Alternate form (#) not allowed with integer format specifier 'c'")
  if (spec.group !== '') throw new TemplateError(`Cannot specify '${spec.group}' with 'c'.`)
  if (value < 0n || value > 0x10ffffn) throw new TemplateError('%c arg not in range(0x110000)')
  if (value >= 0xd800n && value <= 0xdfffn) throw unsupported('half of a character')
  return pad(String.fromCodePoint(Number(value)), '', { ...spec, align: spec.align ?? (spec.zero ? '=' : '<') })
}

const BASES: Readonly<Record<string, readonly [radix: number, prefix: string]>> = {
  b: [2, '0b'],
  o: [8, '0o'],
  x: [16, '0x'],
  X: [16, '0X'],
}

function formatInt(value: bigint, spec: Spec, type: string, meter: Meter): string {
  meter.calculate(longBits(value))
  if (/^[eEfFgG%]$/.test(spec.type)) return formatFloat(toFloat(value), spec)
  if (spec.precision !== undefined) throw new TemplateError('Precision not allowed in integer format specifier')
  const magnitude = value < 0n ? -value : value
  if (spec.type === 'c') return formatCharacter(value, spec)
  const base = BASES[spec.type]
  if (base !== undefined) {
    if (spec.group === ',') throw new TemplateError(`Cannot specify ',' with '${spec.type}'.`)
    const digits = magnitude.toString(base[0])
    const shown = spec.type === 'X' ? digits.toUpperCase() : digits
    return number(shown, '', value < 0n, spec, spec.alternate ? base[1] : '', 4)
  }
  if (spec.type === 'n') throw unsupported('the format code n')
  if (spec.type !== '' && spec.type !== 'd') throw unknownCode(spec.type, type)
  return number(reprInt(magnitude, meter), '', value < 0n, spec, '', 3)
}

function formatFloat(value: number, spec: Spec): string {
  const negative = value < 0 || Object.is(value, -0)
  const upper = /^[EFG]$/.test(spec.type)
  const code = spec.type.toLowerCase()
  if (spec.type === 'n') throw unsupported('the format code n')
  if (!['', 'e', 'f', 'g', '%'].includes(code)) throw unknownCode(spec.type, 'float')
  if (!Number.isFinite(value)) {
    const name = Number.isNaN(value) ? 'nan' : 'inf'
    const shown = (upper ? name.toUpperCase() : name) + (code === '%' ? '%' : '')
    return number(shown, '', negative && !Number.isNaN(value), { ...spec, group: '' }, '', 3)
  }
  const scaledValue = code === '%' ? value * 100 : value
  const text = floatDigits(Math.abs(scaledValue), code, spec)
  const shown = (upper ? text.toUpperCase() : text) + (code === '%' ? '%' : '')
  const [, whole = '', rest = ''] = /^(\d*)(.*)$/s.exec(shown) ?? []
  return number(whole, rest, negative, spec, '', 3)
}

/** The digits of a float that is not negative. */
export function floatDigits(value: number, code: string, spec: Pick<Spec, 'precision' | 'alternate'>): string {
  switch (code) {
    case 'f':
    case '%':
      return fixed(value, spec.precision ?? 6) + (spec.alternate && spec.precision === 0 ? '.' : '')
    case 'e':
      return exponential(value, spec.precision ?? 6, spec.alternate)
    case 'g':
      return general(value, spec.precision ?? 6, spec.alternate, false)
    default:
      // Without a code: as repr, or as g with a digit behind the point.
      return spec.precision === undefined ? reprFloat(value) : general(value, spec.precision, spec.alternate, true)
  }
}

function exponential(value: number, precision: number, keepPoint: boolean): string {
  const { digits, power } = significant(value, precision + 1)
  const point = precision > 0 || keepPoint ? '.' : ''
  return `${digits.slice(0, 1)}${point}${digits.slice(1)}${exponent(power)}`
}

const exponent = (power: number): string => `e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`

/** @param asRepr whether at least one digit stands behind the point, and exponents begin one digit earlier */
function general(value: number, given: number, alternate: boolean, asRepr: boolean): string {
  const precision = Math.max(1, given)
  const { digits, power } = significant(value, precision)
  const trim = (text: string): string => (alternate || !text.includes('.') ? text : text.replace(/\.?0+$/, ''))
  const limit = asRepr ? precision - 1 : precision
  if (power < -4 || power >= Math.max(limit, asRepr ? 0 : 1) + (asRepr && precision === 1 ? 1 : 0)) {
    const body = digits.length > 1 || alternate ? `${digits.slice(0, 1)}.${digits.slice(1)}` : digits
    return trim(body) + exponent(power)
  }
  const text = power < 0 ? `0.${'0'.repeat(-power - 1)}${digits}` : `${digits.slice(0, power + 1)}.${digits.slice(power + 1)}`
  const trimmed = trim(text.endsWith('.') && !alternate ? text.slice(0, -1) : text)
  return asRepr && !trimmed.includes('.') ? `${trimmed}.0` : trimmed
}

/** Where numbers stand that say nothing of it: right, or with zeros behind the sign. */
const alignOf = (spec: Spec): string => spec.align ?? (spec.zero ? '=' : '>')

/** Sign, prefix, groups and padding around digits. */
function number(whole: string, rest: string, negative: boolean, spec: Spec, prefix: string, groupSize: number): string {
  const sign = negative ? '-' : spec.sign === '-' ? '' : spec.sign
  const head = sign + prefix
  let digits = whole
  if (spec.group !== '') {
    // Zeros that fill up belong to the groups.
    const room = spec.fill === '0' && alignOf(spec) === '=' ? spec.width - head.length - rest.length : 0
    digits = grouped(whole, spec.group, groupSize, room)
  }
  return pad(digits + rest, head, { ...spec, align: alignOf(spec) })
}

/** Digits in groups counted from the right; zeros before them, and their separators, fill a room that is larger. */
function grouped(digits: string, separator: string, size: number, room: number): string {
  let count = digits.length
  while (count + Math.floor((count - 1) / size) < room) count++
  const text = digits.padStart(count, '0')
  const head = count % size
  return (text.slice(0, head) + text.slice(head).replace(new RegExp(`.{${size}}`, 'g'), `${separator}$&`)).slice(
    head === 0 ? 1 : 0,
  )
}

function pad(text: string, head: string, spec: Spec): string {
  const gap = spec.width - lengthOf(text) - head.length
  if (gap <= 0) return head + text
  const fill = (count: number): string => spec.fill.repeat(count)
  switch (spec.align) {
    case '<':
      return head + text + fill(gap)
    case '^':
      return fill(Math.floor(gap / 2)) + head + text + fill(gap - Math.floor(gap / 2))
    case '=':
      return head + fill(gap) + text
    default:
      return fill(gap) + head + text
  }
}

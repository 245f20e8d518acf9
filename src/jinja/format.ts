/** @file `'{}'.format(…)` and `'%s' % …`. */
import { noArguments } from './calls.js'
import { Dict } from './dict.js'
import { TemplateError, unsupported } from './errors.js'
import { floatDigits, formatValue } from './format-spec.js'
import { longBits, reprFloat, reprInt, toFloat, truncate } from './numbers.js'
import { repr, str } from './text.js'
import { escapeCode, lengthOf, sliceText } from './unicode.js'
import { intOf, isList, Range, textOf, Tuple, typeName, Undefined, type Arguments, type Runtime, type Value } from './values.js'

/** `ascii(x)`. */
function asciiOf(value: Value, { meter }: Runtime): string {
  const text = repr(value, meter)
  meter.walk(text.length)
  return text.replace(/[^\0-\x7f]/gu, escapeCode)
}

/** `text.format(…)`, as the sandbox's own formatter does it. */
export function formatFields(text: string, args: Arguments, runtime: Runtime): string {
  return new Formatter((key) => fieldOf(key, args), runtime).format(text, 2)
}

/** `text.format_map(mapping)`. */
export function formatMap(text: string, mapping: Value, runtime: Runtime): string {
  if (!(mapping instanceof Dict)) throw unsupported(`str.format_map of a ${typeName(mapping)}`)
  const lookUp = (key: string | number): Value => {
    if (typeof key === 'number') return fieldOf(key, noArguments)
    return named(mapping, key, runtime)
  }
  return new Formatter(lookUp, runtime).format(text, 2)
}

function fieldOf(key: string | number, { positional, named }: Arguments): Value {
  const value = typeof key === 'number' ? positional[key] : named.get(key)
  if (value === undefined)
    throw new TemplateError(
      typeof key === 'number' ? 'Replacement index out of range for positional args tuple' : `the field '${key}' has no value`,
    )
  return value
}

class Formatter {
  /** The next number of `{}`; 'manual' once numbers are given by hand. */
  private next: number | 'manual' = 0

  constructor(
    private readonly lookUp: (key: string | number) => Value,
    private readonly runtime: Runtime,
  ) {}

  /** @param depth how deep fields may stand in the specifications of fields */
  format(text: string, depth: number): string {
    if (depth < 0) throw new TemplateError('Max string recursion exceeded')
    const { meter } = this.runtime
    meter.walk(text.length)
    let result = ''
    let at = 0
    while (at < text.length) {
      const character = text.charAt(at)
      if (character === '{' && text.charAt(at + 1) !== '{') {
        const end = closing(text, at)
        const field = this.field(text.slice(at + 1, end), depth)
        meter.copy(result.length + field.length)
        meter.read(field.length)
        result += field
        at = end + 1
      } else if (character === '{' || character === '}') {
        if (text.charAt(at + 1) !== character) throw new TemplateError(`Single '${character}' encountered in format string`)
        result += character
        at += 2
      } else {
        result += character
        at++
      }
    }
    return result
  }

  private field(body: string, depth: number): string {
    const match = /^((?:[^[\]!:]|\[[^\]]*\])*)(?:!([^:]*))?(?::(.*))?$/s.exec(body)
    if (match === null) throw new TemplateError(`the format field {${body}} cannot be read`)
    const [, name = '', conversion, spec] = match
    if (/[{}]/.test(name)) throw new TemplateError(`unexpected '{' in field name`)
    const value = this.converted(this.value(name), conversion)
    return formatValue(value, spec === undefined ? '' : this.format(spec, depth - 1), this.runtime.meter)
  }

  private converted(value: Value, conversion: string | undefined): Value {
    switch (conversion) {
      case undefined:
        return value
      case 's':
        return str(value, this.runtime.meter)
      case 'r':
        return repr(value, this.runtime.meter)
      case 'a':
        return asciiOf(value, this.runtime)
      default:
        throw new TemplateError(`Unknown conversion specifier '${conversion}'`)
    }
  }

  /** `0.name[key]`, the number left out or not. */
  private value(path: string): Value {
    const match = /^([^.[]*)((?:\.[^.[]+|\[[^\]]+\])*)$/s.exec(path)
    if (match === null) throw new TemplateError(`the format field {${path}} cannot be read`)
    const [, first = '', rest = ''] = match
    let value = this.lookUp(this.key(first))
    for (const [step, attribute, key] of rest.matchAll(/\.([^.[]+)|\[([^\]]+)\]/gs)) {
      if (attribute !== undefined && step.startsWith('.')) value = this.runtime.attribute(value, attribute)
      else value = this.runtime.item(value, isNumber(key ?? '') ? BigInt(key ?? 0) : (key ?? ''))
    }
    return value
  }

  private key(first: string): string | number {
    if (first !== '' && !isNumber(first)) return first
    const automatic = first === ''
    if (this.next === 'manual' ? automatic : !automatic && this.next > 0)
      throw new TemplateError('cannot switch from manual field specification to automatic field numbering')
    if (!automatic) {
      this.next = 'manual'
      return Number(first)
    }
    const number = this.next as number
    this.next = number + 1
    return number
  }
}

/** Whether a key is an index. @throws TemplateError for one that no sequence reaches */
function isNumber(key: string): boolean {
  if (!/^\d+$/.test(key)) return false
  const digits = key.replace(/^0+(?=.)/, '')
  if (digits.length > 19 || BigInt(digits) >= 2n ** 63n) throw new TemplateError('Too many decimal digits in format string')
  return true
}

/** Where the field that begins at a brace ends; fields may stand in its specification. */
function closing(text: string, start: number): number {
  let depth = 0
  let inBrackets = false
  for (let at = start; at < text.length; at++) {
    const character = text.charAt(at)
    if (character === '[' && depth === 1) inBrackets = true
    else if (character === ']') inBrackets = false
    else if (inBrackets) continue
    else if (character === '{') depth++
    else if (character === '}' && --depth === 0) return at
  }
  throw new TemplateError(`expected '}' before end of string`)
}

const CONVERSION = /%(?:\(((?:[^()]|\([^()]*\))*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?([^])?/gu

/** `text % value`. */
export function percentFormat(text: string, value: Value, runtime: Runtime): string {
  const meter = runtime.meter
  meter.read(text.length)
  const items = value instanceof Tuple ? value.items : [value]
  let used = 0
  let byName = false
  const next = (): Value => {
    const item = items[used++]
    if (item === undefined) throw new TemplateError('not enough arguments for format string')
    return item
  }
  const result = text.replace(CONVERSION, (whole, name: string | undefined, flags: string, width, precision, code?: string) => {
    if (code === undefined) throw new TemplateError('incomplete format')
    if (name !== undefined) {
      if (!(value instanceof Dict)) throw new TemplateError('format requires a mapping')
      byName = true
    }
    const star = (size: string | undefined): number | undefined => {
      if (size !== '*') return size === undefined ? undefined : Number(size)
      const given = intOf(next())
      if (given === undefined) throw new TemplateError('* wants int')
      return Number(given)
    }
    const size = star(width as string | undefined) ?? 0
    const digits = star(precision as string | undefined) ?? (hasPoint(whole, name, flags) ? 0 : undefined)
    if (code === '%' && whole === '%%') return '%'
    const item = name === undefined ? next() : named(value as Dict, name, runtime)
    const left = flags.includes('-') || size < 0
    const body = conversion(code, item, flags, Math.max(0, digits ?? 0), digits !== undefined, runtime)
    const gap = Math.abs(size) - lengthOf(body.head + body.text)
    meter.write(Math.abs(size) + body.text.length)
    if (gap <= 0) return body.head + body.text
    if (left) return body.head + body.text + ' '.repeat(gap)
    return flags.includes('0') && body.numeric ? body.head + '0'.repeat(gap) + body.text : ' '.repeat(gap) + body.head + body.text
  })
  // What can be subscripted may always be a mapping that the format does not use.
  const takesAll = value instanceof Dict || isList(value) || value instanceof Range || value instanceof Undefined
  if (used < items.length && !byName && !takesAll) throw new TemplateError('not all arguments converted during string formatting')
  return result
}

/** Whether a precision was begun: a point behind flags and width. */
const hasPoint = (whole: string, name: string | undefined, flags: string): boolean =>
  /^(?:\*|\d+)?\./.test(whole.slice((name === undefined ? 1 : name.length + 3) + flags.length))

function named(mapping: Dict, name: string, { meter }: Runtime): Value {
  const value = mapping.get(name, meter)
  if (value === undefined) throw new TemplateError(`'${name}'`)
  return value
}

interface Body {
  readonly head: string
  readonly text: string
  readonly numeric: boolean
}

function conversion(code: string, item: Value, flags: string, precision: number, given: boolean, runtime: Runtime): Body {
  const meter = runtime.meter
  if (precision > 2 ** 20) throw new TemplateError(`a format of more than ${2 ** 20} characters`)
  meter.write(precision)
  const words = (text: string): Body => ({ head: '', text: given ? sliceText(text, 0, precision) : text, numeric: false })
  const sign = (negative: boolean): string => (negative ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '')
  switch (code) {
    case 's':
      return words(str(item, meter))
    case 'r':
      return words(repr(item, meter))
    case 'a':
      return words(asciiOf(item, runtime))
    case 'c': {
      const text = textOf(item)
      const whole = intOf(item)
      if (text !== undefined && lengthOf(text) === 1) return { head: '', text, numeric: false }
      if (whole !== undefined && whole >= 0n && whole < 0x110000n && (whole < 0xd800n || whole > 0xdfffn))
        return { head: '', text: String.fromCodePoint(Number(whole)), numeric: false }
      throw new TemplateError('%c requires int or char')
    }
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': {
      const radix = code === 'o' ? 8 : code.toLowerCase() === 'x' ? 16 : 10
      const whole = intOf(item) ?? (typeof item === 'number' && radix === 10 ? truncate(item) : undefined)
      if (whole === undefined) throw wants(code, item, radix === 10 ? 'a real number' : 'an integer')
      const magnitude = whole < 0n ? -whole : whole
      meter.calculate(longBits(magnitude))
      const digits = radix === 10 ? reprInt(magnitude, meter) : magnitude.toString(radix)
      const prefix = flags.includes('#') && radix !== 10 ? (radix === 8 ? '0o' : '0x') : ''
      const text = digits.padStart(precision, '0')
      const shown = code === 'X' ? (prefix + '|' + text).toUpperCase().split('|') : [prefix, text]
      return { head: sign(whole < 0n) + (shown[0] ?? ''), text: shown[1] ?? '', numeric: true }
    }
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': {
      const whole = intOf(item)
      const value = whole === undefined ? item : toFloat(whole)
      if (typeof value !== 'number') throw wants(code, item, 'a real number')
      const negative = (value < 0 || Object.is(value, -0)) && !Number.isNaN(value)
      const spec = { precision: given ? precision : 6, alternate: flags.includes('#') }
      const text = Number.isFinite(value) ? floatDigits(Math.abs(value), code.toLowerCase(), spec) : reprFloat(Math.abs(value))
      return { head: sign(negative), text: code < 'a' ? text.toUpperCase() : text, numeric: true }
    }
    default:
      throw new TemplateError(`unsupported format character '${code}'`)
  }
}

function wants(code: string, item: Value, what: string): TemplateError {
  return item instanceof Undefined
    ? item.error()
    : new TemplateError(`%${code} format: ${what} is required, not ${typeName(item)}`)
}

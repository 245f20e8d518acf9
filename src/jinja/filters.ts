/** @file What may stand behind `|`. */
import { entry, needInt, needText, REQUIRED } from './calls.js'
import { pythonAttribute, getAttribute } from './attributes.js'
import { lengthOfValue, toList, truth } from './compare.js'
import { Dict, DictView } from './dict.js'
import { TemplateError, unsupported } from './errors.js'
import { percentFormat } from './format.js'
import { escapeHtml } from './html.js'
import { toJson } from './json.js'
import * as numbers from './numbers.js'
import { operate } from './operators.js'
import { sequenceFilters } from './sequence-filters.js'
import { centred, replaceText, stringMethods } from './string-methods.js'
import { str } from './text.js'
import * as unicode from './unicode.js'
import {
  Callable,
  intOf,
  Markup,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Arguments,
  type Runtime,
  type Value,
} from './values.js'

/** `soft_str(x)`: the text of it, and whether it was marked. */
function soft(value: Value, runtime: Runtime): { readonly text: string; readonly wrap: (text: string) => Value } {
  const text = str(value, runtime.meter)
  runtime.meter.read(text.length)
  return { text, wrap: (result) => (value instanceof Markup ? new Markup(result) : result) }
}

const escaped = (value: Value, { meter }: Runtime): Markup => new Markup(escapeHtml(str(value, meter), meter))

/** A filter that turns text into text. */
const textual = (name: string, run: (text: string) => string): readonly [string, Callable] =>
  entry(name, { s: REQUIRED }, ([s], runtime) => {
    const { text, wrap } = soft(s as Value, runtime)
    return wrap(run(text))
  })

const refused = (name: string): readonly [string, Callable] => [
  name,
  new Callable(() => {
    throw unsupported(`the filter ${name}`)
  }, 'function'),
]

const WORD_START = new RegExp(`([-${unicode.SPACE}({[<]+)`)

/** Jinja's own `title`, which differs from `str.title`. */
const title = (text: string): string =>
  text
    .split(WORD_START)
    .map((part) => {
      const [first] = part
      return first === undefined ? '' : first.toUpperCase() + part.slice(first.length).toLowerCase()
    })
    .join('')

function indent([s, width, first, blank]: readonly Value[], runtime: Runtime): Value {
  if (s instanceof Markup) throw unsupported('indent of Markup')
  const text = operate('+', s as Value, '\n', runtime) as string
  const unit = textOf(width as Value) ?? ' '.repeat(Math.max(0, Math.min(needInt(width as Value, 'width'), 2 ** 20)))
  runtime.meter.read(text.length)
  const lines = unicode.splitLines(text, false, runtime.meter)
  runtime.meter.write(text.length + lines.length * unit.length)
  const [head = '', ...rest] = lines
  const indented = truth(blank as Value)
    ? rest.map((line) => unit + line)
    : rest.map((line) => (line === '' ? line : unit + line))
  return (truth(first as Value) ? unit : '') + [head, ...indented].join('\n')
}

function truncateText([s, length, killWords, end, leeway]: readonly Value[], runtime: Runtime): Value {
  if (s instanceof Markup) throw unsupported('truncate of Markup')
  const mark = needText(end as Value, 'end')
  const most = needInt(length as Value, 'length')
  const slack = leeway === null ? 5 : needInt(leeway as Value, 'leeway')
  runtime.meter.pass(mark.length)
  const markLength = unicode.lengthOf(mark)
  if (most < markLength) throw new TemplateError(`expected length >= ${markLength}, got ${most}`)
  if (slack < 0) throw new TemplateError(`expected leeway >= 0, got ${slack}`)
  if (lengthOfValue(s as Value, runtime.meter) <= most + slack) return s as Value
  const text = needText(s as Value, 'truncate')
  runtime.meter.read(text.length)
  const head = unicode.sliceText(text, 0, most - markLength)
  if (truth(killWords as Value)) return head + mark
  const space = head.lastIndexOf(' ')
  return (space < 0 ? head : head.slice(0, space)) + mark
}

/** `int(value, default, base)`. */
function toInt([value, fallback, base]: readonly Value[], { meter }: Runtime): Value {
  if (value instanceof Undefined) throw value.error()
  const text = textOf(value as Value)
  if (text !== undefined) {
    const radix = needInt(base as Value, 'base')
    const valid = radix === 0 || (radix >= 2 && radix <= 36)
    const whole = valid ? numbers.parseIntText(text, radix, meter) : undefined
    if (whole !== undefined) return whole
    const number = numbers.parseFloatText(text, meter)
    return number === undefined || !Number.isFinite(number) ? (fallback as Value) : numbers.truncate(number)
  }
  const whole = intOf(value as Value)
  if (whole !== undefined) return whole
  if (typeof value !== 'number' || Number.isNaN(value)) return fallback as Value
  return numbers.truncate(value)
}

function toFloat([value, fallback]: readonly Value[], { meter }: Runtime): Value {
  if (value instanceof Undefined) throw value.error()
  const text = textOf(value as Value)
  if (text !== undefined) return numbers.parseFloatText(text, meter) ?? (fallback as Value)
  const whole = intOf(value as Value)
  return whole !== undefined ? numbers.toFloat(whole) : typeof value === 'number' ? value : (fallback as Value)
}

function round([value, precision, method]: readonly Value[], runtime: Runtime): Value {
  const how = textOf(method as Value)
  if (how !== 'common' && how !== 'ceil' && how !== 'floor') throw new TemplateError('method must be common, ceil or floor')
  if (how === 'common') {
    const whole = intOf(value as Value)
    const given = precision === null ? undefined : BigInt(needInt(precision as Value, 'precision'))
    if (whole !== undefined) return given === undefined ? whole : numbers.roundInt(whole, given)
    if (typeof value !== 'number') {
      if (value instanceof Undefined) throw value.error()
      throw new TemplateError(`type ${typeName(value as Value)} doesn't define __round__ method`)
    }
    if (given === undefined) return numbers.truncate(numbers.roundFloat(value, 0))
    return numbers.roundFloat(value, Number(given))
  }
  const unit = operate('**', 10n, precision as Value, runtime)
  const scaled = operate('*', value as Value, unit, runtime)
  const number = typeof scaled === 'bigint' ? scaled : typeof scaled === 'number' ? scaled : undefined
  if (number === undefined) throw new TemplateError(`must be real number, not ${typeName(scaled)}`)
  const whole = typeof number === 'bigint' ? number : numbers.truncate(how === 'ceil' ? Math.ceil(number) : Math.floor(number))
  return operate('/', whole, unit, runtime)
}

function absolute([value]: readonly Value[]): Value {
  const number = typeof value === 'number' ? value : intOf(value as Value)
  if (number === undefined) throw new TemplateError(`bad operand type for abs(): '${typeName(value as Value)}'`)
  return typeof number === 'number' ? Math.abs(number) : number < 0n ? -number : number
}

function fileSize([value, binary]: readonly Value[], runtime: Runtime): Value {
  const bytes = toFloat([value as Value, null], runtime)
  if (typeof bytes !== 'number') throw new TemplateError(`could not convert ${typeName(value as Value)} to float`)
  const base = truth(binary as Value) ? 1024 : 1000
  if (bytes === 1) return '1 Byte'
  if (bytes < base) return `${numbers.truncate(bytes)} Bytes`
  const letters = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y']
  const at = letters.findIndex((_, i) => bytes < base ** (i + 2))
  const power = at < 0 ? letters.length - 1 : at
  const letter = letters[power] as string
  const unit = base === 1024 ? `${letter.toUpperCase()}iB` : `${letter}B`
  return `${numbers.fixed((base * bytes) / base ** (power + 2), 1)} ${unit}`
}

/** `urllib.parse.quote` of UTF-8. */
function quote(text: string, inQuery: boolean): string {
  const keep = inQuery ? /[A-Za-z0-9_.~ -]/ : /[A-Za-z0-9_.~/-]/
  const quoted = Array.from(new TextEncoder().encode(text), (byte) => {
    const character = String.fromCharCode(byte)
    return keep.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
  return inQuery ? quoted.replaceAll(' ', '+') : quoted
}

function urlEncode([value]: readonly Value[], runtime: Runtime): Value {
  const shown = (part: Value, inQuery: boolean): string => {
    const text = str(part, runtime.meter)
    runtime.meter.walk(text.length * 3)
    return quote(text, inQuery)
  }
  const text = textOf(value as Value)
  const single = text !== undefined || value === null || typeof value !== 'object'
  if (single) return shown(value as Value, false)
  const pairs =
    value instanceof Dict
      ? toList(new DictView(value, 'items'), runtime.meter).map((pair) => (pair as Tuple).items)
      : toList(value as Value, runtime.meter).map((pair) => toList(pair, runtime.meter))
  return pairs
    .map((pair) => {
      if (pair.length !== 2) throw new TemplateError('urlencode takes pairs of a key and a value')
      return pair.map((part) => shown(part, true)).join('=')
    })
    .join('&')
}

function xmlAttributes([d, autospace]: readonly Value[], runtime: Runtime): Value {
  if (!(d instanceof Dict)) throw new TemplateError(`'${typeName(d as Value)}' object has no attribute 'items'`)
  const shown = (value: Value): string => {
    const text = str(value, runtime.meter)
    return value instanceof Markup ? text : escapeHtml(text, runtime.meter)
  }
  const items = Array.from(d.entries()).flatMap(([key, value]) => {
    if (value === null || value instanceof Undefined) return []
    const name = needText(key, 'attribute name')
    runtime.meter.read(name.length)
    if (/[ \t\n\r\f\v/>=]/.test(name)) throw new TemplateError(`Invalid character in attribute name: '${key as string}'`)
    return [`${shown(key)}="${shown(value)}"`]
  })
  runtime.meter.copy(items.reduce((length, item) => length + item.length + 1, 0))
  const text = items.join(' ')
  return truth(autospace as Value) && text !== '' ? ` ${text}` : text
}

function dumps([x, ensureAscii, indentation, separators, sortKeys]: readonly Value[], { meter }: Runtime): Value {
  const spaces = intOf(indentation as Value)
  if (spaces !== undefined && spaces > 1024n) throw new TemplateError('an indent of more than 1024')
  const unit = spaces === undefined ? textOf(indentation as Value) : ' '.repeat(Math.max(0, Number(spaces)))
  if (unit === undefined && indentation !== null) throw new TemplateError(`indent cannot be a ${typeName(indentation as Value)}`)
  const given = separators === null ? [unit === undefined ? ', ' : ',', ': '] : toList(separators as Value, meter)
  if (given.length !== 2) throw new TemplateError('separators must be a pair of texts')
  const [itemSeparator, keySeparator] = given.map((part) => needText(part, 'separators'))
  return toJson(
    x as Value,
    {
      ensureAscii: truth(ensureAscii as Value),
      indent: unit,
      itemSeparator: itemSeparator as string,
      keySeparator: keySeparator as string,
      sortKeys: truth(sortKeys as Value),
    },
    meter,
  )
}

function center([value, width]: readonly Value[], runtime: Runtime): Value {
  const { text, wrap } = soft(value as Value, runtime)
  const size = needInt(width as Value, 'width')
  const gap = size - unicode.lengthOf(text)
  if (gap <= 0) return wrap(text)
  runtime.meter.write(size)
  const [left, right] = centred(gap, size)
  return wrap(' '.repeat(left) + text + ' '.repeat(right))
}

const trim = (values: readonly Value[], runtime: Runtime): Value => {
  const { text, wrap } = soft(values[0] as Value, runtime)
  return wrap(stringMethods['strip']?.run(text, [values[1] as Value], runtime) as string)
}

function formatted(args: Arguments, runtime: Runtime): Value {
  const [value, ...positional] = args.positional
  if (value === undefined) throw new TemplateError("format() missing required argument: 'value'")
  if (positional.length > 0 && args.named.size > 0)
    throw new TemplateError("can't handle positional and keyword arguments at the same time")
  if (value instanceof Markup) throw unsupported('format of Markup')
  const given = args.named.size > 0 ? Dict.named(args.named) : new Tuple(positional)
  return percentFormat(str(value, runtime.meter), given, runtime)
}

/** Every filter of Jinja by name, with `tojson` as transformers has it. */
export const filters: ReadonlyMap<string, Callable> = new Map<string, Callable>([
  textual('upper', (text) => text.toUpperCase()),
  textual('lower', (text) => text.toLowerCase()),
  textual('capitalize', unicode.capitalize),
  entry('title', { s: REQUIRED }, ([s], runtime) => {
    const { text } = soft(s as Value, runtime)
    runtime.meter.walk(text.length)
    return title(text)
  }),
  entry('trim', { value: REQUIRED, chars: null }, trim),
  entry('center', { value: REQUIRED, width: 80n }, center),
  entry('indent', { s: REQUIRED, width: 4n, first: false, blank: false }, indent),
  entry('truncate', { s: REQUIRED, length: 255n, killwords: false, end: '...', leeway: null }, truncateText),
  entry('replace', { s: REQUIRED, old: REQUIRED, new: REQUIRED, count: null }, ([s, old, replacement, count], runtime) => {
    const text = (value: Value): string => str(value, runtime.meter)
    const limit = count === null ? -1 : needInt(count as Value, 'count')
    return replaceText(text(s as Value), text(old as Value), text(replacement as Value), limit, runtime)
  }),
  entry('wordcount', { s: REQUIRED }, ([s], runtime) =>
    BigInt(soft(s as Value, runtime).text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
  ),
  entry('string', { '/s': REQUIRED }, ([s], runtime) =>
    textOf(s as Value) === undefined ? str(s as Value, runtime.meter) : (s as Value),
  ),
  ['format', new Callable(formatted, 'function')],
  entry('int', { value: REQUIRED, default: 0n, base: 10n }, toInt),
  entry('float', { value: REQUIRED, default: 0 }, toFloat),
  entry('round', { value: REQUIRED, precision: 0n, method: 'common' }, round),
  entry('abs', { '/x': REQUIRED }, absolute),
  entry('filesizeformat', { value: REQUIRED, binary: false }, fileSize),
  ...['length', 'count'].map((name) =>
    entry(name, { '/obj': REQUIRED }, ([value], { meter }) => BigInt(lengthOfValue(value as Value, meter))),
  ),
  ...['default', 'd'].map((name) =>
    entry(
      name,
      { value: REQUIRED, default_value: '', boolean: false },
      ([value, fallback, boolean]) =>
        (value instanceof Undefined || (truth(boolean as Value) && !truth(value as Value)) ? fallback : value) as Value,
    ),
  ),
  ...['e', 'escape'].map((name) =>
    entry(name, { '/s': REQUIRED }, ([s], runtime) => (s instanceof Markup ? s : escaped(s as Value, runtime))),
  ),
  entry('forceescape', { value: REQUIRED }, ([s], runtime) => escaped(s as Value, runtime)),
  entry('safe', { value: REQUIRED }, ([s], runtime) => new Markup(soft(s as Value, runtime).text)),
  entry('attr', { obj: REQUIRED, name: REQUIRED }, ([value, name], runtime) => {
    const key = needText(name as Value, 'attribute name')
    runtime.meter.key(key.length)
    const known = value instanceof Undefined || pythonAttribute(value as Value, key) !== undefined
    if (value instanceof Undefined) throw value.error()
    return known
      ? getAttribute(value as Value, key, runtime)
      : new Undefined(`'${typeName(value as Value)} object' has no attribute '${key}'`)
  }),
  entry('urlencode', { value: REQUIRED }, urlEncode),
  entry('xmlattr', { d: REQUIRED, autospace: true }, xmlAttributes),
  entry('tojson', { x: REQUIRED, ensure_ascii: false, indent: null, separators: null, sort_keys: false }, dumps),
  ...sequenceFilters,
  ...['pprint', 'random', 'striptags', 'urlize', 'wordwrap'].map(refused),
])

/** @file The methods of Python's str. */
import { needInt, needText, REQUIRED, type Parameters } from './calls.js'
import { toList } from './compare.js'
import { TemplateError, unsupported } from './errors.js'
import { formatMap } from './format.js'
import type { Meter } from './limits.js'
import { find, occurrences } from './search.js'
import * as unicode from './unicode.js'
import { isList, Markup, textOf, Tuple, typeName, type Runtime, type Value } from './values.js'

/** A method: its parameters, and what it does. */
export interface Method<Self> {
  readonly parameters: Parameters
  run(self: Self, values: readonly Value[], runtime: Runtime): Value
}

type TextMethod = (self: string, values: readonly Value[], runtime: Runtime) => Value

/** A method, charged for a look at its text and at every text that it is given. */
const method = (parameters: Parameters, run: TextMethod): Method<string> => ({
  parameters,
  run(self, values, runtime) {
    for (const text of [self, ...values.map(textOf)]) if (text !== undefined) runtime.meter.read(text.length)
    return run(self, values, runtime)
  },
})
const plain = (run: (self: string) => Value): Method<string> => method({}, run)
/** A method that goes from letter to letter. */
const lettered = (run: (self: string) => Value): Method<string> =>
  method({}, (self, _none, { meter }) => {
    meter.walk(self.length)
    return run(self)
  })

const stripping = (ends: unicode.Ends): Method<string> =>
  method({ '/chars': null }, (self, [given], { meter }) => {
    const characters = given === null ? undefined : needText(given as Value, `${ends} strip argument`)
    if (characters !== undefined) meter.walk(characters.length)
    const kept = unicode.strip(self, characters, ends)
    meter.walk(self.length - kept.length)
    return kept
  })

/** Bounds as `s.find(x, start, end)` takes them: like a slice's. */
function window(
  self: string,
  start: Value,
  end: Value,
): { readonly low: number; readonly high: number; readonly inside: boolean } {
  const length = unicode.lengthOf(self)
  const bound = (value: Value, fallback: number): number => {
    if (value === null) return fallback
    const given = needInt(value, 'slice indices')
    return given < 0 ? Math.max(0, given + length) : given
  }
  const low = bound(start, 0)
  const high = Math.min(bound(end, length), length)
  return { low, high, inside: low <= high }
}

const SEARCH: Parameters = { '/sub': REQUIRED, '/start': null, '/end': null }

const finding = (name: string, last: boolean, strict: boolean): Method<string> =>
  method(SEARCH, (self, [sub, start, end]) => {
    const part = needText(sub as Value, `${name}() argument 1`)
    const { low, high, inside } = window(self, start as Value, end as Value)
    const text = inside ? unicode.sliceText(self, low, high) : ''
    const at = inside ? find(text, part, last) : -1
    if (at >= 0) return BigInt(low + unicode.pointOffset(text, at))
    if (strict) throw new TemplateError('substring not found')
    return -1n
  })

const affix = (name: 'startsWith' | 'endsWith'): Method<string> =>
  method({ '/prefix': REQUIRED, '/start': null, '/end': null }, (self, [prefix, start, end], { meter }) => {
    const options = prefix instanceof Tuple ? prefix.items : [prefix as Value]
    const texts = options.map((option) => {
      const text = textOf(option)
      if (text === undefined)
        throw new TemplateError(`${name.toLowerCase()} first arg must be str or a tuple of str, not ${typeName(option)}`)
      meter.read(text.length)
      return text
    })
    const { low, high, inside } = window(self, start as Value, end as Value)
    const text = start === null && end === null ? self : inside ? unicode.sliceText(self, low, high) : ''
    return inside && texts.some((option) => text[name](option))
  })

function splitting(fromRight: boolean): Method<string> {
  return method({ sep: null, maxsplit: -1n }, (self, [separator, limit], { meter }) => {
    const most = needInt(limit as Value, 'maxsplit')
    if (separator !== null) return splitAt(self, needText(separator as Value, 'sep'), most, fromRight, meter)
    const parts = splitWords(self, most, fromRight)
    meter.items(parts.length)
    return parts
  })
}

function splitAt(text: string, separator: string, most: number, fromRight: boolean, meter: Meter): readonly string[] {
  if (separator === '') throw new TemplateError('empty separator')
  const parts: string[] = []
  let [start, end] = [0, text.length]
  for (const at of occurrences(text, separator, fromRight)) {
    if (most >= 0 && parts.length >= most) break
    meter.step()
    if (fromRight) {
      parts.push(text.slice(at + separator.length, end))
      end = at
    } else {
      parts.push(text.slice(start, at))
      start = at + separator.length
    }
  }
  const rest = text.slice(start, end)
  return fromRight ? [rest, ...parts.reverse()] : [...parts, rest]
}

/** Words between white space; once there are `most` of them the rest stays whole, save for the white space at its outer end. */
function splitWords(text: string, most: number, fromRight: boolean): readonly string[] {
  const all = unicode.words(text)
  if (most < 0 || all.length <= most) return all
  const rest = { start: 0, end: text.length }
  const taken = fromRight ? all.slice(all.length - most) : all.slice(0, most)
  for (const word of fromRight ? [...taken].reverse() : taken) {
    if (fromRight)
      rest.end = text.lastIndexOf(word, unicode.strip(text.slice(0, rest.end), undefined, 'right').length - word.length)
    else rest.start = text.indexOf(word, rest.start) + word.length
  }
  const remaining = unicode.strip(text.slice(rest.start, rest.end), undefined, fromRight ? 'right' : 'left')
  return fromRight ? [remaining, ...taken] : [...taken, remaining]
}

function padding(place: (gap: number, width: number) => readonly [left: number, right: number]): Method<string> {
  return method({ '/width': REQUIRED, '/fillchar': ' ' }, (self, [width, fill], runtime) => {
    const size = needInt(width as Value, 'width')
    const character = needText(fill as Value, 'The fill character')
    if (unicode.lengthOf(character) !== 1) throw new TemplateError('The fill character must be exactly one character long')
    const gap = size - unicode.lengthOf(self)
    if (gap <= 0) return self
    runtime.meter.write(size * character.length)
    const [left, right] = place(gap, size)
    return character.repeat(left) + self + character.repeat(right)
  })
}

/** The odd blank of centred text goes left or right as CPython's `pad` puts it. */
export const centred = (gap: number, width: number): readonly [left: number, right: number] => {
  const left = Math.floor(gap / 2) + (gap & width & 1)
  return [left, gap - left]
}

function partitioning(fromRight: boolean): Method<string> {
  return method({ '/sep': REQUIRED }, (self, [separator]) => {
    const sep = needText(separator as Value, 'separator')
    if (sep === '') throw new TemplateError('empty separator')
    const at = find(self, sep, fromRight)
    if (at >= 0) return new Tuple([self.slice(0, at), sep, self.slice(at + sep.length)])
    return new Tuple(fromRight ? ['', '', self] : [self, '', ''])
  })
}

/** `s.replace(old, new, count)`; a negative count means all. */
export function replaceText(text: string, old: string, replacement: string, count: number, { meter }: Runtime): string {
  meter.read(text.length + old.length + replacement.length)
  const between: string[] = []
  let start = 0
  for (const at of old === '' ? borders(text) : occurrences(text, old)) {
    if (count >= 0 && between.length >= count) break
    meter.walk(1)
    between.push(text.slice(start, at))
    start = at + old.length
  }
  meter.write(text.length + between.length * (replacement.length - old.length))
  return [...between, text.slice(start)].join(replacement)
}

/** Where code points begin, and where the last one ends. */
function* borders(text: string): Generator<number, void> {
  let at = 0
  yield at
  for (const point of text) yield (at += point.length)
}

function join(self: string, items: Value, runtime: Runtime): string {
  const texts = toList(items, runtime.meter).map((item, index) => {
    const text = textOf(item)
    if (text === undefined) throw new TemplateError(`sequence item ${index}: expected str instance, ${typeName(item)} found`)
    return text
  })
  runtime.meter.write(texts.reduce((sum, text) => sum + text.length + self.length, 0))
  return texts.join(self)
}

function expandTabs(self: string, size: number, runtime: Runtime): string {
  let column = 0
  let result = ''
  runtime.meter.walk(self.length)
  for (const point of self) {
    if (point === '\t') {
      const gap = size > 0 ? size - (column % size) : 0
      runtime.meter.text(result.length + gap)
      runtime.meter.read(gap)
      result += ' '.repeat(gap)
      column += gap
    } else {
      result += point
      column = point === '\n' || point === '\r' ? 0 : column + 1
    }
  }
  return result
}

function zeroFill(self: string, width: number, runtime: Runtime): string {
  const gap = width - unicode.lengthOf(self)
  if (gap <= 0) return self
  runtime.meter.write(width)
  const sign = /^[+-]/.test(self) ? self.charAt(0) : ''
  return sign + '0'.repeat(gap) + self.slice(sign.length)
}

/** Methods that Python has, and whose bytes and tables nobody prints. */
export const refusedStringMethods: ReadonlySet<string> = new Set(['encode', 'translate', 'maketrans'])

/** Methods by name. */
export const stringMethods: Readonly<Record<string, Method<string>>> = {
  strip: stripping('both'),
  lstrip: stripping('left'),
  rstrip: stripping('right'),
  split: splitting(false),
  rsplit: splitting(true),
  splitlines: method({ keepends: false }, (self, [keep], { meter }) =>
    unicode.splitLines(self, needInt(keep as Value, 'keepends') !== 0, meter),
  ),
  partition: partitioning(false),
  rpartition: partitioning(true),
  find: finding('find', false, false),
  rfind: finding('rfind', true, false),
  index: finding('index', false, true),
  rindex: finding('rindex', true, true),
  count: method(SEARCH, (self, [sub, start, end]) => {
    const part = needText(sub as Value, 'count() argument 1')
    const { low, high, inside } = window(self, start as Value, end as Value)
    if (!inside) return 0n
    const text = unicode.sliceText(self, low, high)
    if (part === '') return BigInt(unicode.lengthOf(text) + 1)
    let count = 0n
    for (const _ of occurrences(text, part)) count++
    return count
  }),
  startswith: affix('startsWith'),
  endswith: affix('endsWith'),
  removeprefix: method({ '/prefix': REQUIRED }, (self, [prefix]) => {
    const text = needText(prefix as Value, 'removeprefix() argument')
    return self.startsWith(text) ? self.slice(text.length) : self
  }),
  removesuffix: method({ '/suffix': REQUIRED }, (self, [suffix]) => {
    const text = needText(suffix as Value, 'removesuffix() argument')
    return text !== '' && self.endsWith(text) ? self.slice(0, -text.length) : self
  }),
  replace: method({ '/old': REQUIRED, '/new': REQUIRED, '/count': -1n }, (self, [old, replacement, count], runtime) =>
    replaceText(
      self,
      needText(old as Value, 'replace() argument 1'),
      needText(replacement as Value, 'replace() argument 2'),
      needInt(count as Value),
      runtime,
    ),
  ),
  join: method({ '/iterable': REQUIRED }, (self, [items], runtime) => join(self, items as Value, runtime)),
  upper: plain((self) => self.toUpperCase()),
  lower: plain((self) => self.toLowerCase()),
  casefold: plain((self) => {
    if (!unicode.isAscii(self)) throw unsupported('str.casefold of letters outside ASCII')
    return self.toLowerCase()
  }),
  title: lettered(unicode.titleWords),
  capitalize: plain(unicode.capitalize),
  swapcase: lettered(unicode.swapCase),
  center: padding(centred),
  ljust: padding((gap) => [0, gap]),
  rjust: padding((gap) => [gap, 0]),
  zfill: method({ '/width': REQUIRED }, (self, [width], runtime) => zeroFill(self, needInt(width as Value), runtime)),
  expandtabs: method({ tabsize: 8n }, (self, [size], runtime) => expandTabs(self, needInt(size as Value), runtime)),
  isalpha: plain(unicode.isAlpha),
  isalnum: plain(unicode.isAlnum),
  isdecimal: plain(unicode.isDecimal),
  isdigit: plain(unicode.isDigit),
  isnumeric: plain(unicode.isNumeric),
  isspace: plain(unicode.isSpace),
  islower: plain(unicode.isLower),
  isupper: plain(unicode.isUpper),
  istitle: lettered(unicode.isTitle),
  isascii: plain(unicode.isAscii),
  isprintable: plain(unicode.isPrintable),
  isidentifier: plain(unicode.isIdentifier),
  format_map: method({ '/mapping': REQUIRED }, (self, [mapping], runtime) => formatMap(self, mapping as Value, runtime)),
}

/** Methods that give marked text for marked text, and take no text that would have to be escaped. */
const MARKED = new Set(
  'strip lstrip rstrip split rsplit splitlines upper lower casefold title capitalize swapcase zfill expandtabs'.split(' '),
)
/** Methods whose answer is no text. */
const ASKING = /^(find|rfind|index|rindex|count|startswith|endswith|is[a-z]+)$/

/** What a method of marked text gives. @throws TemplateError for those that would have to escape their arguments */
export function markedMethod(name: string, run: () => Value): Value {
  if (!MARKED.has(name) && !ASKING.test(name)) throw unsupported(`Markup.${name}`)
  const result = run()
  if (typeof result === 'string') return new Markup(result)
  return isList(result) ? result.map((part) => (typeof part === 'string' ? new Markup(part) : part)) : result
}

/** @file Normalizers of tokenizer.json: a text as the model's vocabulary spells it. */
import { asByteCharacters } from './bytes.js'
import { byType, type Component } from './json.js'
import { normalForm, type NormalForm } from './normal-forms.js'
import type { Cutter } from './pattern/pattern.js'
import { CharacterMap } from './precompiled.js'
import { clusterEnds } from './graphemes.js'
import { eachPoint, pointwise, rewriteTraced, sliceTraced, type Rewrite, type Traced } from './traced.js'
import { CodePoints, lowerOf, setNamed, whiteSpace } from './unicode/code-points.js'

export interface Normalizer {
  normalize(text: string): string
  /** Whether the first character of a text's normal form stands for the first of the text. */
  keepsStart(text: string): boolean
  /** The same of a text that remembers where it comes from, as far as that can be told: the text may then be another. */
  trace(text: Traced): Traced
}

/** @throws InvalidDataError naming a type that is not known, or a field that is wrong */
export function createNormalizer(component: Component): Normalizer {
  return byType(component, 'normalizer', makers)
}

const makers: Readonly<Record<string, (component: Component) => Normalizer>> = {
  Sequence: (c) => sequence(c.parts('normalizers').map(createNormalizer)),
  BertNormalizer: bert,
  Strip: strip,
  StripAccents: () => filter(setNamed('rust_combining')),
  NFC: () => form('NFC'),
  NFD: () => form('NFD'),
  NFKC: () => form('NFKC'),
  NFKD: () => form('NFKD'),
  Lowercase: () => keeping(lower),
  Nmt: () => sequence([filter(nmtControls), keeping(nmtSpaces)]),
  Precompiled: (c) => {
    const map = CharacterMap.read(c)
    return keeping(
      (text) => map.normalize(text),
      (text) => byStretches(text, clustersOf(text.text), (part) => map.normalize(part)),
    )
  },
  Replace: (c) => replace(c.pattern('pattern'), c.text('content')),
  Prepend: (c) => {
    const before = c.text('prepend')
    return keeping(
      (text) => (text === '' ? text : before + text),
      (text) => rewriteTraced(text, text.text === '' ? [] : [{ start: 0, end: 0, text: before }, ...asItIs(text.text)]),
    )
  },
  ByteLevel: () => keeping(asByteCharacters),
}

/** @param trace as `normalize`; each character by itself by default */
const keeping = (
  normalize: (text: string) => string,
  trace: (text: Traced) => Traced = (text) => pointwise(text, normalize),
): Normalizer => ({ normalize, keepsStart: () => true, trace })

/**
 * Each stretch of a text, one behind the other, as a function makes it; character by character where that comes to the same.
 * Else all that is made of a stretch stands for all of it.
 */
function byStretches(from: Traced, stretches: readonly string[], map: (text: string) => string): Traced {
  let start = 0
  const rewrites = stretches.flatMap((stretch) => {
    const points = [...stretch]
    const parts = points.map(map).join('') === map(stretch) ? points : [stretch]
    return parts.map((part): Rewrite => ({ start, end: (start += part.length), text: map(part) }))
  })
  return rewriteTraced(from, rewrites)
}

/** What is seen as one character. */
function clustersOf(text: string): string[] {
  let start = 0
  return Array.from(clusterEnds(text), (end) => text.slice(start, (start = end)))
}

function asItIs(text: string, offset = 0): Rewrite[] {
  const rewrites: Rewrite[] = []
  eachPoint(text, (start, end) => rewrites.push({ start: offset + start, end: offset + end, text: text.slice(start, end) }))
  return rewrites
}

/** Stretches of a text whose normal forms, one behind the other, are that of the text: marks go with what they stand on. */
function normalStretches(text: string, normalize: (text: string) => string): string[] {
  const stretches: string[] = []
  for (const point of text) {
    const last = stretches.at(-1)
    const joins = last !== undefined && (MARK.test(point) || normalize(last + point) !== normalize(last) + normalize(point))
    if (joins) stretches[stretches.length - 1] = last + point
    else stretches.push(point)
  }
  return stretches
}

const MARK = /\p{M}/u

function form(name: NormalForm): Normalizer {
  const normalize = (text: string): string => normalForm(text, name)
  return keeping(normalize, (text) =>
    // Most texts are normal: each character stays where it is.
    normalize(text.text) === text.text ? text : byStretches(text, normalStretches(text.text, normalize), normalize),
  )
}

const sequence = (parts: readonly Normalizer[]): Normalizer => ({
  normalize: (text) => parts.reduce((done, part) => part.normalize(done), text),
  trace: (text) => parts.reduce((done, part) => part.trace(done), text),
  keepsStart: (text) => {
    let current = text
    for (const part of parts) {
      if (!part.keepsStart(current)) return false
      current = part.normalize(current)
    }
    return true
  },
})

/** A text with each character as a function makes it. */
function mapCharacters(text: string, map: (point: number) => string | undefined): string {
  let out = ''
  let done = 0
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at)!
    const end = at + (point > 0xffff ? 2 : 1)
    const mapped = map(point)
    if (mapped !== undefined) {
      out += text.slice(done, at) + mapped
      done = end
    }
    at = end
  }
  return done === 0 ? text : out + text.slice(done)
}

const without = (set: CodePoints, text: string): string => mapCharacters(text, (point) => (set.has(point) ? '' : undefined))

const filter = (set: CodePoints): Normalizer => ({
  normalize: (text) => without(set, text),
  keepsStart: (text) => !set.has(text.codePointAt(0) ?? 0),
  trace: (text) => pointwise(text, (character) => without(set, character)),
})

/** Lower case, character by character: JavaScript's own looks at the neighbours of a Greek sigma. */
const lower = (text: string): string =>
  mapCharacters(text, (point) => {
    if (point === 0x130) return 'i\u0307'
    const mapped = lowerOf(point)
    return mapped === point ? undefined : String.fromCodePoint(mapped)
  })

const nmtControls = CodePoints.of([0x01, 0x08], 0x0b, [0x0e, 0x1f], 0x7f, 0x8f, 0x9f)
const nmtBlank = CodePoints.of([0x09, 0x0a], [0x0c, 0x0d], 0x1680, [0x200b, 0x200f], [0x2028, 0x2029], 0x2581, 0xfeff, 0xfffd)
const nmtSpaces = (text: string): string => mapCharacters(text, (point) => (nmtBlank.has(point) ? ' ' : undefined))

const chinese = CodePoints.of(
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xf900, 0xfaff],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0x2f800, 0x2fa1f],
)

function bert(c: Component): Normalizer {
  const lowercase = c.flag('lowercase')
  const steps: Normalizer[] = []
  if (c.flag('clean_text')) {
    steps.push(filter(setNamed('rust_other')))
    steps.push(keeping((text) => mapCharacters(text, (point) => (point !== 0x20 && whiteSpace.has(point) ? ' ' : undefined))))
  }
  if (c.flag('handle_chinese_chars'))
    steps.push(
      keeping((text) => mapCharacters(text, (point) => (chinese.has(point) ? ` ${String.fromCodePoint(point)} ` : undefined))),
    )
  if (c.has('strip_accents') ? c.flag('strip_accents') : lowercase) steps.push(form('NFD'), filter(setNamed('rust_nonspacing')))
  if (lowercase) steps.push(keeping(lower))
  return sequence(steps)
}

function strip(c: Component): Normalizer {
  const left = c.flag('strip_left')
  const right = c.flag('strip_right')
  const kept = (text: string): [number, number] => {
    let [start, end] = [0, text.length]
    // White space lies in the basic plane: one unit each.
    if (left) while (start < end && whiteSpace.has(text.charCodeAt(start))) start++
    if (right) while (end > start && whiteSpace.has(text.charCodeAt(end - 1))) end--
    return [start, end]
  }
  return {
    normalize: (text) => text.slice(...kept(text)),
    keepsStart: (text) => !left || !whiteSpace.has(text.charCodeAt(0)),
    trace: (text) => sliceTraced(text, ...kept(text.text)),
  }
}

function replace(cutter: Cutter, content: string): Normalizer {
  return {
    normalize: (text) => (text === '' ? text : replaceIn(text, cutter, content)),
    trace: (text) =>
      rewriteTraced(
        text,
        (text.text === '' ? [] : cutter.cut(text.text)).flatMap(({ start, end, matches }) =>
          // The replacement stands for the last character of what it replaces.
          matches ? [{ start: Math.max(start, end - 1), end, text: content }] : asItIs(text.text.slice(start, end), start),
        ),
      ),
    keepsStart: (text) => {
      const first = cutter.cut(text)[0]
      if (first === undefined || !first.matches) return true
      // The replacement stands for the last character of what it replaces.
      return first.end === 0 || (content !== '' && [...text.slice(0, first.end)].length === 1)
    },
  }
}

/** A text with what matches replaced. */
export function replaceIn(text: string, cutter: Cutter, content: string): string {
  let out = ''
  for (const { start, end, matches } of cutter.cut(text)) out += matches ? content : text.slice(start, end)
  return out
}

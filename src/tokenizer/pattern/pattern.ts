/** @file Patterns of Oniguruma as patterns of JavaScript: the same matches, independent of the engine's Unicode tables. */
import { InvalidDataError } from '../../errors.js'
import type { CodePoints } from '../unicode/code-points.js'
import { word } from '../unicode/code-points.js'
import { foldLetter, foldSet, isLongCase, singlesOf } from './fold.js'
import { parsePattern, UnsupportedPattern, type Anchor, type PatternNode } from './syntax.js'

export { UnsupportedPattern } from './syntax.js'

/** A stretch of a text, and whether the pattern matches it. */
export interface Stretch {
  readonly start: number
  readonly end: number
  readonly matches: boolean
}

/** Whatever cuts a text into what matches and what lies between. */
export interface Cutter {
  cut(text: string): Stretch[]
}

const wordClass = (): string => word().toClass()

/** Lines end at a newline alone, and an empty last line has no beginning, as in Oniguruma. */
const anchors: Readonly<Record<Anchor, () => string>> = {
  lineStart: () => '(?:(?<![\\s\\S])|(?<=\\n)(?=[\\s\\S]))',
  lineEnd: () => '(?![^\\n])',
  textStart: () => '(?<![\\s\\S])',
  textEnd: () => '(?![\\s\\S])',
  textEndOrNewline: () => '(?=\\n?(?![\\s\\S]))',
  border: () => `(?:(?<=${wordClass()})(?!${wordClass()})|(?<!${wordClass()})(?=${wordClass()}))`,
  noBorder: () => `(?:(?<=${wordClass()})(?=${wordClass()})|(?<!${wordClass()})(?!${wordClass()}))`,
}

/**
 * Source of a JavaScript pattern (flag `u`) with the same matches.
 * @throws UnsupportedPattern naming what is not supported
 */
export function translatePattern(source: string): string {
  return new Translator().translate(parsePattern(source))
}

class Translator {
  private atomics = 0
  /** Groups whose text is known wherever what follows is tried. */
  private readonly certain = new Set<number>()

  translate(node: PatternNode): string {
    return this.emit(node, { certain: true, behind: false })
  }

  private emit(node: PatternNode, place: { readonly certain: boolean; readonly behind: boolean }): string {
    const refuse = (what: string): never => {
      throw new UnsupportedPattern(what)
    }
    switch (node.kind) {
      case 'literal':
        return node.folds ? classOf(foldLetter(node.point, refuse)) : literal(node.point)
      case 'set':
        return classOf(node.folds ? foldSet(node.set, refuse) : node.set)
      case 'sequence': {
        let out = ''
        for (let i = 0; i < node.parts.length; i++) {
          const part = node.parts[i]!
          const long = longCaseAt(node.parts, i)
          if (long === undefined) out += this.emit(part, place)
          else {
            const single = singlesOf(...long)
            // Where two such pairs share a letter (ffi), or in a lookbehind, Oniguruma has rules of its own.
            if (single === undefined || place.behind || longCaseAt(node.parts, i + 1) !== undefined)
              refuse(`"${String.fromCodePoint(...long)}" where case is ignored, which matches a single letter, too,`)
            else out += `(?:${this.emit(part, place)}${this.emit(node.parts[++i]!, place)}|${classOf(single)})`
          }
        }
        return out
      }
      case 'choice':
        return `(?:${node.options.map((option) => this.emit(option, { ...place, certain: false })).join('|')})`
      case 'capture': {
        const body = this.emit(node.body, place)
        if (place.certain) this.certain.add(node.index)
        return `(?<g${node.index}>${body})`
      }
      case 'atomic': {
        if (place.behind) refuse('an atomic group within a lookbehind')
        // What a lookahead has matched is not tried otherwise again; the reference then passes over it.
        const name = `a${++this.atomics}`
        return `(?:(?=(?<${name}>${this.emit(node.body, place)}))\\k<${name}>)`
      }
      case 'look':
        return `(?${node.behind ? '<' : ''}${node.negative ? '!' : '='}${this.emit(node.body, {
          certain: false,
          behind: place.behind || node.behind,
        })})`
      case 'repeat': {
        const body = this.emit(node.body, { ...place, certain: place.certain && node.min > 0 })
        return `(?:${body})${quantifier(node.min, node.max)}${node.lazy ? '?' : ''}`
      }
      case 'anchor':
        return anchors[node.anchor]()
      case 'back':
        if (node.folds) refuse('a reference to a group where case is ignored')
        if (place.behind) refuse('a reference to a group within a lookbehind')
        // A group without text is matched by JavaScript's references, and by none of Oniguruma's.
        if (!this.certain.has(node.index)) refuse(`a reference to group ${node.index}, which may have no text,`)
        return `(?:\\k<g${node.index}>)`
    }
  }
}

/** The letter at a place and the next, where case is ignored and the two match a single letter, too. */
function longCaseAt(parts: readonly PatternNode[], index: number): readonly [number, number] | undefined {
  const [part, next] = [parts[index], parts[index + 1]]
  if (part?.kind !== 'literal' || !part.folds || next?.kind !== 'literal' || !next.folds) return undefined
  return isLongCase(part.point, next.point) ? [part.point, next.point] : undefined
}

function quantifier(min: number, max: number): string {
  if (min === 0 && max === Infinity) return '*'
  if (min === 1 && max === Infinity) return '+'
  if (min === 0 && max === 1) return '?'
  return max === Infinity ? `{${min},}` : min === max ? `{${min}}` : `{${min},${max}}`
}

const literal = (point: number): string => {
  const char = String.fromCodePoint(point)
  return /[\p{L}\p{N}]/u.test(char) && point < 0x80 ? char : `\\u{${point.toString(16)}}`
}

/** An empty set matches nothing. */
const classOf = (set: CodePoints): string => (set.isEmpty ? '(?!)' : set.toClass())

/** A pattern that cuts texts. */
export class Pattern implements Cutter {
  private readonly expression: RegExp

  /** @throws UnsupportedPattern naming what is not supported */
  constructor(readonly source: string) {
    const translated = translatePattern(source)
    try {
      this.expression = new RegExp(translated, 'gu')
    } catch (cause) {
      throw new UnsupportedPattern(`a construct that JavaScript has no pattern for (${(cause as Error).message})`)
    }
  }

  /**
   * Matches from left to right, and what lies between them.
   * @throws InvalidDataError if a match has more characters than a pattern of JavaScript can go back over: some millions
   */
  cut(text: string): Stretch[] {
    const found: Stretch[] = []
    let done = 0
    let searched = 0
    let lastEnd = -1
    while (searched <= text.length) {
      this.expression.lastIndex = searched
      const match = this.search(text)
      if (match === null) break
      const start = match.index
      const end = start + match[0].length
      if (start > 0 && isHighSurrogate(text, start - 1) && (text.charCodeAt(start) & 0xfc00) === 0xdc00) {
        // V8 finds matches of nothing within a character, too.
        searched = start + 1
        continue
      }
      if (end === start && lastEnd === end) {
        // Nothing, right behind a match: from the next character on.
        searched = end + (isHighSurrogate(text, end) ? 2 : 1)
        continue
      }
      if (done !== start) found.push({ start: done, end: start, matches: false })
      found.push({ start, end, matches: true })
      done = searched = lastEnd = end
    }
    if (done !== text.length) found.push({ start: done, end: text.length, matches: false })
    return found
  }

  private search(text: string): RegExpExecArray | null {
    const from = this.expression.lastIndex
    try {
      return this.expression.exec(text)
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause
      const shown = JSON.stringify(text.slice(from, from + 20))
      throw new InvalidDataError(
        `the run of text that begins with ${shown} is too long for the tokenizer's pattern; break it by white space, or cut the text into several.`,
        { cause },
      )
    }
  }
}

const isHighSurrogate = (text: string, at: number): boolean => (text.charCodeAt(at) & 0xfc00) === 0xd800

/** A fixed text that cuts texts; an empty one matches as an empty pattern does. */
export class FixedText implements Cutter {
  private readonly empty: Pattern | undefined

  constructor(private readonly content: string) {
    if (content === '') this.empty = new Pattern('')
  }

  cut(text: string): Stretch[] {
    if (this.empty !== undefined) return this.empty.cut(text)
    const found: Stretch[] = []
    let done = 0
    for (let at = text.indexOf(this.content); at >= 0; at = text.indexOf(this.content, done)) {
      if (at > done) found.push({ start: done, end: at, matches: false })
      done = at + this.content.length
      found.push({ start: at, end: done, matches: true })
    }
    if (done < text.length) found.push({ start: done, end: text.length, matches: false })
    return found
  }
}

/** Characters of a set, each a match of its own. */
export class EachOf implements Cutter {
  constructor(private readonly set: { has(point: number): boolean }) {}

  cut(text: string): Stretch[] {
    const found: Stretch[] = []
    let done = 0
    for (let at = 0; at < text.length;) {
      const point = text.codePointAt(at)!
      const end = at + (point > 0xffff ? 2 : 1)
      if (this.set.has(point)) {
        if (done < at) found.push({ start: done, end: at, matches: false })
        found.push({ start: at, end, matches: true })
        done = end
      }
      at = end
    }
    if (done < text.length) found.push({ start: done, end: text.length, matches: false })
    return found
  }
}

/** The same stretches, with what matches and what does not changed over. */
export class Inverted implements Cutter {
  constructor(private readonly inner: Cutter) {}

  cut(text: string): Stretch[] {
    return this.inner.cut(text).map(({ start, end, matches }) => ({ start, end, matches: !matches }))
  }
}

export const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const
export type Behavior = (typeof behaviors)[number]

/** Stretches as pieces: what becomes of those that match. */
export function piecesOf(stretches: readonly Stretch[], behavior: Behavior): { start: number; end: number }[] {
  switch (behavior) {
    case 'Removed':
      return stretches.filter(({ matches }) => !matches)
    case 'Isolated':
      return [...stretches]
    case 'Contiguous':
      return join(stretches, (matches, before) => matches === before)
    case 'MergedWithPrevious':
      return join(stretches, (matches, before) => matches && !before)
    case 'MergedWithNext':
      return join([...stretches].reverse(), (matches, before) => matches && !before).reverse()
  }
}

/** Joins each stretch with the one before it where `joins` says so; before the first stands one that does not match. */
function join(
  stretches: readonly Stretch[],
  joins: (matches: boolean, before: boolean) => boolean,
): { start: number; end: number }[] {
  const pieces: { start: number; end: number }[] = []
  let before = false
  for (const { start, end, matches } of stretches) {
    const last = pieces.at(-1)
    if (last !== undefined && joins(matches, before)) {
      last.start = Math.min(last.start, start)
      last.end = Math.max(last.end, end)
    } else pieces.push({ start, end })
    before = matches
  }
  return pieces
}

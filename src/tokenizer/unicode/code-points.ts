/** @file Sets of code points: members, complements, and as a class of a JavaScript pattern. */
import { lowerCase, scriptGroups, scripts, sets } from './tables.js'

/** One more than the last code point. */
const END = 0x110000

/** Rows of tables as long as this are read by bits: the planes that texts are written in. */
const DENSE = 0x20000

export class CodePoints {
  private bits: Uint8Array | undefined

  /** @param borders in from the first on, out from the second on, and so forth; ascending */
  constructor(readonly borders: readonly number[]) {}

  static of(...ranges: (number | readonly [number, number])[]): CodePoints {
    return ranges
      .map((range) => new CodePoints(typeof range === 'number' ? [range, range + 1] : [range[0], range[1] + 1]))
      .reduce((all, one) => all.or(one), new CodePoints([]))
  }

  has(point: number): boolean {
    if (point < DENSE) {
      this.bits ??= this.dense()
      return this.bits[point] === 1
    }
    return this.inside(point)
  }

  or(other: CodePoints): CodePoints {
    return this.combine(other, (a, b) => a || b)
  }

  and(other: CodePoints): CodePoints {
    return this.combine(other, (a, b) => a && b)
  }

  minus(other: CodePoints): CodePoints {
    return this.combine(other, (a, b) => a && !b)
  }

  not(): CodePoints {
    return new CodePoints([0, END]).minus(this)
  }

  get isEmpty(): boolean {
    return this.borders.length === 0
  }

  /** First and last of each range. */
  *ranges(): Generator<readonly [number, number]> {
    for (let i = 0; i < this.borders.length; i += 2) yield [this.borders[i]!, (this.borders[i + 1] ?? END) - 1]
  }

  /** The set as a class of a pattern with the flag `u`; lone surrogates, which no text of ours holds, are left out. */
  toClass(): string {
    const escape = (point: number): string => `\\u{${point.toString(16)}}`
    const parts = [...this.ranges()].map(([first, last]) => (first === last ? escape(first) : `${escape(first)}-${escape(last)}`))
    return `[${parts.join('')}]`
  }

  private inside(point: number): boolean {
    let low = 0
    let high = this.borders.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.borders[middle]! <= point) low = middle + 1
      else high = middle
    }
    return low % 2 === 1
  }

  private dense(): Uint8Array {
    const bits = new Uint8Array(DENSE)
    for (const [first, last] of this.ranges()) if (first < DENSE) bits.fill(1, first, Math.min(DENSE, last + 1))
    return bits
  }

  private combine(other: CodePoints, member: (a: boolean, b: boolean) => boolean): CodePoints {
    const borders: number[] = []
    const [left, right] = [this.borders, other.borders]
    let [i, j, now] = [0, 0, false]
    while (i < left.length || j < right.length) {
      const at = Math.min(left[i] ?? END, right[j] ?? END)
      if (at >= END) break
      while (left[i] === at) i++
      while (right[j] === at) j++
      const next = member(i % 2 === 1, j % 2 === 1)
      if (next !== now) borders.push(at)
      now = next
    }
    if (now) borders.push(END)
    return new CodePoints(borders)
  }
}

/** Reads borders as the tables write them. */
function read(distances: string): CodePoints {
  let at = 0
  return new CodePoints(distances.split(' ').map((digits) => (at += parseInt(digits, 36))))
}

const cache = new Map<string, CodePoints>()

function cached(name: string, make: () => CodePoints): CodePoints {
  let found = cache.get(name)
  if (found === undefined) cache.set(name, (found = make()))
  return found
}

export type SetName = keyof typeof sets

/** A set of the tables. */
export const setNamed = (name: SetName): CodePoints => cached(name, () => read(sets[name]))

/** Characters of one script, or undefined if it is not known. */
export function scriptNamed(name: string): CodePoints | undefined {
  const distances = scripts[name]
  return distances === undefined ? undefined : cached(`script ${name}`, () => read(distances))
}

export const scriptNames = (): string[] => Object.keys(scripts)

/** Characters with one of these general categories: `Lu`, or `L` for all that begin so. */
export function categories(...prefixes: readonly string[]): CodePoints {
  return cached(`categories ${prefixes.join()}`, () =>
    (Object.keys(sets) as SetName[])
      .filter((name) => name.length === 2 && prefixes.some((prefix) => name.startsWith(prefix)))
      .map(setNamed)
      .reduce((all, one) => all.or(one), new CodePoints([])),
  )
}

/** The property White_Space, which no version of Unicode will change. */
export const whiteSpace = CodePoints.of(
  [0x09, 0x0d],
  0x20,
  0x85,
  0xa0,
  0x1680,
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  0x202f,
  0x205f,
  0x3000,
)

/** What Oniguruma takes for a character of a word within brackets. */
export const wordInBrackets = (): CodePoints => cached('word', () => setNamed('Alphabetic').or(categories('M', 'Nd', 'Pc')))

/** What Oniguruma takes for a character of a word outside of brackets: some fractions and superscripts, too. */
export const word = (): CodePoints =>
  cached('word outside', () => wordInBrackets().or(CodePoints.of([0xb2, 0xb3], 0xb9, [0xbc, 0xbe])))

/** What Rust's patterns take for a character of a word: joiners, too. */
export const rustWord = (): CodePoints => cached('word of Rust', () => wordInBrackets().or(CodePoints.of([0x200c, 0x200d])))

/** For the pre-tokenizer UnicodeScripts: what it takes for one script each. */
export const groupsOfScripts = (): CodePoints[] => scriptGroups.map((distances, i) => cached(`group ${i}`, () => read(distances)))

let lower: Map<number, number> | undefined

/** Lower case of one code point as Rust has it, without regard to its neighbours; U+0130, which becomes two, aside. */
export function lowerOf(point: number): number {
  if (lower === undefined) {
    lower = new Map()
    const numbers = lowerCase.split(' ').map(Number)
    for (let i = 0; i < numbers.length; i += 4) {
      const [first, last, step, distance] = numbers.slice(i, i + 4) as [number, number, number, number]
      for (let at = first; at <= last; at += step) lower.set(at, at + distance)
    }
  }
  return lower.get(point) ?? point
}

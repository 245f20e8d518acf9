/**
 * @file JSON as Python reads it: 1.0 is not 1, and integers have no largest.
 *
 * JavaScript has one kind of number, so that `JSON.parse` forgets what a chat template prints. Here a number that was
 * written as a float (with a point or an exponent, as Python's `json` tells them apart) and is whole comes as a
 * {@link PythonFloat}, an integer beyond 2⁵³ as a `bigint`; all else is as `JSON.parse` gives it.
 */
import { PythonFloat } from './python-json.js'

const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/y
const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y
const SPACE = /[ \t\n\r]*/y
const WORD = /true|false|null/y
/** What the words of JSON mean. */
const words: Readonly<Record<string, unknown>> = { true: true, false: false, null: null }

/** Numbers outside of strings that `JSON.parse` changes: with a point, an exponent, or more than 15 digits. */
const CHANGED = /"[^"\\]*(?:\\.[^"\\]*)*"|(-?\d+(?:\.|[eE])|\d{16})/g

/** Brackets inside each other; Python's `json` gives up at about a thousand. */
const MAX_DEPTH = 500

/** Whether JavaScript's reading of a text that is valid JSON differs from Python's. */
export function hasPythonNumbers(json: string): boolean {
  for (const match of json.matchAll(CHANGED)) if (match[1] !== undefined) return true
  return false
}

/**
 * Reads JSON.
 * @throws SyntaxError if the text is no JSON
 */
export function parsePythonJson(json: string): unknown {
  // What is no JSON is told as JSON.parse tells it; the reading below can rely on the rest.
  const plain: unknown = JSON.parse(json)
  return hasPythonNumbers(json) ? new Reader(json).read() : plain
}

class Reader {
  private place = 0
  private depth = 0

  constructor(private readonly json: string) {}

  read(): unknown {
    this.take(SPACE)
    const value = this.value()
    this.take(SPACE)
    return value
  }

  private take(pattern: RegExp): string {
    pattern.lastIndex = this.place
    const [found = ''] = pattern.exec(this.json) ?? []
    this.place += found.length
    return found
  }

  private value(): unknown {
    const first = this.json[this.place]
    if (first === '{') return this.object()
    if (first === '[') return this.array()
    if (first === '"') return this.string()
    const word = this.take(WORD)
    return word === '' ? number(this.take(NUMBER)) : words[word]
  }

  private string(): string {
    return JSON.parse(this.take(STRING)) as string
  }

  private object(): Record<string, unknown> {
    const entries: [string, unknown][] = []
    this.list('}', () => {
      const key = this.string()
      this.take(SPACE)
      this.place++
      this.take(SPACE)
      entries.push([key, this.value()])
    })
    return Object.fromEntries(entries)
  }

  private array(): unknown[] {
    const values: unknown[] = []
    this.list(']', () => values.push(this.value()))
    return values
  }

  /** What stands between a bracket and its end, parted by commas. */
  private list(end: string, entry: () => void): void {
    if (++this.depth > MAX_DEPTH) throw new SyntaxError(`brackets are nested more than ${MAX_DEPTH} deep`)
    this.place++
    this.take(SPACE)
    if (this.json[this.place] !== end)
      for (;;) {
        entry()
        this.take(SPACE)
        if (this.json[this.place] !== ',') break
        this.place++
        this.take(SPACE)
      }
    this.place++
    this.depth--
  }
}

function number(text: string): unknown {
  const value = Number(text)
  if (/[.eE]/.test(text)) return Number.isInteger(value) || !Number.isFinite(value) ? new PythonFloat(value) : value
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

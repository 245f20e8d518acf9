/**
 * @file JSON without the losses of JavaScript's own objects. `1.0` and `1` are the same number there, integers beyond 2^53
 * are rounded, and keys that look like indices come first; Python keeps all three, and so what Python writes differs.
 */
import { PythonFloat } from './python-json.js'

/** What an array or an object stands for beyond what JavaScript shows of it. */
interface Kept {
  /** Numbers that Python holds otherwise, by key or index. */
  readonly numbers: ReadonlyMap<string, PythonFloat | bigint>
  /** The keys in the order of the text, where JavaScript has another. */
  readonly keys: readonly string[] | undefined
}

/** Under this symbol, which no enumeration shows, an array or object carries what it stands for. */
const KEPT = Symbol('kept')
/** Deeper data is nobody's. */
const MAX_DEPTH = 1000
/** A number written as a float or with so many digits that it may be none of JavaScript's. */
const FLOAT_OR_LARGE = /\d[.eE]|\d{16}/
/** JavaScript puts such keys first, in their own order. */
const INDEX = /^\d+$/

/**
 * As `JSON.parse`; what it gives also remembers the floats, big integers and orders of keys that JavaScript has not, for
 * `keptNumber` and `keptKeys`. Copies made by spreading forget them.
 * @throws SyntaxError as JSON.parse does, and for data that is nested more than 1000 levels deep
 */
export function parseExactJson(text: string): unknown {
  return exact(JSON.parse(text), text)
}

/**
 * As `parseExactJson`, for a row of data: what it gives remembers nothing where no field holds an object, for only what
 * reaches a chat template is told apart so finely, and that are dialogues, tools, documents and named variables.
 * @throws SyntaxError as parseExactJson does
 */
export function parseExactRow(text: string): unknown {
  const row: unknown = JSON.parse(text)
  return holdsObjects(row) ? exact(row, text) : row
}

const exact = (value: unknown, text: string): unknown =>
  mayLose(value, FLOAT_OR_LARGE.test(text), 0) ? new Reader(text).value(0) : value

/** Whether an object lies within the fields of a row, at whatever depth. */
export const holdsObjects = (row: unknown): boolean =>
  typeof row === 'object' && row !== null && Object.values(row).some((field) => isOrHoldsObject(field, 0))

function isOrHoldsObject(value: unknown, depth: number): boolean {
  if (!Array.isArray(value)) return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)
  // What lies deeper is refused when it is read exactly.
  return depth > MAX_DEPTH || value.some((entry) => isOrHoldsObject(entry, depth + 1))
}

/**
 * Whether the text of a value may say more than the value: of a number that is whole here, or of the order of its keys. A
 * long text is full of digits and dots; a value without numbers has none to lose.
 * @param written whether any number is written as a float or with many digits
 */
function mayLose(value: unknown, written: boolean, depth: number): boolean {
  if (typeof value === 'number') return written && (Number.isInteger(value) || !Number.isFinite(value))
  if (typeof value !== 'object' || value === null) return false
  if (depth > MAX_DEPTH) return true
  if (Array.isArray(value)) return value.some((entry) => mayLose(entry, written, depth + 1))
  return Object.entries(value).some(([key, entry]) => INDEX.test(key) || mayLose(entry, written, depth + 1))
}

/** The number at a key or index as Python has it: a float that is whole, or a big integer; undefined where JavaScript's own is the same. */
export const keptNumber = (container: object, key: string | number): PythonFloat | bigint | undefined =>
  keptOf(container)?.numbers.get(String(key))

/** The keys of an object in the order of its text. */
export const keptKeys = (container: object): readonly string[] => keptOf(container)?.keys ?? Object.keys(container)

const keptOf = (container: object): Kept | undefined => (container as { readonly [KEPT]?: Kept })[KEPT]

function keep<T extends object>(container: T, kept: Kept): T {
  if (kept.numbers.size > 0 || kept.keys !== undefined) Object.defineProperty(container, KEPT, { value: kept })
  return container
}

/** An object or an array of data that is not JSON, which remembers that the numbers at some of its keys are floats. */
export const keepFloats = <T extends object>(container: T, floats: readonly (readonly [string | number, number])[]): T =>
  keep(container, { numbers: new Map(floats.map(([key, value]) => [String(key), new PythonFloat(value)])), keys: undefined })

/** Reads text that is known to be JSON. */
class Reader {
  private at = 0

  constructor(private readonly text: string) {}

  value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw new SyntaxError(`it is nested more than ${MAX_DEPTH} levels deep`)
    switch (this.peek()) {
      case '{':
        return this.object(depth)
      case '[':
        return this.array(depth)
      case '"':
        return this.string()
      default:
        return JSON.parse(this.token(/[-+.\w]+/y))
    }
  }

  private object(depth: number): object {
    const entries = new Map<string, unknown>()
    const numbers = new Map<string, PythonFloat | bigint>()
    this.each('}', () => {
      this.peek()
      const key = this.string()
      this.peek()
      this.at++ // the colon
      numbers.delete(key)
      entries.set(key, this.item(key, numbers, depth))
    })
    const object = Object.fromEntries(entries)
    const keys = [...entries.keys()]
    const moved = Object.keys(object).some((key, index) => key !== keys[index])
    return keep(object, { numbers, keys: moved ? keys : undefined })
  }

  private array(depth: number): readonly unknown[] {
    const items: unknown[] = []
    const numbers = new Map<string, PythonFloat | bigint>()
    this.each(']', () => items.push(this.item(String(items.length), numbers, depth)))
    return keep(items, { numbers, keys: undefined })
  }

  private item(key: string, numbers: Map<string, PythonFloat | bigint>, depth: number): unknown {
    if (!/[-\d]/.test(this.peek())) return this.value(depth + 1)
    const literal = this.token(/[-+.\w]+/y)
    const value = Number(literal)
    if (/[.eE]/.test(literal)) {
      if (Number.isInteger(value)) numbers.set(key, new PythonFloat(value))
    } else if (!Number.isSafeInteger(value)) numbers.set(key, BigInt(literal))
    return value
  }

  /** Reads items up to a bracket, and steps over both brackets and the commas. */
  private each(close: string, read: () => void): void {
    this.at++
    while (this.peek() !== close) {
      if (this.peek() === ',') this.at++
      else read()
    }
    this.at++
  }

  /** The next character that is no white space. */
  private peek(): string {
    while (/[ \t\n\r]/.test(this.text.charAt(this.at))) this.at++
    return this.text.charAt(this.at)
  }

  /** A text; found without a pattern, which would need stack for each of its escapes. */
  private string(): string {
    const { text, at } = this
    const isEscaped = (place: number): boolean => {
      let slashes = 0
      while (text[place - 1 - slashes] === '\\') slashes++
      return slashes % 2 === 1
    }
    let end = text.indexOf('"', at + 1)
    while (isEscaped(end)) end = text.indexOf('"', end + 1)
    this.at = end + 1
    return JSON.parse(text.slice(at, end + 1)) as string
  }

  private token(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const [token = ''] = pattern.exec(this.text) ?? []
    this.at += token.length
    return token
  }
}

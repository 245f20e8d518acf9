/** @file Python's dict: in the order of insertion, with keys of every type that has a hash, where 1, 1.0 and True are one key. */
import { TemplateError } from './errors.js'
import type { Meter } from './limits.js'
import { isList, PyObject, Range, textOf, Tuple, typeName, Undefined, type Value } from './values.js'

type Entry = readonly [key: Value, value: Value]

export class Dict extends PyObject {
  readonly typeName: string = 'dict'
  private readonly map = new Map<unknown, Entry>()
  /** What stands for keys that JavaScript's Map cannot tell equal, by what they hold. */
  private readonly composites = new Map<string, symbol>()

  /** @throws TemplateError if a key has no hash */
  static of(entries: Iterable<Entry>, meter: Meter): Dict {
    const made = new Dict()
    for (const [key, value] of entries) {
      meter.step()
      made.put(key, value, meter)
    }
    return made
  }

  /** One whose keys are texts that differ. */
  static named(entries: Iterable<readonly [string, Value]>): Dict {
    const made = new Dict()
    for (const entry of entries) made.map.set(entry[0], entry)
    return made
  }

  get(key: Value, meter: Meter): Value | undefined {
    return this.map.get(this.identity(key, meter))?.[1]
  }
  has(key: Value, meter: Meter): boolean {
    return this.map.has(this.identity(key, meter))
  }
  get size(): number {
    return this.map.size
  }
  entries(): IterableIterator<Entry> {
    return this.map.values()
  }
  override truth(): boolean {
    return this.map.size > 0
  }
  override length(): number {
    return this.map.size
  }
  override *iterate(): Iterator<Value> {
    for (const [key] of this.entries()) yield key
  }
  override repr(repr: (value: Value) => string): string {
    return `{${Array.from(this.entries(), ([key, value]) => `${repr(key)}: ${repr(value)}`).join(', ')}}`
  }

  /** Adds an entry, while it is made: no template changes one. */
  put(key: Value, value: Value, meter: Meter): void {
    const identity = this.identity(key, meter)
    // Python keeps the key that came first, and its place.
    const known = this.map.get(identity)
    this.map.set(identity, [known === undefined ? key : known[0], value])
  }

  /** What JavaScript's Map tells equal keys by. */
  private identity(key: Value, meter: Meter): unknown {
    const text = textOf(key)
    if (text !== undefined) {
      meter.key(text.length)
      return text
    }
    if (key === null) return key
    if (typeof key === 'boolean') return Number(key)
    if (typeof key === 'number' && (Number.isSafeInteger(key) || !Number.isInteger(key))) return key
    // Not as bigints, which V8 tells apart by their last 64 bits only before it compares them.
    if (typeof key === 'bigint' && BigInt.asIntN(53, key) === key) return Number(key)
    if (key instanceof Undefined) return Undefined
    requireHash(key, meter)
    if (key instanceof PyObject && !(key instanceof Tuple || key instanceof Range)) return key
    const content = contentOf(key, meter)
    const identity = this.composites.get(content) ?? Symbol()
    this.composites.set(content, identity)
    return identity
  }
}

/** What a key holds, in a text that it shares only with those that are equal. */
function contentOf(key: Value, meter: Meter): string {
  const text = textOf(key)
  if (text !== undefined) return `${text.length}:${text}`
  if (key instanceof Tuple) {
    const content = meter.deeper(() => `(${key.items.map((item) => contentOf(item, meter)).join()})`)
    meter.write(content.length)
    meter.key(content.length)
    return content
  }
  if (typeof key === 'number') return Number.isInteger(key) ? BigInt(key).toString(16) : `.${key}`
  if (typeof key === 'bigint' || typeof key === 'boolean') return BigInt(key).toString(16)
  if (key instanceof Range)
    return `range${key.count}${key.count > 0 ? `,${key.start}` : ''}${key.count > 1 ? `,${key.step}` : ''}`
  if (key === null || key instanceof Undefined) return typeName(key)
  return `#${numberOf(key as PyObject)}`
}

const numbers = new WeakMap<object, number>()
let given = 0

/** The number of an object, which is equal to no other. */
function numberOf(value: object): number {
  const number = numbers.get(value) ?? given++
  numbers.set(value, number)
  return number
}

/** What keeps a value from having a hash; undefined where it has one. */
export function unhashable(value: Value, meter: Meter): Value | undefined {
  if (isList(value) || value instanceof Dict || value instanceof DictView) return value
  if (!(value instanceof Tuple)) return undefined
  return meter.deeper(() => {
    for (const item of value.items) {
      meter.step()
      const found = unhashable(item, meter)
      if (found !== undefined) return found
    }
    return undefined
  })
}

/** @throws TemplateError as `hash(x)` does for what can change */
export function requireHash(value: Value, meter: Meter): void {
  const found = unhashable(value, meter)
  if (found !== undefined) throw new TemplateError(`unhashable type: '${typeName(found)}'`)
}

/** `d.keys()`, `d.values()`, `d.items()`. */
export class DictView extends PyObject {
  readonly typeName: string
  constructor(
    readonly dict: Dict,
    readonly part: 'keys' | 'values' | 'items',
  ) {
    super()
    this.typeName = `dict_${part}`
  }
  override truth(): boolean {
    return this.dict.size > 0
  }
  override length(): number {
    return this.dict.size
  }
  override *iterate(): Iterator<Value> {
    for (const [key, value] of this.dict.entries())
      yield this.part === 'keys' ? key : this.part === 'values' ? value : new Tuple([key, value])
  }
  override repr(repr: (value: Value) => string): string {
    return `${this.typeName}([${Array.from({ [Symbol.iterator]: () => this.iterate() }, repr).join(', ')}])`
  }
}

/** @file Python's dict: in the order of insertion, with keys of every type that has a hash, where 1, 1.0 and True are one key. */
import { TemplateError } from './errors.js'
import { equals } from './compare.js'
import { isList, Markup, PyObject, Range, Tuple, typeName, Undefined, type Value } from './values.js'

export class Dict extends PyObject {
  readonly typeName: string = 'dict'
  private readonly map = new Map<unknown, readonly [key: Value, value: Value]>()

  /** @throws TemplateError if a key has no hash */
  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    super()
    for (const [key, value] of entries) this.put(key, value)
  }

  get(key: Value): Value | undefined {
    return this.map.get(this.identity(key))?.[1]
  }
  has(key: Value): boolean {
    return this.map.has(this.identity(key))
  }
  get size(): number {
    return this.map.size
  }
  entries(): readonly (readonly [key: Value, value: Value])[] {
    return [...this.map.values()]
  }
  keys(): readonly Value[] {
    return this.entries().map(([key]) => key)
  }
  override truth(): boolean {
    return this.map.size > 0
  }
  override length(): number {
    return this.map.size
  }
  override iterate(): Iterator<Value> {
    return this.keys()[Symbol.iterator]()
  }
  override repr(repr: (value: Value) => string): string {
    return `{${this.entries()
      .map(([key, value]) => `${repr(key)}: ${repr(value)}`)
      .join(', ')}}`
  }

  /** Adds an entry, while it is made: no template changes one. */
  put(key: Value, value: Value): void {
    const identity = this.identity(key)
    // Python keeps the key that came first, and its place.
    const known = this.map.get(identity)
    this.map.set(identity, [known === undefined ? key : known[0], value])
  }

  /** What JavaScript's Map tells equal keys by. */
  private identity(key: Value): unknown {
    if (key === null || typeof key === 'string' || typeof key === 'bigint') return key
    if (typeof key === 'boolean') return BigInt(key)
    if (typeof key === 'number') return Number.isInteger(key) ? BigInt(key) : key
    if (key instanceof Markup) return key.text
    if (key instanceof Undefined) return Undefined
    if (key instanceof Tuple || key instanceof Range) {
      requireHash(key)
      // Rare, so no hash of our own: the key that is equal stands for it.
      for (const known of this.map.keys()) if (known instanceof key.constructor && equals(known as PyObject, key)) return known
      return key
    }
    requireHash(key)
    return key
  }
}

/** @throws TemplateError as `hash(x)` does for what can change */
export function requireHash(value: Value): void {
  if (isList(value) || value instanceof Dict || value instanceof DictView)
    throw new TemplateError(`unhashable type: '${typeName(value)}'`)
  if (value instanceof Tuple) value.items.forEach(requireHash)
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
  items(): readonly Value[] {
    if (this.part === 'keys') return this.dict.keys()
    return this.dict.entries().map(([key, value]) => (this.part === 'values' ? value : new Tuple([key, value])))
  }
  override truth(): boolean {
    return this.dict.size > 0
  }
  override length(): number {
    return this.dict.size
  }
  override iterate(): Iterator<Value> {
    return this.items()[Symbol.iterator]()
  }
  override repr(repr: (value: Value) => string): string {
    return `${this.typeName}([${this.items().map(repr).join(', ')}])`
  }
}

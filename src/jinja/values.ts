/**
 * @file The values of a template, which are Python's: an int is a `bigint` and a float a `number`, so that 1 and 1.0 stay
 * apart; None is `null`, a list a JavaScript array (nothing in a template may change one), everything else a class.
 */
import { TemplateError } from './errors.js'
import type { Meter } from './limits.js'

export type Value = null | boolean | bigint | number | string | readonly Value[] | PyObject

/** What stands between the parentheses of a call. */
export interface Arguments {
  readonly positional: readonly Value[]
  readonly named: ReadonlyMap<string, Value>
}

/** What one rendering carries along, for whatever a value does: its limits, its clock, and the table of filters and tests. */
export interface Runtime {
  readonly meter: Meter
  /** What `strftime_now` gives for a format. */
  readonly strftime: (format: string) => string
  /** `f(…)`. */
  call(callee: Value, args: Arguments): Value
  /** `x.name`. */
  attribute(value: Value, name: string): Value
  /** `x[key]`. */
  item(value: Value, key: Value): Value
  /** `value | name(…)`. */
  filter(name: string, value: Value, args: Arguments): Value
  /** `value is name(…)`. */
  test(name: string, value: Value, args: Arguments): Value
}

/** Whatever is no plain JavaScript value: what Python's type of it can do. */
export abstract class PyObject {
  /** Python's name of the type, for messages. */
  abstract readonly typeName: string
  /** `bool(x)`. */
  truth(): boolean {
    return true
  }
  /** `len(x)`, where there is one. */
  length(): number | undefined {
    return undefined
  }
  /** `iter(x)`, where there is one. */
  iterate(): Iterator<Value> | undefined {
    return undefined
  }
  /** What `repr(x)` writes; undefined where that holds a memory address. */
  repr(_repr: (value: Value) => string): string | undefined {
    return undefined
  }
  /** `getattr(x, name)`; undefined where there is none. */
  attribute(_name: string): Value | undefined {
    return undefined
  }
  /** `x(…)`, where it can be called. */
  call?(args: Arguments, runtime: Runtime): Value
}

/** What a missing name, key or attribute is: prints nothing, is false, and refuses everything else. */
export class Undefined extends PyObject {
  readonly typeName = 'Undefined'
  constructor(readonly message: string) {
    super()
  }
  override truth(): boolean {
    return false
  }
  override length(): number {
    return 0
  }
  override iterate(): Iterator<Value> {
    return [][Symbol.iterator]()
  }
  override repr(): string {
    return 'Undefined'
  }
  /** The error of whoever uses it. */
  error(): TemplateError {
    return new TemplateError(this.message)
  }
}

/** A tuple. */
export class Tuple extends PyObject {
  readonly typeName = 'tuple'
  constructor(readonly items: readonly Value[]) {
    super()
  }
  override truth(): boolean {
    return this.items.length > 0
  }
  override length(): number {
    return this.items.length
  }
  override iterate(): Iterator<Value> {
    return this.items[Symbol.iterator]()
  }
  override repr(repr: (value: Value) => string): string {
    return `(${this.items.map(repr).join(', ')}${this.items.length === 1 ? ',' : ''})`
  }
}

/** What `groupby` gives: a tuple whose items have names. */
export class GroupTuple extends Tuple {
  override attribute(name: string): Value | undefined {
    return name === 'grouper' ? this.items[0] : name === 'list' ? this.items[1] : undefined
  }
}

/** Text that HTML escaping leaves alone: what `escape` and `safe` give. */
export class Markup extends PyObject {
  readonly typeName = 'Markup'
  constructor(readonly text: string) {
    super()
  }
  override truth(): boolean {
    return this.text !== ''
  }
  override iterate(): Iterator<Value> {
    return this.text[Symbol.iterator]()
  }
  override repr(repr: (value: Value) => string): string {
    return `Markup(${repr(this.text)})`
  }
}

/** `range(…)`. */
export class Range extends PyObject {
  readonly typeName = 'range'
  readonly count: number
  constructor(
    readonly start: bigint,
    readonly stop: bigint,
    readonly step: bigint,
  ) {
    super()
    const span = step > 0n ? stop - start : start - stop
    const size = step > 0n ? step : -step
    this.count = span <= 0n ? 0 : Number((span + size - 1n) / size)
  }
  at(index: number): bigint {
    return this.start + BigInt(index) * this.step
  }
  override truth(): boolean {
    return this.count > 0
  }
  override length(): number {
    return this.count
  }
  override *iterate(): Iterator<Value> {
    for (let i = 0; i < this.count; i++) yield this.at(i)
  }
  override repr(): string {
    return `range(${this.start}, ${this.stop}${this.step === 1n ? '' : `, ${this.step}`})`
  }
  override attribute(name: string): Value | undefined {
    return name === 'start' || name === 'stop' || name === 'step' ? this[name] : undefined
  }
}

/** Python's generators and iterators: they give their items once. */
export class Iterate extends PyObject {
  constructor(
    readonly items: Iterator<Value>,
    readonly typeName = 'generator',
  ) {
    super()
  }
  override iterate(): Iterator<Value> {
    return this.items
  }
}

/** What `namespace(…)` makes: the one thing that `set` can change from inside a loop. */
export class Namespace extends PyObject {
  readonly typeName = 'Namespace'
  constructor(readonly attributes: Map<string, Value>) {
    super()
  }
  override attribute(name: string): Value | undefined {
    return this.attributes.get(name)
  }
  override repr(repr: (value: Value) => string): string {
    return `<Namespace {${[...this.attributes].map(([key, value]) => `${repr(key)}: ${repr(value)}`).join(', ')}}>`
  }
}

/** A function or a method, of ours. */
export class Callable extends PyObject {
  constructor(
    override readonly call: (args: Arguments, runtime: Runtime) => Value,
    readonly typeName: string,
    private readonly shown?: string,
  ) {
    super()
  }
  override repr(): string | undefined {
    return this.shown
  }
}

/** Python's name of a value's type. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType'
  switch (typeof value) {
    case 'boolean':
      return 'bool'
    case 'bigint':
      return 'int'
    case 'number':
      return 'float'
    case 'string':
      return 'str'
    default:
      return value instanceof PyObject ? value.typeName : 'list'
  }
}

/** Whether it is a list; `Array.isArray` does not narrow readonly arrays. */
export const isList = (value: Value): value is readonly Value[] => Array.isArray(value)

/** The text of a string, marked as safe or not. */
export function textOf(value: Value): string | undefined {
  return typeof value === 'string' ? value : value instanceof Markup ? value.text : undefined
}

/** An int, for which Python also takes True and False; undefined otherwise. */
export function intOf(value: Value): bigint | undefined {
  return typeof value === 'bigint' ? value : typeof value === 'boolean' ? BigInt(value) : undefined
}

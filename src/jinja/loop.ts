/** @file The variable `loop`. */
import { equals, iterate, lengthOfValue, toList } from './compare.js'
import { TemplateError } from './errors.js'
import type { Meter } from './limits.js'
import { Callable, isList, Iterate, PyObject, Tuple, Undefined, type Arguments, type Runtime, type Value } from './values.js'

/** Renders the body of a recursive loop over other items. */
export type Recurse = (items: Value, depth: number) => string

/** What a loop knows of itself. It looks one item ahead only when it is asked, as Jinja's own does. */
export class Loop extends PyObject {
  readonly typeName = 'LoopContext'
  private items: Iterator<Value>
  private index0 = -1
  private size: number | undefined
  private ahead: IteratorResult<Value> | undefined
  private current: Value | undefined
  private before: Value | undefined
  private lastChanged: Tuple | undefined

  constructor(
    private readonly source: Value,
    private readonly recurse: Recurse | undefined,
    private readonly depth0: number,
    private readonly meter: Meter,
  ) {
    super()
    this.items = iterate(source)
  }

  /** The next item, and whether there is none. */
  next(): IteratorResult<Value> {
    const result = this.ahead ?? this.items.next()
    this.ahead = undefined
    if (result.done === true) return result
    this.index0++
    this.before = this.current
    this.current = result.value
    return result
  }

  override length(): number {
    if (this.size === undefined) {
      if (
        typeof this.source === 'string' ||
        isList(this.source) ||
        (this.source instanceof PyObject && this.source.length() !== undefined)
      )
        this.size = lengthOfValue(this.source, this.meter)
      else {
        const rest = toList(new Iterate(this.items), this.meter)
        this.items = rest[Symbol.iterator]()
        this.size = rest.length + this.index0 + 1 + (this.ahead?.done === false ? 1 : 0)
      }
    }
    return this.size
  }

  override iterate(): Iterator<Value> {
    return {
      next: () => {
        const { done, value } = this.next()
        return done === true ? { done: true, value: undefined } : { done: false, value: new Tuple([value, this]) }
      },
    }
  }

  override repr(): string {
    return `<LoopContext ${this.index0 + 1}/${this.length()}>`
  }

  override readonly call = ({ positional, named }: Arguments, _runtime: Runtime): Value => {
    const [items] = positional
    if (items === undefined || positional.length > 1 || named.size > 0) throw new TemplateError('loop() takes one iterable')
    if (this.recurse === undefined) throw new TemplateError("The loop must have the 'recursive' marker to be called recursively.")
    return this.recurse(items, this.depth0 + 1)
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case 'index':
        return BigInt(this.index0 + 1)
      case 'index0':
        return BigInt(this.index0)
      case 'depth':
        return BigInt(this.depth0 + 1)
      case 'depth0':
        return BigInt(this.depth0)
      case 'length':
        return BigInt(this.length())
      case 'revindex':
        return BigInt(this.length() - this.index0)
      case 'revindex0':
        return BigInt(this.length() - this.index0 - 1)
      case 'first':
        return this.index0 === 0
      case 'last':
        return this.peek().done === true
      case 'previtem':
        return this.index0 === 0 ? new Undefined('there is no previous item') : this.before
      case 'nextitem': {
        const { done, value } = this.peek()
        return done === true ? new Undefined('there is no next item') : value
      }
      case 'cycle':
        return method((values) => {
          if (values.length === 0) throw new TemplateError('no items for cycling given')
          return values[this.index0 % values.length] as Value
        })
      case 'changed':
        return method((values) => {
          const now = new Tuple(values)
          const changed = this.lastChanged === undefined || !equals(this.lastChanged, now, this.meter)
          if (changed) this.lastChanged = now
          return changed
        })
      default:
        return undefined
    }
  }

  private peek(): IteratorResult<Value> {
    this.ahead ??= this.items.next()
    return this.ahead
  }
}

/** A method that takes any number of values. */
const method = (run: (values: readonly Value[]) => Value): Value =>
  new Callable(({ positional, named }) => {
    if (named.size > 0) throw new TemplateError('it takes no keyword arguments')
    return run(positional)
  }, 'method')

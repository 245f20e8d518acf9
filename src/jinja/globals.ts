/** @file Functions that every template may call. */
import { bind, native, needText, REQUIRED } from './calls.js'
import { toList } from './compare.js'
import { Dict } from './dict.js'
import { TemplateError, unsupported } from './errors.js'
import { MAX_RANGE } from './limits.js'
import { longBits } from './numbers.js'
import { str } from './text.js'
import {
  Callable,
  intOf,
  Namespace,
  PyObject,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Arguments,
  type Runtime,
  type Value,
} from './values.js'

function range({ positional, named }: Arguments, { meter }: Runtime): Value {
  if (named.size > 0) throw new TemplateError('range() takes no keyword arguments')
  if (positional.length < 1 || positional.length > 3)
    throw new TemplateError(`range expected 1 to 3 arguments, got ${positional.length}`)
  const bounds = positional.map((bound) => {
    const whole = intOf(bound)
    if (whole !== undefined) return whole
    throw bound instanceof Undefined
      ? bound.error()
      : new TemplateError(`'${typeName(bound)}' object cannot be interpreted as an integer`)
  })
  const [start = 0n, stop, step = 1n] = bounds.length === 1 ? [0n, ...bounds] : bounds
  if (step === 0n) throw new TemplateError('range() arg 3 must not be zero')
  meter.calculate(longBits(...bounds))
  const made = new Range(start, stop as bigint, step)
  if (made.count > MAX_RANGE) throw new TemplateError(`range(${bounds.join(', ')}) is longer than ${MAX_RANGE}`)
  return made
}

/** What `dict(…)` and `namespace(…)` make of their arguments. */
function dictOf(name: string, { positional, named }: Arguments, runtime: Runtime): Dict {
  if (positional.length > 1) throw new TemplateError(`${name} expected at most 1 argument, got ${positional.length}`)
  const [source] = positional
  const entries = source instanceof Dict ? source.entries() : source === undefined ? [] : pairsOf(source, runtime)
  return Dict.of([...entries, ...named], runtime.meter)
}

function pairsOf(source: Value, { meter }: Runtime): readonly [Value, Value][] {
  return toList(source, meter).map((pair, index) => {
    const items = toList(pair, meter)
    if (items.length !== 2)
      throw new TemplateError(`dictionary update sequence element #${index} has length ${items.length}; 2 is required`)
    return [items[0] as Value, items[1] as Value]
  })
}

/** `cycler(…)`: gives its items in turn. */
class Cycler extends PyObject {
  readonly typeName = 'Cycler'
  private at = 0
  constructor(private readonly items: readonly Value[]) {
    super()
    if (items.length === 0) throw new TemplateError('at least one item has to be provided')
  }
  override attribute(name: string): Value | undefined {
    switch (name) {
      case 'items':
        return new Tuple(this.items)
      case 'pos':
        return BigInt(this.at)
      case 'current':
        return this.items[this.at]
      case 'next':
        return native('next', 'method', {}, () => {
          const current = this.items[this.at] as Value
          this.at = (this.at + 1) % this.items.length
          return current
        })
      case 'reset':
        return native('reset', 'method', {}, () => {
          this.at = 0
          return null
        })
      default:
        return undefined
    }
  }
}

/** `joiner(separator)`: nothing at its first call, the separator from then on. */
function joiner(separator: Value): Value {
  let used = false
  return native('__call__', 'Joiner', {}, () => {
    const now = used ? separator : ''
    used = true
    return now
  })
}

const type = (name: string, call: (args: Arguments, runtime: Runtime) => Value): Value =>
  new Callable(call, 'type', `<class '${name}'>`)

/** The names that Jinja and transformers define. */
export const globals: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['range', new Callable(range, 'function')],
  ['dict', type('dict', (args, runtime) => dictOf('dict', args, runtime))],
  [
    'namespace',
    type('jinja2.utils.Namespace', (args, runtime) => {
      const attributes = dictOf('dict', args, runtime).entries()
      return new Namespace(new Map(Array.from(attributes, ([key, value]) => [needText(key, 'an attribute name'), value])))
    }),
  ],
  [
    'cycler',
    type('jinja2.utils.Cycler', ({ positional, named }) => {
      if (named.size > 0) throw new TemplateError('Cycler.__init__() got an unexpected keyword argument')
      return new Cycler(positional)
    }),
  ],
  ['joiner', type('jinja2.utils.Joiner', (args) => joiner(bind('joiner', { sep: ', ' }, args)[0] as Value))],
  [
    'lipsum',
    new Callable(() => {
      throw unsupported('lipsum, which writes random words,')
    }, 'function'),
  ],
  [
    'raise_exception',
    native('raise_exception', 'function', { message: REQUIRED }, ([message], { meter }) => {
      throw new TemplateError(str(message as Value, meter))
    }),
  ],
  [
    'strftime_now',
    native('strftime_now', 'function', { format: REQUIRED }, ([format], { meter, strftime }) => {
      const text = needText(format as Value, 'strftime() argument 1')
      meter.walk(text.length)
      return strftime(text)
    }),
  ],
])

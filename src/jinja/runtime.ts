/** @file What one rendering carries along: its limits, its clock, and the filters and tests by name. */
import { getAttribute, getItem } from './attributes.js'
import { TemplateError } from './errors.js'
import { filters } from './filters.js'
import { Meter } from './limits.js'
import { tests } from './tests.js'
import { PyObject, typeName, Undefined, type Arguments, type Callable, type Runtime, type Value } from './values.js'

export class TemplateRuntime implements Runtime {
  readonly meter = new Meter()

  /** @param strftime what `strftime_now` gives for a format */
  constructor(readonly strftime: (format: string) => string) {}

  call(callee: Value, args: Arguments): Value {
    if (callee instanceof Undefined) throw callee.error()
    if (!(callee instanceof PyObject) || callee.call === undefined)
      throw new TemplateError(`'${typeName(callee)}' object is not callable`)
    const target = callee as PyObject & { call: NonNullable<PyObject['call']> }
    return this.meter.deeper(() => target.call(args, this))
  }

  attribute(value: Value, name: string): Value {
    return getAttribute(value, name, this)
  }

  item(value: Value, key: Value): Value {
    return getItem(value, key, this)
  }

  filter(name: string, value: Value, args: Arguments): Value {
    return this.apply('filter', filters, name, value, args)
  }

  test(name: string, value: Value, args: Arguments): Value {
    return this.apply('test', tests, name, value, args)
  }

  private apply(kind: string, table: ReadonlyMap<string, Callable>, name: string, value: Value, args: Arguments): Value {
    const found = table.get(name)
    if (found === undefined) throw new TemplateError(`No ${kind} named '${name}'.`)
    this.meter.step()
    this.meter.walk(args.positional.length)
    return this.meter.deeper(() => found.call({ positional: [value, ...args.positional], named: args.named }, this))
  }
}

/** @file `str(x)` and `repr(x)`. */
import { TemplateError } from './errors.js'
import type { Meter } from './limits.js'
import { reprFloat, reprInt } from './numbers.js'
import { reprText } from './unicode.js'
import { PyObject, textOf, typeName, Undefined, type Value } from './values.js'

/** `str(x)`: what printing writes. @throws TemplateError where Python would write a memory address */
export function str(value: Value, meter: Meter): string {
  const text = textOf(value)
  if (text !== undefined) return text
  return value instanceof Undefined ? '' : repr(value, meter)
}

/** `repr(x)`. */
export function repr(value: Value, meter: Meter): string {
  if (value === null) return 'None'
  switch (typeof value) {
    case 'boolean':
      return value ? 'True' : 'False'
    case 'bigint':
      return reprInt(value, meter)
    case 'number':
      return reprFloat(value)
    case 'string':
      meter.read(value.length)
      return reprText(value)
    default:
      return meter.deeper(() => {
        const inner = (item: Value): string => repr(item, meter)
        const text = value instanceof PyObject ? value.repr(inner) : `[${value.map(inner).join(', ')}]`
        if (text === undefined)
          throw new TemplateError(`it prints a ${typeName(value)}, which Python shows with its address in memory`)
        meter.write(text.length)
        return text
      })
  }
}

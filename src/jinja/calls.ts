/** @file Arguments of calls, and how functions of Python take them. */
import { TemplateError } from './errors.js'
import { Callable, intOf, textOf, typeName, Undefined, type Arguments, type Runtime, type Value } from './values.js'

export const noArguments: Arguments = { positional: [], named: new Map() }

/** Marks a parameter that has no default. */
export const REQUIRED = Symbol('required')

/** Names of parameters in their order, each with its default; a name that begins with `/` cannot be given by name. */
export type Parameters = Readonly<Record<string, Value | typeof REQUIRED>>

/** The values of the parameters, in their order. @throws TemplateError as Python does for arguments that are missing or too many */
export function bind(name: string, parameters: Parameters, { positional, named }: Arguments): Value[] {
  const names = Object.keys(parameters)
  if (positional.length > names.length)
    throw new TemplateError(`${name}() takes at most ${names.length} arguments (${positional.length} given)`)
  const rest = new Map(named)
  const values = names.map((parameter, index) => {
    const given = rest.get(parameter)
    const isGiven = rest.delete(parameter)
    if (index < positional.length) {
      if (isGiven) throw new TemplateError(`${name}() got multiple values for argument '${parameter}'`)
      return positional[index] as Value
    }
    const value = given === undefined ? (parameters[parameter] as Value | typeof REQUIRED) : given
    if (typeof value === 'symbol') throw new TemplateError(`${name}() missing required argument: '${parameter.replace('/', '')}'`)
    return value
  })
  for (const unknown of rest.keys()) throw new TemplateError(`${name}() got an unexpected keyword argument '${unknown}'`)
  return values
}

/** A function or method of Python with its parameters. */
export function native(
  name: string,
  type: string,
  parameters: Parameters,
  run: (values: readonly Value[], runtime: Runtime) => Value,
  shown?: string,
): Callable {
  return new Callable((args, runtime) => run(bind(name, parameters, args), runtime), type, shown)
}

/** One entry of a table of filters or tests, whose values come in the order of its parameters. */
export const entry = (
  name: string,
  parameters: Parameters,
  run: (values: readonly Value[], runtime: Runtime) => Value,
): readonly [string, Callable] => [name, native(name, 'function', parameters, run)]

/** An argument that must be text. */
export function needText(value: Value, what: string): string {
  const text = textOf(value)
  if (text !== undefined) return text
  if (value instanceof Undefined) throw value.error()
  throw new TemplateError(`${what} must be str, not ${typeName(value)}`)
}

/** An argument that must be an integer; beyond JavaScript's own integers it is the nearest that is one. */
export function needInt(value: Value, what = 'argument'): number {
  const whole = intOf(value)
  if (whole !== undefined) {
    const limit = BigInt(Number.MAX_SAFE_INTEGER)
    return Number(whole > limit ? limit : whole < -limit ? -limit : whole)
  }
  if (value instanceof Undefined) throw value.error()
  throw new TemplateError(`${what}: '${typeName(value)}' object cannot be interpreted as an integer`)
}

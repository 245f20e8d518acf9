/** @file The value of an expression. */
import type { Activation } from './activation.js'
import type { CallArguments, Expression, FilterExpression } from './ast.js'
import { getAttribute, getItem, slice } from './attributes.js'
import { noArguments } from './calls.js'
import { compare, each, truth } from './compare.js'
import { Dict } from './dict.js'
import { TemplateError } from './errors.js'
import { operate, signed } from './operators.js'
import { str } from './text.js'
import { textOf, Tuple, typeName, Undefined, type Arguments, type Runtime, type Value } from './values.js'

/** Evaluates an expression with the variables of an activation. */
export function evaluate(expression: Expression, scope: Activation, runtime: Runtime): Value {
  const { meter } = runtime
  meter.step()
  meter.enter()
  const value = evaluateKind(expression, scope, runtime)
  meter.leave()
  return value
}

function evaluateKind(expression: Expression, scope: Activation, runtime: Runtime): Value {
  const { meter } = runtime
  const of = (inner: Expression): Value => evaluate(inner, scope, runtime)
  switch (expression.kind) {
    case 'constant':
      return expression.value
    case 'name':
      return scope.read(expression.variable)
    case 'list':
      return expression.items.map(of)
    case 'tuple':
      return new Tuple(expression.items.map(of))
    case 'dict':
      return Dict.of(
        expression.entries.map(([key, value]) => [of(key), of(value)] as const),
        meter,
      )
    case 'and': {
      const left = of(expression.left)
      return truth(left) ? of(expression.right) : left
    }
    case 'or': {
      const left = of(expression.left)
      return truth(left) ? left : of(expression.right)
    }
    case 'not':
      return !truth(of(expression.value))
    case 'sign':
      return signed(expression.sign, of(expression.value))
    case 'binary':
      return operate(expression.operator, of(expression.left), of(expression.right), runtime)
    case 'concat': {
      const texts = expression.items.map(of).map((item) => str(item, meter))
      meter.copy(texts.reduce((length, text) => length + text.length, 0))
      return texts.join('')
    }
    case 'compare':
      return comparison(expression, scope, runtime)
    case 'if':
      if (truth(of(expression.test))) return of(expression.then)
      if (expression.otherwise !== undefined) return of(expression.otherwise)
      return new Undefined('the inline if-expression evaluated to false and no else section was defined.')
    case 'attribute':
      return getAttribute(of(expression.value), expression.name, runtime)
    case 'item':
      return getItem(of(expression.value), of(expression.key), runtime)
    case 'slice':
      return slice(
        of(expression.value),
        expression.bounds.map((bound) => (bound === undefined ? undefined : of(bound))),
        runtime,
      )
    case 'call':
      return runtime.call(of(expression.callee), evaluateArguments(expression.args, scope, runtime))
    case 'filter':
      if (expression.value === undefined) throw new TemplateError('internal: a filter without a value')
      return applyFilter(expression, of(expression.value), scope, runtime)
    case 'test':
      return runtime.test(expression.name, of(expression.value), evaluateArguments(expression.args, scope, runtime))
  }
}

/** `a < b <= c`: every operand once, and no further than the first that does not hold. */
function comparison({ first, rest }: Extract<Expression, { kind: 'compare' }>, scope: Activation, runtime: Runtime): boolean {
  let left = evaluate(first, scope, runtime)
  for (const [operator, operand] of rest) {
    const right = evaluate(operand, scope, runtime)
    if (!compare(operator, left, right, runtime.meter)) return false
    left = right
  }
  return true
}

/** A chain of filters whose innermost takes what a block wrote. */
export function filterText(filter: FilterExpression, text: string, scope: Activation, runtime: Runtime): Value {
  const { value } = filter
  const input =
    value === undefined
      ? text
      : value.kind === 'filter'
        ? filterText(value, text, scope, runtime)
        : evaluate(value, scope, runtime)
  return applyFilter(filter, input, scope, runtime)
}

const applyFilter = (filter: FilterExpression, input: Value, scope: Activation, runtime: Runtime): Value =>
  runtime.filter(filter.name, input, evaluateArguments(filter.args, scope, runtime))

export function evaluateArguments(args: CallArguments, scope: Activation, runtime: Runtime): Arguments {
  if (args.positional.length === 0 && args.named.length === 0 && args.rest === undefined && args.namedRest === undefined)
    return noArguments
  const of = (inner: Expression): Value => evaluate(inner, scope, runtime)
  const positional = args.positional.map(of)
  const named = new Map(args.named.map(([name, value]) => [name, of(value)] as const))
  if (args.rest !== undefined) for (const item of each(of(args.rest), runtime.meter)) positional.push(item)
  if (args.namedRest !== undefined) addNamed(named, of(args.namedRest), runtime)
  return { positional, named }
}

function addNamed(named: Map<string, Value>, mapping: Value, { meter }: Runtime): void {
  if (mapping instanceof Undefined) throw mapping.error()
  if (!(mapping instanceof Dict)) throw new TemplateError(`argument after ** must be a mapping, not ${typeName(mapping)}`)
  for (const [key, value] of mapping.entries()) {
    const name = textOf(key)
    if (name === undefined) throw new TemplateError('keywords must be strings')
    meter.step()
    meter.key(name.length)
    if (named.has(name)) throw new TemplateError(`got multiple values for keyword argument '${name}'`)
    named.set(name, value)
  }
}

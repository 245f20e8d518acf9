/** @file Expressions, in the order of Jinja's precedences: if, or, and, not, comparisons, + -, ~, * / // %, **, signs, postfixes. */
import type { CallArguments, Expression, FilterExpression, Variable } from './ast.js'
import type { Operator } from './operators.js'
import type { TokenStream } from './token-stream.js'
import type { Token } from './lexer.js'

const COMPARISONS = ['==', '!=', '<', '<=', '>', '>=']
const noArguments: CallArguments = { positional: [], named: [], rest: undefined, namedRest: undefined }

export const constant = (value: null | boolean | string | number | bigint): Expression => ({ kind: 'constant', value })

/** An expression, with or without an inline `if`. */
export const parseExpression = (stream: TokenStream, withIf = true): Expression =>
  stream.nested(() => (withIf ? parseIf(stream) : parseOr(stream)))

function parseIf(stream: TokenStream): Expression {
  let value = parseOr(stream)
  for (let length = 0; stream.skipName('if'); length++) {
    const test = parseOr(stream)
    const otherwise = stream.skipName('else') ? stream.nested(() => parseIf(stream)) : undefined
    value = { kind: 'if', test, then: stream.chained(value, length), otherwise }
  }
  return value
}

function parseOr(stream: TokenStream): Expression {
  let left = parseAnd(stream)
  for (let length = 0; stream.skipName('or'); length++)
    left = { kind: 'or', left: stream.chained(left, length), right: parseAnd(stream) }
  return left
}

function parseAnd(stream: TokenStream): Expression {
  let left = parseNot(stream)
  for (let length = 0; stream.skipName('and'); length++)
    left = { kind: 'and', left: stream.chained(left, length), right: parseNot(stream) }
  return left
}

function parseNot(stream: TokenStream): Expression {
  if (stream.skipName('not')) return { kind: 'not', value: stream.nested(() => parseNot(stream)) }
  return parseCompare(stream)
}

function parseCompare(stream: TokenStream): Expression {
  const first = parseSum(stream)
  const rest: [string, Expression][] = []
  for (;;) {
    if (stream.isOperator(...COMPARISONS)) rest.push([stream.next().value, parseSum(stream)])
    else if (stream.skipName('in')) rest.push(['in', parseSum(stream)])
    else if (stream.isName('not') && stream.look().type === 'name' && stream.look().value === 'in') {
      stream.next()
      stream.next()
      rest.push(['not in', parseSum(stream)])
    } else return rest.length === 0 ? first : { kind: 'compare', first, rest }
  }
}

/** Operators of one precedence, from the left. */
function parseBinary(
  stream: TokenStream,
  operators: readonly Operator[],
  operand: (stream: TokenStream) => Expression,
): Expression {
  let left = operand(stream)
  for (let length = 0; stream.isOperator(...operators); length++) {
    const operator = stream.next().value as Operator
    left = { kind: 'binary', operator, left: stream.chained(left, length), right: operand(stream) }
  }
  return left
}

const parseSum = (stream: TokenStream): Expression => parseBinary(stream, ['+', '-'], parseConcat)

function parseConcat(stream: TokenStream): Expression {
  const items = [parseProduct(stream)]
  while (stream.skipOperator('~')) items.push(parseProduct(stream))
  return items.length === 1 ? (items[0] as Expression) : { kind: 'concat', items }
}

const parseProduct = (stream: TokenStream): Expression => parseBinary(stream, ['*', '/', '//', '%'], parsePower)
const parsePower = (stream: TokenStream): Expression => parseBinary(stream, ['**'], (inner) => parseUnary(inner, true))

function parseUnary(stream: TokenStream, withFilter: boolean): Expression {
  const sign = stream.isOperator('-', '+') ? (stream.next().value as '-' | '+') : undefined
  const value: Expression =
    sign === undefined ? parsePrimary(stream) : { kind: 'sign', sign, value: stream.nested(() => parseUnary(stream, false)) }
  const postfixed = parsePostfix(stream, value)
  return withFilter ? parseFiltersAndTests(stream, postfixed) : postfixed
}

/** A variable whose scope is yet to be found. */
export const newVariable = (name: string): Variable => ({ name, level: -1, slot: '' })

/** Names that are values. */
export const WORDS: Readonly<Record<string, null | boolean>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
}

/** A name or a literal. */
export function parsePrimary(stream: TokenStream): Expression {
  const token = stream.current
  switch (token.type) {
    case 'name':
      stream.next()
      if (Object.hasOwn(WORDS, token.value)) return constant(WORDS[token.value] as null | boolean)
      return { kind: 'name', variable: newVariable(token.value) }
    case 'string': {
      let text = ''
      while (stream.is('string')) text += stream.next().value
      return constant(text)
    }
    case 'integer':
    case 'float':
      return parseNumber(stream, stream.next())
    case 'operator':
      if (token.value === '[') return parseList(stream)
      if (token.value === '{') return parseDict(stream)
      if (token.value === '(') {
        stream.next()
        const inner = stream.nested(() => parseTuple(stream, { parentheses: true }))
        stream.expect('operator', ')')
        return inner
      }
  }
  throw stream.error(`unexpected ${stream.shown()}`)
}

function parseNumber(stream: TokenStream, { type, value, line }: Token): Expression {
  if (type === 'integer') {
    if (value.length > 4300) throw stream.error('an integer of more than 4300 digits', line)
    return constant(BigInt(value))
  }
  const number = Number(value)
  if (!Number.isFinite(number)) throw stream.error(`the number ${value} is too large`, line)
  return constant(number)
}

export interface TupleOptions {
  readonly withIf?: boolean
  /** A name that ends it. */
  readonly endsAt?: string
  /** Whether it stands in parentheses, so that it may be empty. */
  readonly parentheses?: boolean
}

/** An expression, or a tuple if there are commas. */
export function parseTuple(stream: TokenStream, { withIf = true, endsAt, parentheses = false }: TupleOptions = {}): Expression {
  const { items, isTuple } = parseItems(stream, endsAt, () => parseExpression(stream, withIf))
  const [first] = items
  if (!isTuple && first !== undefined) return first
  if (!isTuple && !parentheses) throw stream.error(`Expected an expression, got ${stream.shown()}`)
  return { kind: 'tuple', items }
}

/** What stands between commas, up to the end of a tag or a parenthesis. */
export function parseItems<T>(
  stream: TokenStream,
  endsAt: string | undefined,
  parse: () => T,
): { readonly items: T[]; readonly isTuple: boolean } {
  const items: T[] = []
  let isTuple = false
  for (;;) {
    if (items.length > 0) stream.expect('operator', ',')
    if (stream.is('close') || stream.isOperator(')') || (endsAt !== undefined && stream.isName(endsAt))) break
    items.push(parse())
    if (!stream.isOperator(',')) break
    isTuple = true
  }
  return { items, isTuple }
}

function parseList(stream: TokenStream): Expression {
  stream.next()
  const items: Expression[] = []
  while (!stream.isOperator(']')) {
    if (items.length > 0) {
      stream.expect('operator', ',')
      if (stream.isOperator(']')) break
    }
    items.push(parseExpression(stream))
  }
  stream.expect('operator', ']')
  return { kind: 'list', items }
}

function parseDict(stream: TokenStream): Expression {
  stream.next()
  const entries: [Expression, Expression][] = []
  while (!stream.isOperator('}')) {
    if (entries.length > 0) {
      stream.expect('operator', ',')
      if (stream.isOperator('}')) break
    }
    const key = parseExpression(stream)
    stream.expect('operator', ':')
    entries.push([key, parseExpression(stream)])
  }
  stream.expect('operator', '}')
  return { kind: 'dict', entries }
}

function parsePostfix(stream: TokenStream, start: Expression): Expression {
  let value = start
  for (let length = 0; ; length++) {
    stream.chained(value, length)
    if (stream.isOperator('.', '[')) value = parseSubscript(stream, value)
    else if (stream.isOperator('(')) value = { kind: 'call', callee: value, args: parseArguments(stream) }
    else return value
  }
}

function parseFiltersAndTests(stream: TokenStream, start: Expression): Expression {
  let value = start
  for (let length = 0; ; length++) {
    stream.chained(value, length)
    if (stream.isOperator('|')) value = parseFilter(stream, value) as Expression
    else if (stream.isName('is')) value = parseTest(stream, value)
    else if (stream.isOperator('(')) value = { kind: 'call', callee: value, args: parseArguments(stream) }
    else return value
  }
}

function parseSubscript(stream: TokenStream, value: Expression): Expression {
  if (stream.next().value === '.') {
    const token = stream.next()
    if (token.type === 'name') return { kind: 'attribute', value, name: token.value }
    if (token.type !== 'integer') throw stream.error('expected name or number', token.line)
    return { kind: 'item', value, key: parseNumber(stream, token) }
  }
  const subscripts: (Expression | Bounds)[] = []
  while (!stream.isOperator(']')) {
    if (subscripts.length > 0) stream.expect('operator', ',')
    subscripts.push(parseSubscribed(stream))
  }
  stream.expect('operator', ']')
  const keys = subscripts.map((subscript) => {
    if (!('bounds' in subscript) || subscript.kind === 'slice') return subscript as Expression
    if (subscripts.length > 1) throw stream.error('a slice beside another subscript')
    return subscript
  })
  const [only] = keys
  if (keys.length !== 1 || only === undefined) return { kind: 'item', value, key: { kind: 'tuple', items: keys as Expression[] } }
  return only.kind === 'bounds' ? { kind: 'slice', value, bounds: only.bounds } : { kind: 'item', value, key: only }
}

/** `start:stop:step` between brackets. */
interface Bounds {
  readonly kind: 'bounds'
  readonly bounds: readonly (Expression | undefined)[]
}

function parseSubscribed(stream: TokenStream): Expression | Bounds {
  const start = stream.isOperator(':') ? undefined : parseExpression(stream)
  if (!stream.skipOperator(':')) return start as Expression
  const bound = (): Expression | undefined => (stream.isOperator(':', ']', ',') ? undefined : parseExpression(stream))
  const stop = bound()
  const step = stream.skipOperator(':') ? (stream.isOperator(']', ',') ? undefined : parseExpression(stream)) : undefined
  return { kind: 'bounds', bounds: [start, stop, step] }
}

/** What stands between the parentheses of a call. */
function parseArguments(stream: TokenStream): CallArguments {
  const { line } = stream.expect('operator', '(')
  const positional: Expression[] = []
  const named: [string, Expression][] = []
  let rest: Expression | undefined
  let namedRest: Expression | undefined
  const ensure = (fits: boolean): void => {
    if (!fits) throw stream.error('invalid syntax for function call expression', line)
  }
  for (let first = true; !stream.isOperator(')'); first = false) {
    if (!first) {
      stream.expect('operator', ',')
      if (stream.isOperator(')')) break
    }
    if (stream.isOperator('*')) {
      ensure(rest === undefined && namedRest === undefined)
      stream.next()
      rest = parseExpression(stream)
    } else if (stream.isOperator('**')) {
      ensure(namedRest === undefined)
      stream.next()
      namedRest = parseExpression(stream)
    } else if (stream.is('name') && stream.look().type === 'operator' && stream.look().value === '=') {
      ensure(namedRest === undefined)
      const name = stream.next().value
      stream.next()
      if (named.some(([known]) => known === name)) throw stream.error(`keyword argument repeated: ${name}`)
      named.push([name, parseExpression(stream)])
    } else {
      ensure(rest === undefined && namedRest === undefined && named.length === 0)
      positional.push(parseExpression(stream))
    }
  }
  stream.expect('operator', ')')
  return { positional, named, rest, namedRest }
}

/** `| filter | filter`; `inline` is the filter of a block, whose first has no bar. */
export function parseFilter(stream: TokenStream, start: Expression | undefined, inline = false): FilterExpression | undefined {
  let value = start
  for (let length = 0; (inline && length === 0) || stream.isOperator('|'); length++) {
    stream.chained(value, length)
    if (!inline || length > 0) stream.next()
    const { line } = stream.current
    const name = dottedName(stream)
    const args = stream.isOperator('(') ? parseArguments(stream) : noArguments
    value = { kind: 'filter', name, value, args, line }
  }
  return value as FilterExpression | undefined
}

function dottedName(stream: TokenStream): string {
  let name = stream.expect('name').value
  while (stream.skipOperator('.')) name += `.${stream.expect('name').value}`
  return name
}

function parseTest(stream: TokenStream, value: Expression): Expression {
  const { line } = stream.next()
  const negated = stream.skipName('not')
  const name = dottedName(stream)
  let args = noArguments
  if (stream.isOperator('(')) args = parseArguments(stream)
  else {
    const begins =
      stream.is('name') || stream.is('string') || stream.is('integer') || stream.is('float') || stream.isOperator('[', '{')
    if (begins && !stream.isName('else', 'or', 'and')) {
      if (stream.isName('is')) throw stream.error('You cannot chain multiple tests with is')
      args = { ...noArguments, positional: [parsePostfix(stream, parsePrimary(stream))] }
    }
  }
  const test: Expression = { kind: 'test', name, value, args, line }
  return negated ? { kind: 'not', value: test } : test
}

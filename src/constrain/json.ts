/** @file Texts of JSON as expressions: white space, strings, numbers, lists, objects, any value, one value. */
import type { JsonValue } from '../util/python-json.js'
import { anyCharacter, insideString } from './characters.js'
import {
  byteRange,
  either,
  literal,
  nothing,
  optional,
  repeat,
  rule,
  sequence,
  type Expression,
  type Rule,
} from './expression.js'

/** The deepest indentation that may be written. Without an end to it, a model that is unsure would write nothing else. */
const DEEPEST = 32

/** Digits that a number of 64 bits holds for certain; with them an exponent of two cannot leave its range. */
export const DIGITS = 15

const quote = literal('"')
const digit = byteRange(0x30, 0x39)
const space = optional(literal(' '))

/** None, a space, or a line break and an indentation: what `JSON.stringify` and Python's `json.dumps` write. */
export const whiteSpace: Expression = either(
  space,
  sequence(literal('\n'), repeat(either(literal(' '), literal('\t')), 0, DEEPEST)),
)

const comma = sequence(literal(','), whiteSpace)

/** A string of some inside. */
export const string = (inside: Expression): Expression => sequence(quote, inside, quote)

export const anyString: Expression = string(repeat(anyCharacter))

const wholePart = either(literal('0'), sequence(byteRange(0x31, 0x39), repeat(digit, 0, DIGITS - 1)))
const sign = optional(literal('-'))

export const anyInteger: Expression = either(literal('0'), sequence(sign, byteRange(0x31, 0x39), repeat(digit, 0, DIGITS - 1)))

export const anyNumber: Expression = sequence(
  sign,
  wholePart,
  optional(sequence(literal('.'), repeat(digit, 1, DIGITS))),
  optional(sequence(either(literal('e'), literal('E')), optional(either(literal('+'), literal('-'))), repeat(digit, 1, 2))),
)

/** A member of an object: its key, a string as it is written, and its value. */
export const member = (key: Expression, value: Expression): Expression => sequence(key, literal(':'), space, value)

/** Some items with commas between them. */
export function listed(item: Expression, min = 0, max = Infinity): Expression {
  if (max <= 0) return nothing
  const items = sequence(item, repeat(sequence(comma, item), Math.max(0, min - 1), max - 1))
  return min > 0 ? items : optional(items)
}

/** What follows something with a comma, or begins a list. */
export const following = (isFirst: boolean, item: Expression): Expression => (isFirst ? item : sequence(comma, item))

/** Brackets around a list. */
const around = (open: string, inside: Expression, close: string): Expression =>
  sequence(literal(open), whiteSpace, inside, whiteSpace, literal(close))

export const array = (items: Expression): Expression => around('[', items, ']')

export const object = (members: Expression): Expression => around('{', members, '}')

/** Any value of JSON. */
export const anyValue: Rule = rule(() =>
  either(anyString, anyNumber, anyObject, anyArray, literal('true'), literal('false'), literal('null')),
)

export const anyArray: Expression = array(listed(anyValue))

export const anyObject: Expression = object(listed(member(anyString, anyValue)))

/** One value, with white space where it may be. */
export function exactly(value: JsonValue): Expression {
  if (typeof value === 'string') return string(literal(insideString(value)))
  if (value === null || typeof value !== 'object') return literal(JSON.stringify(value))
  const list = <T>(items: readonly T[], each: (item: T) => Expression): Expression =>
    sequence(...items.map((item, i) => following(i === 0, each(item))))
  if (Array.isArray(value)) return array(list(value as readonly JsonValue[], exactly))
  return object(list(Object.entries(value), ([key, inner]) => member(exactly(key), exactly(inner as JsonValue))))
}

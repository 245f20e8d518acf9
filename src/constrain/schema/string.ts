/** @file Strings of a schema: their length, pattern and format. */
import { anyCharacter, plainCharacter } from '../characters.js'
import { never, repeat, type Expression } from '../expression.js'
import { formats } from '../formats.js'
import { both } from '../machine.js'
import { PatternError, patternInside } from '../pattern.js'
import { countOf, refuse, type SchemaObject } from './keywords.js'

/** The insides of strings that a pattern of a schema is found in. */
export function readPattern(pattern: unknown, place: string): Expression {
  if (typeof pattern !== 'string') refuse(place, `expected a pattern, got ${JSON.stringify(pattern)}`)
  try {
    return patternInside(pattern)
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause
    return refuse(
      place,
      `the pattern ${JSON.stringify(pattern)} has ${cause.message}, which cannot be followed; write it without`,
    )
  }
}

function readFormat(format: unknown, place: string): Expression {
  if (typeof format === 'string' && Object.hasOwn(formats, format)) return patternInside(formats[format]!)
  return refuse(
    place,
    `the format ${JSON.stringify(format)} is not known; use one of ${Object.keys(formats).join(', ')}, a "pattern", or leave it out`,
  )
}

/** What is between the quotes. @throws InvalidOptionError if no string fits */
export function readString(schema: SchemaObject, place: string): Expression {
  const [min, max] = [countOf(schema, 'minLength', place) ?? 0, countOf(schema, 'maxLength', place) ?? Infinity]
  if (min > max) refuse(place, `no string has a length of at least ${min} and at most ${max}`)
  const shapes: Expression[] = []
  if (schema['pattern'] !== undefined) shapes.push(readPattern(schema['pattern'], `${place}/pattern`))
  if (schema['format'] !== undefined) shapes.push(readFormat(schema['format'], `${place}/format`))
  if (shapes.length === 0) return repeat(anyCharacter, min, max)
  if (min > 0 || max < Infinity) shapes.push(repeat(plainCharacter, min, max))
  const inside = shapes.reduce(both)
  return inside === never ? refuse(place, `no string has ${Object.keys(schema).join(', ')} as they are here`) : inside
}

/** @file The keywords of JSON Schema that are understood, and how all others are refused. */
import { InvalidOptionError } from '../../errors.js'
import { isObject } from '../../util/json.js'

/** A schema that is an object. */
export type SchemaObject = Readonly<Record<string, unknown>>

export const typeNames = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const

export type TypeName = (typeof typeNames)[number]

/** Says nothing of a value. */
const annotations = [
  ...['title', 'description', 'default', 'examples', 'example', 'deprecated', 'readOnly', 'writeOnly'],
  ...['$schema', '$id', 'id', '$comment', '$defs', 'definitions'],
]

/** What of a value of a type is asked for. */
export const keywordsOf = {
  object: [
    'properties',
    'required',
    'additionalProperties',
    'patternProperties',
    'propertyNames',
    'minProperties',
    'maxProperties',
  ],
  array: ['items', 'prefixItems', 'additionalItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
} as const

const known: ReadonlySet<string> = new Set([
  ...annotations,
  ...Object.values(keywordsOf).flat(),
  ...['$ref', 'allOf', 'anyOf', 'oneOf', 'type', 'enum', 'const'],
])

/** Why a schema cannot be followed. @param place where, as a JSON pointer */
export function refuse(place: string, what: string): never {
  throw new InvalidOptionError(`schema at ${place}: ${what}`)
}

/** What is asked of a value beside annotations. */
export const assertionsOf = (schema: SchemaObject): SchemaObject =>
  Object.fromEntries(Object.entries(schema).filter(([keyword, value]) => !annotations.includes(keyword) && value !== undefined))

/** A schema whose keywords are all understood. @throws InvalidOptionError naming one that is not */
export function checkSchema(schema: unknown, place: string): boolean | SchemaObject {
  if (typeof schema === 'boolean') return schema
  if (!isObject(schema))
    refuse(place, `expected a schema (an object, true or false), got ${JSON.stringify(schema)?.slice(0, 60)}`)
  const strange = Object.keys(schema).find((keyword) => !known.has(keyword) && !keyword.startsWith('x-'))
  if (strange !== undefined)
    refuse(
      place,
      `the keyword "${strange}" is not supported, and what cannot be kept is not ignored; leave it out, or say it by ${[...known].filter((keyword) => !annotations.includes(keyword)).join(', ')}`,
    )
  return schema
}

/** The types that a schema names. */
export function namedTypes(schema: SchemaObject, place: string): readonly TypeName[] | undefined {
  const { type } = schema
  if (type === undefined) return undefined
  const types: readonly unknown[] = Array.isArray(type) ? type : [type]
  const strange = types.find((name) => !typeNames.includes(name as TypeName))
  if (strange !== undefined || types.length === 0)
    refuse(`${place}/type`, `expected one of ${typeNames.join(', ')}, or a list of them, got ${JSON.stringify(type)}`)
  return types as readonly TypeName[]
}

/** The types of values that a schema is for: those it names, those that its keywords are about, or all. */
export function typesOf(schema: SchemaObject, place: string): readonly TypeName[] {
  const named = namedTypes(schema, place)
  if (named !== undefined) return named
  const about = (Object.keys(keywordsOf) as (keyof typeof keywordsOf)[]).filter((type) =>
    keywordsOf[type].some((keyword) => schema[keyword] !== undefined),
  )
  return about.length > 0 ? about : typeNames.filter((name) => name !== 'integer')
}

/** A count that a keyword gives. */
export function countOf(schema: SchemaObject, keyword: string, place: string): number | undefined {
  const value = schema[keyword]
  if (value === undefined) return undefined
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  return refuse(`${place}/${keyword}`, `expected a whole number of at least 0, got ${JSON.stringify(value)}`)
}

/** A part of a JSON pointer. */
export const pointerPart = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')

/** @file Whether what is written of one schema can never be a value of another, as `oneOf` asks of its branches. */
import { isObject } from '../../util/json.js'
import { typesOf, type SchemaObject } from './keywords.js'
import { sameJson } from './merge.js'

type Flat = boolean | SchemaObject

/** The values of a schema, where it lists them. */
function valuesOf(schema: SchemaObject): readonly unknown[] | undefined {
  if (schema['const'] !== undefined) return [schema['const']]
  return Array.isArray(schema['enum']) ? (schema['enum'] as unknown[]) : undefined
}

const typeOfValue = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)

/** The types of values that may be written, or that may be allowed: without a type all. @param isWritten which of the two */
function kindsOf(schema: SchemaObject, isWritten: boolean): ReadonlySet<string> {
  const values = valuesOf(schema)
  if (values !== undefined) return new Set(values.map(typeOfValue))
  const named = isWritten || schema['type'] !== undefined ? typesOf(schema, '#') : typesOf({}, '#')
  return new Set(named.map((type) => (type === 'integer' ? 'number' : type)))
}

const propertiesOf = (schema: SchemaObject): SchemaObject => (isObject(schema['properties']) ? schema['properties'] : {})
const requiredOf = (schema: SchemaObject): readonly string[] =>
  Array.isArray(schema['required']) ? (schema['required'] as string[]) : []

/** How deep properties are compared: a schema may come to itself. */
const DEEPEST = 8

/** Whether what is written of `one` is never a value of `other`. @param resolve follows references */
export function excludes(one: Flat, other: Flat, resolve: (schema: unknown) => Flat, depth = 0): boolean {
  if (depth > DEEPEST) return false
  if (one === false || other === false) return true
  if (one === true || other === true) return false
  if ('anyOf' in one || 'oneOf' in one || 'anyOf' in other || 'oneOf' in other) return false
  const [written, allowed] = [kindsOf(one, true), kindsOf(other, false)]
  const common = [...written].filter((type) => allowed.has(type))
  if (common.length === 0) return true
  const [values, others] = [valuesOf(one), valuesOf(other)]
  if (values !== undefined && others !== undefined) return !values.some((value) => others.some((each) => sameJson(value, each)))
  if (common.length > 1 || common[0] !== 'object' || values !== undefined || others !== undefined) return false
  const [own, theirs] = [propertiesOf(one), propertiesOf(other)]
  const { additionalProperties, patternProperties } = one
  const isClosed =
    (additionalProperties === false || (additionalProperties === undefined && Object.keys(own).length > 0)) &&
    patternProperties === undefined
  const mayWrite = (name: string): boolean => !isClosed || name in own || requiredOf(one).includes(name)
  if (requiredOf(other).some((name) => !mayWrite(name))) return true
  return requiredOf(one).some(
    (name) => name in own && name in theirs && excludes(resolve(own[name]), resolve(theirs[name]), resolve, depth + 1),
  )
}

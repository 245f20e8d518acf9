/** @file A JSON Schema as an expression: every text of it is a value that the schema allows. */
import type { JsonValue } from '../../util/python-json.js'
import { isObject } from '../../util/json.js'
import { boundedNumber, type NumberRange } from '../bounded-number.js'
import { canEnd, either, literal, never, rule, type Expression, type Rule } from '../expression.js'
import { anyInteger, anyNumber, anyString, anyValue, DIGITS, exactly, string } from '../json.js'
import { readArray } from './array.js'
import { excludes } from './excludes.js'
import { assertionsOf, checkSchema, keywordsOf, refuse, typesOf, type SchemaObject, type TypeName } from './keywords.js'
import { merge, sameJson } from './merge.js'
import { readObject } from './object.js'
import { readString } from './string.js'

/** Schemas deeper in one another, or in themselves by what they merge, are refused. */
const DEEPEST = 64
/** Alternatives that may be multiplied by one another. */
const MOST_BRANCHES = 1000

/**
 * What a schema allows, as text.
 *
 * Properties come in the order of the schema. Of what a schema leaves open, what is written is what it names: an object with
 * `properties` has no others unless `additionalProperties` says so, and a tuple is whole.
 * @throws InvalidOptionError naming a keyword that is not supported, or a value of it that is wrong, and where it is
 */
export const readSchema = (schema: unknown): Expression => new Reader(schema).whole()

class Reader {
  /** What references lead to that were read, or are being read. */
  private readonly bodies = new Map<string, Expression | undefined>()
  /** Those that a schema within them came back to. */
  private readonly rules = new Map<string, Rule>()
  private depth = 0
  private branches = 0

  constructor(private readonly root: unknown) {}

  whole(): Expression {
    const found = this.reference('#', '#')
    if (canEnd(found, [...this.rules.values(), anyValue])) return found
    return refuse(
      '#',
      found === never ? 'it allows no value at all' : 'its values hold themselves, so that none of them has an end',
    )
  }

  private readonly read = (given: unknown, place: string): Expression => {
    if (++this.depth > DEEPEST)
      refuse(place, `schemas lie more than ${DEEPEST} deep in one another, or come to themselves through "allOf"`)
    const found = this.readHere(given, place)
    this.depth--
    return found
  }

  private readHere(given: unknown, place: string): Expression {
    const checked = checkSchema(given, place)
    if (typeof checked === 'boolean') return checked ? anyValue : never
    const schema = assertionsOf(checked)
    const { $ref, allOf, anyOf, oneOf, ...rest } = schema
    if ($ref !== undefined && Object.keys(schema).length === 1) return this.reference($ref, place)
    if ($ref !== undefined || allOf !== undefined) return this.read(this.joined(schema, place), place)
    if (oneOf !== undefined) return this.readBranches(oneOf, 'oneOf', { ...rest, ...(anyOf !== undefined && { anyOf }) }, place)
    if (anyOf !== undefined) return this.readBranches(anyOf, 'anyOf', rest, place)
    if (schema['const'] !== undefined || schema['enum'] !== undefined) return this.readValues(schema, place)
    if (Object.keys(schema).length === 0) return anyValue
    return either(...typesOf(schema, place).map((type) => this.readType(type, schema, place)))
  }

  /** Where a reference leads, read once. */
  private reference($ref: unknown, place: string): Expression {
    const target = this.resolve($ref, place)
    const key = $ref as string
    const body = this.bodies.get(key)
    if (body !== undefined) return body
    if (this.bodies.has(key)) return this.ruleOf(key)
    this.bodies.set(key, undefined)
    // Not counted as nested: it is read on its own.
    const { depth } = this
    this.depth = 0
    const found = this.read(this.followed(target, key), key)
    this.depth = depth
    this.bodies.set(key, found)
    return found
  }

  private ruleOf(key: string): Expression {
    let found = this.rules.get(key)
    if (found === undefined) this.rules.set(key, (found = rule(() => this.bodies.get(key)!)))
    return found
  }

  /** The schema at a pointer. */
  private resolve($ref: unknown, place: string): unknown {
    if (typeof $ref !== 'string' || !/^#(\/|$)/.test($ref))
      refuse(`${place}/$ref`, `expected a pointer within the schema ("#/$defs/name"), got ${JSON.stringify($ref)}`)
    let found: unknown = this.root
    for (const part of $ref.split('/').slice(1)) {
      const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
      const inside = typeof found === 'object' && found !== null && Object.hasOwn(found, name)
      if (!inside) refuse(`${place}/$ref`, `${$ref} leads nowhere: there is no "${name}"`)
      found = (found as Record<string, unknown>)[name]
    }
    return found
  }

  /** A schema that is no mere reference: a circle of them would never begin. */
  private followed(schema: unknown, place: string): unknown {
    const seen = new Set<unknown>()
    let found = schema
    for (;;) {
      if (!isObject(found) || found['$ref'] === undefined || Object.keys(assertionsOf(found)).length > 1) return found
      if (seen.has(found)) refuse(place, 'the references lead in a circle and never to a schema')
      seen.add(found)
      found = this.resolve(found['$ref'], place)
    }
  }

  /** What `$ref` and `allOf` say, together with what stands beside them. */
  private joined({ $ref, allOf = [], ...rest }: SchemaObject, place: string): boolean | SchemaObject {
    if (!Array.isArray(allOf)) refuse(`${place}/allOf`, `expected a list of schemas, got ${JSON.stringify(allOf)}`)
    const parts: (readonly [unknown, string])[] = allOf.map((part: unknown, i) => [part, `${place}/allOf/${i}`])
    if ($ref !== undefined) parts.push([this.resolve($ref, place), $ref as string])
    let all: SchemaObject = rest
    for (const [part, at] of parts) {
      const flat = this.flat(part, at)
      if (flat === false) return false
      if (flat !== true) all = merge(all, flat, place)
    }
    return all
  }

  /** A schema without `$ref` and `allOf`. */
  private flat(given: unknown, place: string): boolean | SchemaObject {
    if (++this.depth > DEEPEST)
      refuse(place, `schemas lie more than ${DEEPEST} deep in one another, or come to themselves through "allOf"`)
    const checked = checkSchema(given, place)
    const found =
      typeof checked !== 'boolean' && ('$ref' in checked || 'allOf' in checked)
        ? this.joined(assertionsOf(checked), place)
        : checked
    this.depth--
    return found
  }

  private readBranches(given: unknown, keyword: 'anyOf' | 'oneOf', beside: SchemaObject, place: string): Expression {
    if (!Array.isArray(given) || given.length === 0)
      refuse(`${place}/${keyword}`, `expected a list of schemas with at least one, got ${JSON.stringify(given)}`)
    this.branches += given.length
    if (this.branches > MOST_BRANCHES) refuse(place, `there are more than ${MOST_BRANCHES} alternatives in all`)
    const places = given.map((_, i) => `${place}/${keyword}/${i}`)
    if (keyword === 'oneOf' && given.length > 1) this.checkOneOf(given, places, place)
    const isAlone = Object.keys(beside).length === 0
    return either(
      ...given.map((branch: unknown, i) => {
        const at = places[i]!
        if (isAlone) return this.read(branch, at)
        const flat = this.flat(branch, at)
        return typeof flat === 'boolean' ? (flat ? this.read(beside, place) : never) : this.read(merge(beside, flat, at), at)
      }),
    )
  }

  /** Of `oneOf` exactly one must hold: what is written of one must not be of another. */
  private checkOneOf(branches: readonly unknown[], places: readonly string[], place: string): void {
    const flat = branches.map((branch, i) => this.flat(branch, places[i]!))
    const resolve = (schema: unknown): boolean | SchemaObject => this.flat(schema, place)
    flat.forEach((one, i) =>
      flat.forEach((other, j) => {
        if (i !== j && !excludes(one, other, resolve))
          refuse(
            `${place}/oneOf`,
            `a value of branch ${i} may be one of branch ${j} too; use "anyOf", or tell them apart by type or by a property with "const"`,
          )
      }),
    )
  }

  private readValues(schema: SchemaObject, place: string): Expression {
    const { type, const: only, enum: values = [only], ...others } = schema
    const beside = Object.keys(others)[0]
    if (beside !== undefined) refuse(place, `"${beside}" stands beside values that are listed; list those that it allows`)
    if (!Array.isArray(values)) refuse(`${place}/enum`, `expected a list of values, got ${JSON.stringify(values)}`)
    const types = type === undefined ? undefined : typesOf({ type }, place)
    const fits = (value: unknown): boolean =>
      (types === undefined || types.some((name) => isOfType(value, name))) && (only === undefined || sameJson(value, only))
    return either(...values.filter(fits).map((value) => exactly(value as JsonValue)))
  }

  private readType(type: TypeName, schema: SchemaObject, place: string): Expression {
    switch (type) {
      case 'object':
        return readObject(schema, place, this.read)
      case 'array':
        return readArray(schema, place, this.read)
      case 'string':
        return keywordsOf.string.some((keyword) => schema[keyword] !== undefined) ? string(readString(schema, place)) : anyString
      case 'boolean':
        return either(literal('true'), literal('false'))
      case 'null':
        return literal('null')
      default:
        return readNumber(schema, type === 'integer', place)
    }
  }
}

/** Whether a value of JSON is of a type. */
export function isOfType(value: unknown, type: TypeName): boolean {
  if (value === null) return type === 'null'
  if (Array.isArray(value)) return type === 'array'
  if (type === 'integer') return Number.isInteger(value)
  return typeof value === type
}

function readNumber(schema: SchemaObject, isInteger: boolean, place: string): Expression {
  const asked: Record<string, number> = {}
  for (const keyword of keywordsOf.number) {
    const value = schema[keyword]
    if (value === undefined) continue
    if (typeof value !== 'number' || !Number.isFinite(value))
      refuse(`${place}/${keyword}`, `expected a number, got ${JSON.stringify(value)}`)
    asked[keyword] = value
  }
  const { multipleOf } = asked
  if (multipleOf !== undefined && !(Number.isSafeInteger(multipleOf) && multipleOf > 0))
    refuse(`${place}/multipleOf`, `only multiples of a whole number above 0 can be told digit by digit, got ${multipleOf}`)
  const integer = isInteger || multipleOf !== undefined
  // Bounds that no number of so many digits comes to, as programs write them for "any safe integer".
  const furthest = 10 ** DIGITS
  const isBound = multipleOf !== undefined || Object.values(asked).some((bound) => Math.abs(bound) < furthest)
  const isWide = Object.entries(asked).every(([keyword, bound]) => (/inimum$/.test(keyword) ? bound < 0 : bound > 0))
  if (!isBound && isWide) return integer ? anyInteger : anyNumber
  const numbers = boundedNumber({ ...asked, integer } as NumberRange)
  return (
    numbers ??
    refuse(
      place,
      `no ${integer ? 'integer' : 'number'} of at most ${DIGITS} digits has ${Object.entries(asked)
        .map(([keyword, value]) => `${keyword} ${value}`)
        .join(', ')}`,
    )
  )
}

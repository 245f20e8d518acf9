/** @file Objects of a schema: properties in the order of the schema, then those that it does not name. */
import { isObject } from '../../util/json.js'
import { insideString, plainCharacter } from '../characters.js'
import { either, literal, never, nothing, repeat, sequence, type Expression } from '../expression.js'
import { exactly, following, listed, member, object, string } from '../json.js'
import { accepts, both, except } from '../machine.js'
import { countOf, pointerPart, refuse, type SchemaObject } from './keywords.js'
import { readPattern, readString } from './string.js'

type Read = (schema: unknown, place: string) => Expression

/** A property of a known name. */
interface Property {
  readonly written: Expression
  readonly isRequired: boolean
}

/** What a keyword holds that is an object of schemas. */
function schemasOf(schema: SchemaObject, keyword: string, place: string): SchemaObject {
  const value = schema[keyword] ?? {}
  return isObject(value) ? value : refuse(`${place}/${keyword}`, `expected an object of schemas, got ${JSON.stringify(value)}`)
}

function requiredOf({ required = [] }: SchemaObject, place: string): readonly string[] {
  if (Array.isArray(required) && required.every((name) => typeof name === 'string')) return required as string[]
  return refuse(`${place}/required`, `expected a list of names, got ${JSON.stringify(required)}`)
}

/**
 * The object as text. Where `additionalProperties` says nothing, names beside those of `properties` are not written; an object without
 * any of them may have all.
 */
export function readObject(schema: SchemaObject, place: string, read: Read): Expression {
  const named = schemasOf(schema, 'properties', place)
  const patterns = Object.entries(schemasOf(schema, 'patternProperties', place)).map(([pattern, value]) => {
    const at = `${place}/patternProperties/${pointerPart(pattern)}`
    return { inside: readPattern(pattern, at), value, place: at }
  })
  const required = requiredOf(schema, place)
  const nameRule = schema['propertyNames']
  const mayBeNamed = nameRule === undefined ? undefined : readNames(nameRule, `${place}/propertyNames`)
  const others = schema['additionalProperties']
  const isOpen = others !== false && (others !== undefined || (Object.keys(named).length === 0 && patterns.length === 0))

  const valueOf = (name: string): Expression => {
    const rules = patterns.filter(({ inside }) => accepts(inside, insideString(name)))
    const own = Object.hasOwn(named, name) ? [{ value: named[name], place: `${place}/properties/${pointerPart(name)}` }] : []
    const [only, ...more] = [...own, ...rules]
    if (only === undefined) return read(others ?? true, `${place}/additionalProperties`)
    return more.length === 0
      ? read(only.value, only.place)
      : read({ allOf: [only, ...more].map(({ value }) => value) }, only.place)
  }
  const names = [...new Set([...Object.keys(named), ...required])]
  const properties = names.flatMap((name): Property[] => {
    const isRequired = required.includes(name)
    const fits = mayBeNamed === undefined || accepts(mayBeNamed, insideString(name))
    const value = fits ? valueOf(name) : never
    if (value === never && isRequired) refuse(place, `"${name}" is required, but no value of it is allowed`)
    return value === never ? [] : [{ written: member(exactly(name), value), isRequired }]
  })

  const taken = either(...names.map((name) => literal(insideString(name))))
  const free = patterns.map(({ inside, value, place: at }, i) => {
    const rest = either(taken, ...patterns.filter((_, j) => j !== i).map((pattern) => pattern.inside))
    return freeMember(except(inside, rest), mayBeNamed, read(value, at))
  })
  if (isOpen) {
    const key = except(repeat(plainCharacter), either(taken, ...patterns.map(({ inside }) => inside)))
    free.push(freeMember(key, mayBeNamed, read(others ?? true, `${place}/additionalProperties`)))
  }
  const [min, max] = [countOf(schema, 'minProperties', place) ?? 0, countOf(schema, 'maxProperties', place) ?? Infinity]
  const members = membersOf(properties, either(...free), min, max)
  if (members !== never) return object(members)
  return refuse(
    place,
    `no object can be written that has between ${min} and ${max} properties; of those without names one is all that is sure to differ from others`,
  )
}

/** What names may be, between their quotes. */
function readNames(schema: unknown, place: string): Expression {
  if (isObject(schema) && (schema['type'] ?? 'string') === 'string') {
    const { type: _, ...rules } = schema
    if (Array.isArray(rules['enum']) && Object.keys(rules).length === 1)
      return either(...rules['enum'].map((name) => literal(insideString(String(name)))))
    const other = Object.keys(rules).find((keyword) => !['pattern', 'minLength', 'maxLength', 'format'].includes(keyword))
    if (other === undefined) return both(readString(rules, place), repeat(plainCharacter))
  }
  return refuse(place, 'only pattern, minLength, maxLength, format, or enum alone, can be asked of names')
}

function freeMember(key: Expression, mayBeNamed: Expression | undefined, value: Expression): Expression {
  const inside = mayBeNamed === undefined ? key : both(key, mayBeNamed)
  return inside === never || value === never ? never : member(string(inside), value)
}

/**
 * Members in their order, each required one and any of the others, then free ones: of two of these the names may be the same, so that
 * no more than one counts for `min`.
 */
function membersOf(properties: readonly Property[], free: Expression, min: number, max: number): Expression {
  const isCounted = min > 0 || max < Infinity
  const known = new Map<string, Expression>()
  const from = (index: number, before: number): Expression => {
    // How many came before matters only where they are counted.
    const key = `${index}/${isCounted ? before : Math.min(before, 1)}`
    let found = known.get(key)
    if (found === undefined) known.set(key, (found = make(index, before)))
    return found
  }
  const make = (index: number, before: number): Expression => {
    if (index === properties.length) return ending(before)
    const { written, isRequired } = properties[index]!
    const rest = before < max ? from(index + 1, before + 1) : never
    const taken = rest === never ? never : sequence(following(before === 0, written), rest)
    return isRequired ? taken : either(taken, from(index + 1, before))
  }
  const ending = (before: number): Expression => {
    const missing = min - before
    if (missing > 1 || (missing === 1 && free === never) || before > max) return never
    if (free === never || before === max) return nothing
    if (before === 0) return listed(free, Math.max(0, missing), max)
    const more = repeat(following(false, free), 0, max - before)
    return missing > 0 ? sequence(following(false, free), repeat(following(false, free), 0, max - before - 1)) : more
  }
  return from(0, 0)
}

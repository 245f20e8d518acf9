/** @file Two schemas that both hold, as one. */
import { isObject } from '../../util/json.js'
import { assertionsOf, refuse, type SchemaObject } from './keywords.js'

/** Whether two values of JSON are equal. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((each, i) => sameJson(each, b[i]))
  if (!isObject(a)) return a === b
  const names = Object.keys(a)
  return (
    isObject(b) &&
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]))
  )
}

type Joined = (a: unknown, b: unknown) => unknown

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : [value])
const smaller: Joined = (a, b) => Math.min(a as number, b as number)
const larger: Joined = (a, b) => Math.max(a as number, b as number)

/** Types that two lists have in common; an integer is a number. */
const commonTypes: Joined = (a, b) => {
  const [first, second] = [list(a), list(b)]
  const has = (types: readonly unknown[], type: unknown): boolean =>
    types.includes(type) || (type === 'integer' && types.includes('number'))
  return [...new Set([...first.filter((type) => has(second, type)), ...second.filter((type) => has(first, type))])]
}

/** Names of either; where both have one, what both say of it. */
const commonProperties: Joined = (a, b) => {
  const [first, second] = [a as SchemaObject, b as SchemaObject]
  const shared = Object.keys(second).filter((name) => Object.hasOwn(first, name) && !sameJson(first[name], second[name]))
  return { ...first, ...second, ...Object.fromEntries(shared.map((name) => [name, { allOf: [first[name], second[name]] }])) }
}

const each: Joined = (a, b) => list(a).flatMap((first) => list(b).map((second) => ({ allOf: [first, second] })))

const joins: Readonly<Record<string, Joined>> = {
  type: commonTypes,
  properties: commonProperties,
  required: (a, b) => [...new Set([...list(a), ...list(b)])],
  enum: (a, b) => list(a).filter((first) => list(b).some((second) => sameJson(first, second))),
  items: (a, b) => ({ allOf: [a, b] }),
  anyOf: each,
  ...Object.fromEntries(['minProperties', 'minItems', 'minLength', 'minimum', 'exclusiveMinimum'].map((name) => [name, larger])),
  ...Object.fromEntries(['maxProperties', 'maxItems', 'maxLength', 'maximum', 'exclusiveMaximum'].map((name) => [name, smaller])),
  uniqueItems: (a, b) => a === true || b === true,
}

/** Names that a schema closes its objects to. */
function closedTo({ additionalProperties, properties = {}, patternProperties }: SchemaObject): ReadonlySet<string> | undefined {
  const isOpen = (additionalProperties === undefined || additionalProperties === true) && patternProperties === undefined
  return isOpen ? undefined : new Set(Object.keys(properties as SchemaObject))
}

/**
 * The schema of values that two others allow.
 * @throws InvalidOptionError naming a keyword of which both have one that cannot be joined
 */
export function merge(first: SchemaObject, second: SchemaObject, place: string): SchemaObject {
  const [a, b] = [assertionsOf(first), assertionsOf(second)]
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    // prettier-ignore
    const names = closedTo(one)
    const strange = names && Object.keys((other['properties'] ?? {}) as SchemaObject).find((name) => !names.has(name))
    if (strange !== undefined)
      refuse(
        place,
        `"additionalProperties" of one schema is about the property "${strange}" of another that holds beside it; write the properties into one schema`,
      )
  }
  const merged: Record<string, unknown> = { ...a, ...b }
  for (const [keyword, value] of Object.entries(b)) {
    const before = a[keyword]
    if (before === undefined || sameJson(before, value)) continue
    const join = joins[keyword]
    if (join === undefined)
      refuse(
        place,
        `"${keyword}" is given twice by schemas that hold together, as ${short(before)} and ${short(value)}; give one`,
      )
    merged[keyword] = join(before, value)
  }
  return merged
}

const short = (value: unknown): string => JSON.stringify(value).slice(0, 60)

/** @file Lists of a schema: their items, and how many. */
import { nothing, optional, sequence, type Expression } from '../expression.js'
import { array, following, listed } from '../json.js'
import { countOf, refuse, type SchemaObject } from './keywords.js'

type Read = (schema: unknown, place: string) => Expression

/**
 * The list as text. A tuple (`prefixItems`) is written whole, unless there may not be so many items, and has more only where
 * `items` says of which kind.
 */
export function readArray(schema: SchemaObject, place: string, read: Read): Expression {
  // Tuples were lists of `items` once, and the others `additionalItems`.
  const isOld = Array.isArray(schema['items'])
  const first = isOld ? 'items' : 'prefixItems'
  const others = isOld ? 'additionalItems' : 'items'
  if (!isOld && schema['additionalItems'] !== undefined)
    refuse(place, '"additionalItems" says something only beside "items" that is a list; leave it out')
  const tuple: unknown = schema[first] ?? []
  if (!Array.isArray(tuple)) refuse(`${place}/${first}`, `expected a list of schemas, got ${JSON.stringify(tuple)}`)
  const [min, max] = [countOf(schema, 'minItems', place) ?? 0, countOf(schema, 'maxItems', place) ?? Infinity]
  if (min > max) refuse(place, `no list has at least ${min} and at most ${max} items`)
  if (schema['uniqueItems'] === true && max > 1)
    refuse(`${place}/uniqueItems`, 'that items differ from one another cannot be kept while they are written; leave it out')
  const items = tuple.slice(0, max).map((item, i) => read(item, `${place}/${first}/${i}`))
  const given = schema[others]
  const isOpen = given !== false && (given !== undefined || tuple.length === 0 || min > tuple.length)
  if (!isOpen && min > tuple.length) refuse(place, `"minItems" asks for ${min} items, but there are no more than ${tuple.length}`)
  const beginning = sequence(...items.map((item, i) => following(i === 0, item)))
  const [least, most] = [Math.max(0, min - items.length), max - items.length]
  const more = isOpen && most > 0 ? read(given ?? true, `${place}/${others}`) : undefined
  return array(sequence(beginning, more === undefined ? nothing : behind(items.length > 0, more, least, most)))
}

/** Items behind others, or alone. */
function behind(hasOthers: boolean, item: Expression, least: number, most: number): Expression {
  if (!hasOthers) return listed(item, least, most)
  const items = following(false, listed(item, Math.max(1, least), most))
  return least > 0 ? items : optional(items)
}

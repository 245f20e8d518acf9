/** @file Constraints kept by what they ask for: what is found out of a schema for one request is there for the next. */
import type { Constraint } from '../../public.js'
import type { Service } from '../service.js'

/** Schemas that are kept; those that were asked for last. */
const MOST = 64

const kept = new WeakMap<Service, Map<string, Constraint>>()

/** The constraint of a key, made unless it is there. */
export function keptConstraint(service: Service, key: unknown, make: () => Constraint): Constraint {
  let known = kept.get(service)
  if (known === undefined) kept.set(service, (known = new Map()))
  const text = JSON.stringify(key)
  const found = known.get(text) ?? make()
  // The last of a map is what was put there last.
  known.delete(text)
  known.set(text, found)
  if (known.size > MOST) known.delete(known.keys().next().value!)
  return found
}

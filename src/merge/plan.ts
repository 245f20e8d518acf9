/** @file What adapters change, by weight. */
import type { WeightDelta } from '../adapters/weight-delta.js'

/** Changes of weights by their names in the model's graph; several of one weight are applied in order. */
export type Deltas = ReadonlyMap<string, readonly WeightDelta[]>

/** Changes in the order they are given, by the weight that they change. */
export function byWeight(changes: Iterable<readonly [weight: string, delta: WeightDelta]>): Deltas {
  const result = new Map<string, WeightDelta[]>()
  for (const [weight, delta] of changes) result.set(weight, [...(result.get(weight) ?? []), delta])
  return result
}

/** @file The plan where every weight is a tensor under the name of the layer that it is of: checkpoints, and graphs of ours. */
import { keeperOf, type WeightDelta } from '../adapters/weight-delta.js'
import type { Initializer } from '../graph/types.js'
import type { WeightToMerge } from './merged-weight.js'
import { planMerge, type Deltas } from './plan.js'

/** A tensor to be written: where its base comes from and what is added. */
export interface PlannedTensor extends WeightToMerge {
  /** Tensor of the base that it was one with, where it has become one of its own. */
  readonly untiedFrom?: string
}

/** What a plan by names needs to know. */
export interface NamedTensors {
  /** Path of the model, for messages. */
  readonly source: string
  /** All that are written, by the names that they have there. */
  readonly tensors: ReadonlyMap<string, Initializer>
  /** What a weight of the model's graph is called there; the same by default. */
  readonly nameOf?: (weight: string) => string | undefined
  /** Element type that a tensor is written in; its own by default. */
  readonly storedAs?: (tensor: Initializer) => Initializer['dtype']
}

const weightOf = (module: string): string => `${module}.weight`

/** A weight bears the name of the embedding; the head that is tied to it has none. */
const isShared = (weight: string, delta: WeightDelta): boolean =>
  keeperOf(delta) !== undefined || (weight.endsWith('.weight') && weight !== weightOf(delta.module))

/**
 * What each tensor of the output is made of, by its name; new ones come last. An adapted output head whose weight is tied to
 * the embedding becomes a tensor of its own, and so does the head of an adapted embedding, which keeps the base's.
 * @throws InvalidAdapterError for changes that cannot be merged
 */
export function planTensors(deltas: Deltas, named: NamedTensors): Map<string, PlannedTensor> {
  const { source, tensors, nameOf = (weight) => weight, storedAs = ({ dtype }) => dtype } = named
  const planned = (name: string, base: Initializer, changes: readonly WeightDelta[] = []): PlannedTensor => ({
    ...{ name, base, deltas: changes, dtype: storedAs(base) },
  })
  const plans = new Map([...tensors].map(([name, base]) => [name, planned(name, base)]))
  const base = (weight: string) => {
    const name = nameOf(weight)
    const tensor = name === undefined ? undefined : tensors.get(name)
    return tensor && { name: name!, shape: tensor.shape, dtype: storedAs(tensor), tensor }
  }
  const changes = planMerge(deltas, { source, base, isShared })
  const untie = (module: string, from: (typeof changes)[number]['base'], list: readonly WeightDelta[]): void => {
    plans.set(weightOf(module), { ...planned(weightOf(module), from.tensor, list), untiedFrom: from.name })
  }
  for (const { weight, base: from, deltas: list, only } of changes) {
    if (only !== undefined && weightOf(only) !== weight) {
      untie(only, from, list)
      continue
    }
    plans.set(from.name, planned(from.name, from.tensor, list))
  }
  for (const { base: from, deltas: list } of changes)
    for (const delta of list) {
      const keeper = keeperOf(delta)
      if (keeper !== undefined && !plans.has(weightOf(keeper))) untie(keeper, from, [])
    }
  return plans
}

/** @file What merging changes: the plan that every kind of file is written by. */
import { isOfOneLayer, misfit, type WeightDelta } from '../adapters/weight-delta.js'
import { InvalidAdapterError } from '../errors.js'
import { formatShape, type Initializer } from '../graph/types.js'
import { isStoredType } from './stored-type.js'

/** Changes of weights by their names in the model's graph; several of one weight are applied in order. */
export type Deltas = ReadonlyMap<string, readonly WeightDelta[]>

/** Changes in the order they are given, by the weight that they change. */
export function byWeight(changes: Iterable<readonly [weight: string, delta: WeightDelta]>): Deltas {
  const result = new Map<string, WeightDelta[]>()
  for (const [weight, delta] of changes) result.set(weight, [...(result.get(weight) ?? []), delta])
  return result
}

/** A weight that is merged into, as the file has it that is written. */
export interface BaseWeight {
  /** For messages. */
  readonly name: string
  /** As the layers of the model have it. */
  readonly shape: readonly number[]
  /** Element type that the result is stored in. */
  readonly dtype: Initializer['dtype']
}

/** What a plan needs to know of a model. */
export interface PlannedModel<W extends BaseWeight> {
  /** Path, for messages. */
  readonly source: string
  /** A weight by its name in the model's graph; undefined if there is none. */
  base(weight: string): W | undefined
  /** Whether another layer than that of the change reads the weight as well. */
  isShared(weight: string, delta: WeightDelta): boolean
}

/** What becomes of a weight. */
export interface PlannedChange<W extends BaseWeight> {
  /** Its name in the model's graph. */
  readonly weight: string
  readonly base: W
  /** Applied in order; those of all layers among them. */
  readonly deltas: readonly WeightDelta[]
  /** The layer that gets the changed weight, where others keep the base's; all that read it by default. */
  readonly only?: string
}

/**
 * What becomes of the weights of a model, in the order of the changes. A weight that is changed for some of its layers alone
 * has an entry for each of them.
 * @throws InvalidAdapterError for a change of a weight that the model does not have, that is of another size, or that is
 * stored in a type which cannot hold the result
 */
export function planMerge<W extends BaseWeight>(deltas: Deltas, model: PlannedModel<W>): PlannedChange<W>[] {
  return [...deltas].flatMap(([weight, list]) => {
    const base = model.base(weight)
    if (base === undefined)
      throw new InvalidAdapterError(
        `${model.source} has no weight "${weight}" for the adapter to be merged into; use the model that the adapter was trained on`,
      )
    for (const delta of list) checkFit(model.source, base, delta)
    const ownerOf = (delta: WeightDelta): string | undefined =>
      isOfOneLayer(delta) && model.isShared(weight, delta) ? delta.module : undefined
    // What all that read the weight are changed by changes a layer with a weight of its own too, in the same order.
    const changesOf = (only: string | undefined): WeightDelta[] =>
      list.filter((delta) => [undefined, only].includes(ownerOf(delta)))
    return [...new Set(list.map(ownerOf))].map((only) => ({
      ...{ weight, base, deltas: changesOf(only) },
      ...(only !== undefined && { only }),
    }))
  })
}

function checkFit(source: string, { name, dtype, shape }: BaseWeight, delta: WeightDelta): void {
  if (!isStoredType(dtype))
    throw new InvalidAdapterError(
      `weight "${name}" of ${source} is stored as ${dtype}, and rounding to that would lose most of the adapter: only float32, float16 and bfloat16 are merged into. ` +
        'Keep the adapter unmerged (it loads on this model), or merge it into the same model in one of these types.',
    )
  const problem = misfit(delta, shape)
  if (problem !== undefined)
    throw new InvalidAdapterError(
      `the adapter of ${delta.module} (${problem}) does not fit weight "${name}" ${formatShape(shape)} of ${source}`,
    )
}

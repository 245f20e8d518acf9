/** @file The plan where weights are constants of a graph that somebody exported, each a whole one or a part, in whatever order. */
import { applyDeltas, type WeightDelta } from '../adapters/weight-delta.js'
import { loadTensor, toFloat32 } from '../formats/safetensors.js'
import type { Initializer } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { stored, type MergedWeight } from './merged-weight.js'
import { planMerge, type Deltas } from './plan.js'

/** A weight as the layers of the model have it, in a constant that may hold it in another order, and more than it. */
export interface WeightView {
  readonly shape: readonly number[]
  /** The weight's numbers out of the constant's. */
  read(whole: Float32Array): Float32Array
  /** The constant's numbers with those of the weight in their places; a new array. */
  write(whole: Float32Array, values: Float32Array): Float32Array
}

/** A constant of a graph. */
export interface Constant {
  readonly name: string
  readonly tensor: Initializer
}

/** What the plan needs to know of the graph. */
export interface GraphOfConstants<C extends Constant> {
  /** Path of the model, for messages. */
  readonly source: string
  /** Where a weight of the model is. @throws InvalidAdapterError if it is no constant of the graph */
  find(weight: string): { readonly constant: C; readonly view: WeightView }
  /** Names of the layers that read a weight. */
  readers(weight: string): ReadonlySet<string>
}

/** What becomes of a constant. */
export interface PlannedConstant<C extends Constant> {
  readonly constant: C
  /** Changes of the weights that it holds, one after the other. */
  readonly changes: readonly { readonly weight: string; readonly view: WeightView; readonly deltas: readonly WeightDelta[] }[]
  /** The layer that reads the changed numbers, where others keep the constant as it is. */
  readonly only?: string
}

/**
 * What becomes of the constants of a graph, in the order of the changes. Of each there is one entry for all that read it, and
 * one for each layer that is changed alone.
 * @throws InvalidAdapterError for changes that cannot be merged
 */
export function planConstants<C extends Constant>(deltas: Deltas, graph: GraphOfConstants<C>): PlannedConstant<C>[] {
  const plans = new Map<string, PlannedConstant<C>>()
  const base = (weight: string) => {
    const { constant, view } = graph.find(weight)
    return { name: weight, shape: view.shape, dtype: constant.tensor.dtype, constant, view }
  }
  const isShared = (weight: string, { module }: WeightDelta): boolean => {
    const readers = graph.readers(weight)
    return readers.size > 1 && readers.has(module)
  }
  for (const { weight, base: at, deltas: list, only } of planMerge(deltas, { source: graph.source, base, isShared })) {
    const { constant, view } = at
    const key = JSON.stringify([constant.name, only])
    const changes = [...(plans.get(key)?.changes ?? []), { weight, view, deltas: list }]
    plans.set(key, { constant, changes, ...(only !== undefined && { only }) })
  }
  return [...plans.values()]
}

/** A constant as the file has it, changed. @throws InvalidAdapterError if the result is not finite */
export async function mergeConstant(files: Files, { constant, changes }: PlannedConstant<Constant>): Promise<MergedWeight> {
  const { tensor } = constant
  let values = toFloat32(await loadTensor(files, tensor))
  let maxAbsDelta = 0
  for (const { view, deltas } of changes) {
    const merged = applyDeltas(view.read(values), view.shape, deltas)
    values = view.write(values, merged.weight)
    maxAbsDelta = Math.max(maxAbsDelta, merged.maxAbsDelta)
  }
  return { tensor: stored(changes[0]!.weight, tensor.dtype, tensor.shape, values), maxAbsDelta }
}

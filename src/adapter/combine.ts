/** @file Several adapters as one: PEFT's `add_weighted_adapter`, on whole adapters. */
import { combinationTypes, combineLayer, type CombinationType, type LayerSource } from '../adapters/combine/combine-layer.js'
import type { MajoritySignMethod } from '../adapters/combine/merge-tensors.js'
import { LoraPart } from '../adapters/lora.js'
import { InvalidAdapterError, InvalidOptionError } from '../errors.js'
import { Random } from '../util/rng.js'
import type { Adapter } from './adapter.js'
import { adapterFromMatrices } from './adapter-from-matrices.js'
import type { Model } from '../model/model.js'
import { plainParts, plainTensors } from './peft-state-dict.js'
import { checkModelNotDisposed } from '../util/disposable.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { checkArgument, listArgument, recordArgument } from '../util/arguments.js'
import { modelArgument } from '../model/model-argument.js'
import { adapterArgument } from './adapter-argument.js'

/** An adapter and how much of it. */
export interface WeightedAdapter {
  /** Not changed. */
  readonly adapter: Adapter
  /** Any finite number, negative ones too. */
  readonly weight: number
}

/** How adapters are combined. */
export interface CombineOptions {
  /**
   * - `cat` (by default): A over A and B beside B; exactly the weighted sum, of the sum of the ranks.
   * - `svd`: the best approximation of the weighted sum with rank `r`.
   * - `linear`, `ties`, `dare_linear`, `dare_ties`, `magnitude_prune`: on A and on B by themselves; of equal ranks only.
   * - the same with `_svd`: on B·A, and the best approximation of that with rank `r`.
   */
  readonly type?: CombinationType
  /** Share of the numbers that `ties`, `dare_*` and `magnitude_prune` keep, above 0 and at most 1 (all). */
  readonly density?: number
  /** How `ties` elects signs: by the `total` (by default) or the `frequency`. */
  readonly majoritySignMethod?: MajoritySignMethod
  /** Rank of `svd` and `*_svd`; the largest that any layer of the adapters has by default, as in PEFT. */
  readonly r?: number
  /** For `svd` and `*_svd`: quantile of all numbers at which they are cut off. */
  readonly svdClamp?: number
  /** Of what `dare_*` drops; 0 by default. */
  readonly seed?: number
}

const combineOptionKeys = {
  ...{ type: true, density: true, majoritySignMethod: true, r: true, svdClamp: true, seed: true },
} satisfies OptionKeys<CombineOptions>

/**
 * Combines adapters of a model into one, which has every scale and weight in its matrices: alpha equals the rank.
 *
 * PEFT 0.21's formulas, except: adapters with rsLoRA are not counted √r times; layers keep their own ranks; DoRA,
 * `lora_bias` and what replaces tensors of the base are refused, not dropped; a single adapter is treated by the type that
 * is asked for; what `dare_*` drops depends on `seed` alone.
 * @throws InvalidOptionError for options out of range or ranks that differ where they must not; InvalidAdapterError for
 * adapters that are more than low-rank changes
 * @example
 * const both = combineAdapters(model, [{ adapter: poet, weight: 0.7 }, { adapter: lawyer, weight: 0.3 }], { type: 'ties', density: 0.5 })
 */
export function combineAdapters(model: Model, adapters: readonly WeightedAdapter[], options: CombineOptions = {}): Adapter {
  checkArgument(model, modelArgument, 'combineAdapters')
  checkArgument(adapters, listArgument, 'combineAdapters', 'the second argument')
  for (const [i, each] of adapters.entries()) {
    checkArgument(each, recordArgument, 'combineAdapters', `adapter ${i}`)
    checkArgument(each.adapter, adapterArgument, 'combineAdapters', `the adapter of adapter ${i}`)
  }
  checkKeys(options, combineOptionKeys, 'combineAdapters')
  checkModelNotDisposed(model)
  const { type = 'cat', majoritySignMethod = 'total', seed = 0, svdClamp } = options
  const density = check(model, adapters, options)
  const streams = new Map<string, Random>()
  const keep = (source: LayerSource, which: string): boolean => {
    const key = JSON.stringify([source.name, source.module.name, which])
    let random = streams.get(key)
    if (random === undefined) streams.set(key, (random = Random.derive(seed, 'dare', key)))
    return random.uniform() < density
  }
  const sources = adapters.flatMap(({ adapter, weight }, i) => sourcesOf(adapter, weight, `adapter ${i}`))
  const r = options.r ?? Math.max(...sources.map((source) => source.r))
  const layers = [...model.modules.keys()].flatMap((name) => {
    const own = sources.filter(({ module }) => module.name === name)
    const rule = { density, majoritySignMethod, keep, r, ...(svdClamp !== undefined && { svdClamp }) }
    return own.length === 0 ? [] : [combineLayer(type, own, rule)]
  })
  const { taskType, baseModelNameOrPath, revision, loraDropout } = adapters[0]!.adapter.config
  const combined = adapterFromMatrices(model, layers, { taskType, baseModelNameOrPath, revision, loraDropout })
  for (const { adapter } of adapters) combined.addEndTokens(adapter.endTokenIds)
  return combined
}

/** @returns the density, 1 for the types that have none */
function check(model: Model, adapters: readonly WeightedAdapter[], options: CombineOptions): number {
  const { type = 'cat', density, r, svdClamp, majoritySignMethod = 'total' } = options
  if (adapters.length === 0) throw new InvalidOptionError('there is nothing to combine: give at least one adapter')
  if (!combinationTypes.includes(type))
    throw new InvalidOptionError(`combination type "${String(type)}" is unknown; known: ${combinationTypes.join(', ')}`)
  if (majoritySignMethod !== 'total' && majoritySignMethod !== 'frequency')
    throw new InvalidOptionError(`majoritySignMethod must be "total" or "frequency", got "${String(majoritySignMethod)}"`)
  adapters.forEach(({ adapter, weight }, i) => {
    if (adapter.model !== model) throw new InvalidOptionError(`adapter ${i} belongs to another model (${adapter.model.path})`)
    if (!Number.isFinite(weight))
      throw new InvalidOptionError(`the weight of adapter ${i} must be a finite number, got ${weight}`)
  })
  if (r !== undefined && !(Number.isInteger(r) && r >= 1))
    throw new InvalidOptionError(`r must be a whole number of at least 1, got ${r}`)
  if (svdClamp !== undefined && !(svdClamp > 0 && svdClamp <= 1))
    throw new InvalidOptionError(`svdClamp must be above 0 and at most 1, got ${svdClamp}`)
  if (type !== 'svd' && !type.endsWith('_svd') && (r !== undefined || svdClamp !== undefined))
    throw new InvalidOptionError(
      `"${type}" has no rank to choose and nothing to clamp; r and svdClamp belong to "svd" and "*_svd"`,
    )
  const prunes = type.startsWith('ties') || type.startsWith('dare') || type.startsWith('magnitude')
  if (!prunes && density !== undefined)
    throw new InvalidOptionError(`"${type}" drops nothing; density belongs to ties, dare and magnitude_prune`)
  if (!prunes) return 1
  if (density === undefined || !(density > 0 && density <= 1))
    throw new InvalidOptionError(
      `"${type}" needs density, the share of numbers that it keeps, above 0 and at most 1; got ${density}`,
    )
  return density
}

/** The branches of an adapter on the unchanged base. */
function sourcesOf(adapter: Adapter, weight: number, name: string): LayerSource[] {
  const [unread] = adapter.carried?.modules ?? []
  if (unread !== undefined)
    throw new InvalidAdapterError(
      `${name} also changes ${unread}, which is not run here and would be lost; combine the adapters in Python, or merge them together into the model`,
    )
  const tensors = plainTensors(adapter.parts, adapter.tensors)
  const values = (key: string): Float32Array => tensors.get(key)!.data as Float32Array
  return plainParts(adapter.parts).map((part) => {
    const what = !(part instanceof LoraPart)
      ? `replaces tensors of the base (${part.tensors[0]!.name})`
      : part.magnitude !== undefined
        ? 'is DoRA'
        : part.bias !== undefined
          ? 'has a bias in its branches (lora_bias)'
          : undefined
    if (!(part instanceof LoraPart) || what !== undefined)
      throw new InvalidAdapterError(
        `${name} ${what}, so it is no low-rank change that could be combined with others; serve it in an AdapterSet, or merge it into the model`,
      )
    const { module, r, scale } = part.target
    return { name, module, r, A: values(part.A.name), B: values(part.B.name), scale, weight }
  })
}

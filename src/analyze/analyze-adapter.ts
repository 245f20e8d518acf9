/** @file What an adapter has learned, layer by layer: its singular values, and which directions of the base it amplifies. */
import { adapterArgument } from '../adapter/adapter-argument.js'
import type { Adapter } from '../adapter/adapter.js'
import { asOutputs } from '../adapter/oriented-weight.js'
import { weightName } from '../adapters/lora.js'
import { InvalidAdapterError, InvalidOptionError } from '../errors.js'
import { readBaseWeights } from '../model/base-weights.js'
import type { Model } from '../model/model.js'
import { checkArgument } from '../util/arguments.js'
import type { Matrix } from '../util/linear-algebra/matrix.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { callback } from '../util/option-kinds.js'
import { Random } from '../util/rng.js'
import { amplificationOf, type Amplification } from './amplification.js'
import { branchesOf, type Branch, type LeftOut } from './branches.js'
import { changeOf, spectrumOf, type Spectrum } from './spectrum.js'

/** How an adapter is analyzed. */
export interface AnalyzeOptions {
  /** Whether the change is compared with the base's weights, which are read for it; false by default. */
  readonly amplification?: boolean
  /** Of the random directions that it is compared with; 0 by default. */
  readonly seed?: number
  /** Told after each layer. */
  readonly onLayer?: (progress: { readonly module: string; readonly layers: number; readonly of: number }) => void
}

const analyzeOptionKeys = { amplification: true, seed: true, onLayer: callback } satisfies OptionKeys<AnalyzeOptions>

/** A layer's change ΔW = scale·B·A. */
export interface AnalyzedLayer extends Spectrum {
  /** Module path. */
  readonly module: string
  /** Rank of the branch, as the file has it. */
  readonly r: number
  /** What B·A is multiplied by. */
  readonly scale: number
  /** Where it was asked for; null where the layer changes nothing, or its weight is not at hand (held in integers). */
  readonly amplification?: Amplification | null
}

/** What an adapter changes. */
export interface AdapterAnalysis {
  /** Its low-rank changes, in the order of the model. */
  readonly layers: readonly AnalyzedLayer[]
  /** What it changes beside them. */
  readonly left: readonly LeftOut[]
}

/**
 * The singular values of every low-rank change of an adapter, its norms and ranks, and on request by how much it amplifies
 * the directions of the base's weights (Hu et al., "LoRA", 2021, section 7.3). ΔW itself is never built.
 * @throws InvalidAdapterError for an adapter without a low-rank change of a weight
 * @throws InvalidOptionError for options out of range
 * @example
 * const { layers } = await analyzeAdapter(adapter, { amplification: true })
 * for (const { module, effectiveRank, amplification } of layers) console.log(module, effectiveRank, amplification?.factor)
 */
export async function analyzeAdapter(adapter: Adapter, options: AnalyzeOptions = {}): Promise<AdapterAnalysis> {
  checkArgument(adapter, adapterArgument, 'analyzeAdapter')
  checkKeys(options, analyzeOptionKeys, 'analyzeAdapter')
  const { amplification = false, seed = 0, onLayer } = options
  if (typeof amplification !== 'boolean')
    throw new InvalidOptionError(`amplification must be true or false, got ${JSON.stringify(amplification)}`)
  checkSeed(seed)
  const { branches, left } = branchesOf(adapter)
  if (branches.length === 0) throw nothingToAnalyze('the adapter', left)
  const layers: AnalyzedLayer[] = []
  for (const branch of branches) {
    const { module, r, scale, A, B } = branch
    const change = changeOf(branch)
    const spectrum = spectrumOf(change, B.rows, A.columns)
    const W = amplification ? await weightOf(adapter.model, branch) : undefined
    const found = W && amplificationOf(W, change, spectrum, Random.derive(seed, 'analyze', module.name))
    layers.push({ module: module.name, r, scale, ...spectrum, ...(amplification && { amplification: found ?? null }) })
    onLayer?.({ module: module.name, layers: layers.length, of: branches.length })
  }
  return { layers, left }
}

/** @throws InvalidOptionError for what is no seed */
export const checkSeed = (seed: number): void => void new Random(seed)

/** Says what an adapter holds instead. */
export const nothingToAnalyze = (who: string, left: readonly LeftOut[]): InvalidAdapterError =>
  new InvalidAdapterError(
    `${who} has no low-rank change of a weight to analyze${left.length === 0 ? '' : `: ${left[0]!.module} is ${left[0]!.reason}`}`,
  )

/** The base's weight as [out, in]. */
async function weightOf(model: Model, { module }: Branch): Promise<Matrix | undefined> {
  const name = weightName(module.weight)
  const values = (await readBaseWeights(model, [name]))(name)
  return values && asOutputs(module, model.weights.get(name)!.shape, values)
}

/** @file A LoRA adapter out of two full models: what fine-tuning changed, as low-rank branches. */
import type { LoraConfig } from '../adapters/lora-config.js'
import { completeLoraConfig } from '../adapters/complete-lora-config.js'
import { weightName } from '../adapters/lora.js'
import { matchTargets } from '../adapters/targets.js'
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import type { TargetModule } from '../graph/target-module.js'
import { formatShape } from '../graph/types.js'
import type { Matrix } from '../util/linear-algebra/matrix.js'
import { energyOf, svdOfEnergy, truncatedSvd } from '../util/linear-algebra/truncated-svd.js'
import type { Adapter } from './adapter.js'
import { readBaseWeights } from '../model/base-weights.js'
import { adapterFromMatrices, type LayerMatrices } from './adapter-from-matrices.js'
import { asOutputs } from './oriented-weight.js'
import type { Model } from '../model/model.js'
import { checkModelNotDisposed } from '../util/disposable.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { snapshot } from '../util/snapshot.js'
import { checkTargetNames } from '../adapters/unmatched.js'
import { checkArgument } from '../util/arguments.js'
import { modelArgument } from '../model/model-argument.js'

/** Options of {@link extractLora}: either `r` or `energy`. */
export interface ExtractOptions {
  /** Rank of every branch. */
  readonly r?: number
  /** In place of a rank: the share, in (0, 1], of each layer's change (the sum of its squares) that its branch must hold. */
  readonly energy?: number
  /** Layers to look at; `all-linear` by default. */
  readonly targetModules?: LoraConfig['targetModules']
}

const extractOptionKeys = { r: true, energy: true, targetModules: true } satisfies OptionKeys<ExtractOptions>

/** A layer whose change became a branch. */
export interface ExtractedLayer {
  /** Module path. */
  readonly module: string
  /** Rank of the branch. */
  readonly r: number
  /** Share of the change that the branch holds, in [0, 1]. */
  readonly energy: number
}

/** An adapter made of the difference of two models. */
export interface Extraction {
  /** On the first of the models. */
  readonly adapter: Adapter
  /** Its layers. */
  readonly layers: readonly ExtractedLayer[]
  /** Weights that differ between the models and are in no branch: norms, biases, layers that were not asked for. */
  readonly left: readonly string[]
}

/**
 * Extracts a LoRA from two models of the same architecture: for every layer the largest singular values of the
 * difference of its weights, B = U·√S and A = √S·Vᵀ. Layers that do not differ have no branch.
 * @throws InvalidOptionError unless exactly one of `r` and `energy` is given and in range; InvalidModelError if the models
 * do not fit together, or do not differ in these layers
 * @example
 * const { adapter } = await extractLora(base, tuned, { r: 16 })
 * await adapter.save('extracted')
 */
export async function extractLora(base: Model, tuned: Model, options: ExtractOptions): Promise<Extraction> {
  checkArgument(base, modelArgument, 'extractLora')
  checkArgument(tuned, modelArgument, 'extractLora', 'the second argument')
  checkKeys(options, extractOptionKeys, 'extractLora')
  for (const model of [base, tuned]) checkModelNotDisposed(model)
  const { r, energy, targetModules = 'all-linear' } = snapshot(options)
  if ((r === undefined) === (energy === undefined))
    throw new InvalidOptionError(`give either r or energy; ${r === undefined ? 'none' : 'both'} of them was given`)
  if (r !== undefined && !(Number.isInteger(r) && r >= 1))
    throw new InvalidOptionError(`r must be a whole number of at least 1, got ${r}`)
  if (energy !== undefined && !(energy > 0 && energy <= 1))
    throw new InvalidOptionError(`energy must be above 0 and at most 1, got ${energy}`)
  const targets = matchTargets(base.modules, completeLoraConfig({ r: 1, targetModules }, []), { anyRank: true })
  checkTargetNames(targetModules, base.modules)
  const layers: (LayerMatrices & ExtractedLayerEnergy)[] = []
  const seen = new Set<string>()
  for (const { module } of targets) {
    const name = weightName(module.weight)
    seen.add(name)
    if ((module.convolution?.groups ?? 1) > 1)
      throw new InvalidOptionError(
        `${module.name} is a grouped convolution, whose change is no product of two matrices; leave it out`,
      )
    const difference = await differenceOf(base, tuned, name)
    if (difference !== undefined) layers.push(branchOf(module, asOutputs(module, difference.shape, difference.values), r, energy))
  }
  if (layers.length === 0)
    throw new InvalidModelError(
      `${tuned.path} and ${base.path} do not differ in the ${targets.length} layers looked at: there is nothing to extract`,
    )
  const left: string[] = []
  for (const name of base.weights.keys())
    if (!seen.has(name) && tuned.weights.has(name) && (await differenceOf(base, tuned, name)) !== undefined) left.push(name)
  return {
    adapter: adapterFromMatrices(base, layers, { baseModelNameOrPath: base.id }),
    layers: layers.map(({ module, r: rank, energy: share }) => ({ module: module.name, r: rank, energy: share })),
    left,
  }
}

interface ExtractedLayerEnergy {
  readonly energy: number
}

interface Difference {
  readonly shape: readonly number[]
  readonly values: Float64Array
}

/** tuned − base, or undefined where they are equal. */
async function differenceOf(base: Model, tuned: Model, name: string): Promise<Difference | undefined> {
  const [theirs, ours] = [tuned.weights.get(name), base.weights.get(name)]
  if (theirs === undefined || ours === undefined)
    throw new InvalidModelError(
      `${(theirs === undefined ? tuned : base).path} has no tensor "${name}"; both models must be of one architecture`,
    )
  if (formatShape(theirs.shape) !== formatShape(ours.shape))
    throw new InvalidModelError(
      `tensor "${name}" is ${formatShape(ours.shape)} in ${base.path} and ${formatShape(theirs.shape)} in ${tuned.path}; both must be of one size`,
    )
  const read = async (model: Model): Promise<Float32Array> => (await readBaseWeights(model, [name]))(name)!
  const [a, b] = [await read(tuned), await read(base)]
  if (a.every((x, i) => x === b[i])) return undefined
  const values = Float64Array.from(a, (x, i) => x - b[i]!)
  const bad = values.findIndex((x) => !Number.isFinite(x))
  if (bad >= 0) throw new InvalidModelError(`tensor "${name}", element ${bad}: ${a[bad]} and ${b[bad]} have no finite difference`)
  return { shape: ours.shape, values }
}

function branchOf(
  module: TargetModule,
  change: Matrix,
  r: number | undefined,
  energy: number | undefined,
): LayerMatrices & ExtractedLayerEnergy {
  const { U, S, V } = r === undefined ? svdOfEnergy(change, energy!) : truncatedSvd(change, r)
  const rank = S.length
  const A = new Float32Array(rank * change.columns)
  const B = new Float32Array(change.rows * rank)
  for (let k = 0; k < rank; k++) {
    const root = Math.sqrt(S[k]!)
    for (let j = 0; j < change.columns; j++) A[k * change.columns + j] = V.data[j * V.columns + k]! * root
    for (let i = 0; i < change.rows; i++) B[i * rank + k] = U.data[i * U.columns + k]! * root
  }
  const held = S.reduce((sum, s) => sum + s * s, 0) / energyOf(change)
  return { module, r: rank, A, B, energy: Math.min(1, held) }
}

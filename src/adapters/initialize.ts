/** @file First values of an adapter's tensors (reference: PEFT's `reset_lora_parameters`). */
import { InvalidAdapterError, InvalidOptionError } from '../errors.js'
import { isConvolution, outputsFirst } from '../graph/target-module.js'
import { Random } from '../util/rng.js'
import { LoraPart, weightName, type LoraTarget } from './lora.js'
import type { InitLoraWeights } from './lora-config.js'
import { mergedWeight } from './merge-weights.js'
import { outputLengths } from './output-lengths.js'
import type { Part, TensorValues } from './part.js'
import { ReplacedWeight } from './replaced-weight.js'
import { startFromWeight, startOrthogonal, startsFromWeight } from './initialize-from-weight.js'
import { TrainableTokens } from './trainable-tokens.js'

/**
 * Fills A [r, in] and B [out, r] of one layer.
 *
 * - `true`: A is Kaiming-uniform with a = √5 (He et al., 2015), that is U(−1/√in, 1/√in); B is 0, so that training
 *   starts at the base model.
 * - `gaussian`: A is N(0, 1/r²); B is 0.
 * - `false`: both Kaiming-uniform, so that the branch is not silent (for tests).
 * - of an embedding A is 0 and B is N(0, 1), whatever is asked; with `false` both are N(0, 1).
 *
 * Every layer has a random stream of its own: adding or removing a target changes no other layer's numbers.
 */
export function initializeLora(target: LoraTarget, init: InitLoraWeights, seed: number, A: Float32Array, B: Float32Array): void {
  const { module, r } = target
  const random = Random.derive(seed, 'lora', module.name)
  const normal = (into: Float32Array): void => {
    for (let i = 0; i < into.length; i++) into[i] = random.normal()
  }
  const uniform = (into: Float32Array, fanIn: number): void => {
    const bound = 1 / Math.sqrt(fanIn)
    for (let i = 0; i < into.length; i++) into[i] = (2 * random.uniform() - 1) * bound
  }
  if (module.kind === 'Embedding') {
    normal(B)
    if (init === false) normal(A)
    else A.fill(0)
    return
  }
  if (init === 'gaussian') for (let i = 0; i < A.length; i++) A[i] = random.normal() / r
  else uniform(A, A.length / r)
  if (init === false) uniform(B, B.length / module.outFeatures)
  else B.fill(0)
}

/** Names of initialisations for new adapters, beside true and false. */
const named = ['gaussian', 'orthogonal', 'pissa', 'pissa_niter_N', 'olora', 'loftq'] as const

/** @throws InvalidOptionError for an initialisation that new adapters cannot have */
export function checkInitialization(init: InitLoraWeights): void {
  if (typeof init === 'boolean' || ['gaussian', 'orthogonal', 'loftq'].includes(init) || startsFromWeight(init)) return
  if (init === 'eva')
    throw new InvalidOptionError(
      'initialisation "eva" begins from data: make the adapter without it, then call initializeEva(adapter, { data })',
    )
  throw new InvalidOptionError(
    `initialisation "${init}" of new adapters is not supported; use true, false, ${named.map((name) => `"${name}"`).join(', ')}`,
  )
}

/** Weights of the base that the first values of a part come from. */
export function weightsNeeded(parts: readonly Part[], init: InitLoraWeights): string[] {
  return parts.flatMap((part) => {
    if (part instanceof ReplacedWeight) return [part.replaced.weight]
    if (part instanceof TrainableTokens) return [weightName(part.embedding.weight)]
    const fromWeight = part instanceof LoraPart && (part.magnitude !== undefined || init === 'loftq' || startsFromWeight(init))
    return fromWeight ? [weightName(part.target.module.weight)] : []
  })
}

/**
 * Fills every tensor of a new adapter.
 * @param base weights of the model by name
 */
export function initializeParts(
  parts: readonly Part[],
  init: InitLoraWeights,
  seed: number,
  base: TensorValues,
  values: TensorValues,
): void {
  for (const part of parts) {
    if (part instanceof ReplacedWeight) values(part.tensors[0].name).set(part.fromBase(base(part.replaced.weight)))
    else if (part instanceof TrainableTokens)
      copyRows(part, base(weightName(part.embedding.weight)), values(part.tensors[0].name))
    else if (part instanceof LoraPart) initializeBranch(part, init, seed, base, values)
    // All zeros would be an adapter that never learns.
    else
      throw new InvalidAdapterError(
        `first values of a part of kind "${part.kind}" on ${part.module}: add them to initializeParts`,
      )
  }
}

function copyRows({ tokens, embedding }: TrainableTokens, table: Float32Array, into: Float32Array): void {
  const width = embedding.outFeatures
  tokens.forEach((token, i) => into.set(table.subarray(token * width, (token + 1) * width), i * width))
}

function initializeBranch(part: LoraPart, init: InitLoraWeights, seed: number, base: TensorValues, values: TensorValues): void {
  const { target, A, B, bias, magnitude } = part
  const [a, b] = [values(A.name), values(B.name)]
  const linear = target.module.kind !== 'Embedding' && !isConvolution(target.module.kind)
  if (startsFromWeight(init) && linear) startFromWeight(target, init, seed, () => base(weightName(target.module.weight)), a, b)
  else if (init === 'orthogonal' && linear) startOrthogonal(target, seed, a, b)
  else initializeLora(target, typeof init === 'string' && init !== 'gaussian' ? true : init, seed, a, b)
  if (bias !== undefined && init === false) {
    const random = Random.derive(seed, 'lora_bias', target.module.name)
    const bound = 1 / Math.sqrt(target.r)
    const values_ = values(bias.name)
    for (let i = 0; i < values_.length; i++) values_[i] = (2 * random.uniform() - 1) * bound
  }
  if (magnitude !== undefined)
    values(magnitude.name).set(startingMagnitude(part, init, base(weightName(target.module.weight)), a, b))
}

/** |W + s·B·A| of each output, so that training starts at the base model (with the branch that it starts with). */
function startingMagnitude(
  { target }: LoraPart,
  init: InitLoraWeights,
  W: Float32Array,
  A: Float32Array,
  B: Float32Array,
): Float32Array {
  const { module, scale, r } = target
  const { kind, outFeatures, factor = 1 } = module
  const oriented = outputsFirst(kind)
  const inputs = W.length / outFeatures
  const shape = oriented ? [outFeatures, inputs] : [inputs, outFeatures]
  // A branch that is subtracted again as a constant starts at the base.
  const s = startsFromWeight(init) ? 0 : scale / factor
  const matrix = oriented ? 'Linear' : kind
  const { weight } = A.length === r * inputs ? mergedWeight(W, matrix, shape, A, B, s) : { weight: W }
  return Float32Array.from(outputLengths(weight, kind, outFeatures, factor))
}

/** @file An adapter prepared for a set: what can be computed when it is loaded is computed then. */
import { LoraPart, weightName } from '../adapters/lora.js'
import { mergedWeight } from '../adapters/merge-weights.js'
import { outputLengths, rescaling } from '../adapters/output-lengths.js'
import type { Part } from '../adapters/part.js'
import { ReplacedWeight } from '../adapters/replaced-weight.js'
import type { ServedBranch } from '../adapters/serving/branch-tensors.js'
import { ServedTokens } from '../adapters/serving/served-tokens.js'
import { TrainableTokens } from '../adapters/trainable-tokens.js'
import { InvalidAdapterError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import type { Adapter } from './adapter.js'
import { readBaseWeights } from '../model/base-weights.js'
import type { Model } from '../model/model.js'

export interface PreparedAdapter {
  readonly adapter: Adapter
  /** By module. */
  readonly branches: ReadonlyMap<string, ServedBranch>
  /** Tensors of the base that the adapter replaces, in whole or in rows, by name. */
  readonly replacements: ReadonlyMap<string, { readonly part: Part; readonly tensor: HostTensor }>
}

/** Takes what a set needs of the adapter at the call; of the base it reads the weights of layers with DoRA alone, one at a time. */
export async function prepareAdapter(adapter: Adapter): Promise<PreparedAdapter> {
  const { parts, tensors } = adapter.serving()
  const branches = new Map<string, ServedBranch>()
  const replacements = new Map<string, { part: Part; tensor: HostTensor }>()
  for (const part of parts) {
    if (part instanceof LoraPart) branches.set(part.module, checkFinite(await branchOf(adapter.model, part, tensors)))
    else
      for (const { name, shape } of part.tensors)
        replacements.set(name, { part: servedPart(part), tensor: float32(shape, tensors[name]!.data as Float32Array) })
  }
  return { adapter, branches, replacements }
}

const servedPart = (part: Part): Part => (part instanceof TrainableTokens ? new ServedTokens(part) : part)

/**
 * In a batch, rows of other adapters are multiplied with this one's numbers too, and add nothing of the products.
 * @throws InvalidAdapterError for what makes zero something else: a number that is infinite or none
 */
function checkFinite(branch: ServedBranch): ServedBranch {
  const { module, A, B, rescale, shift } = branch
  const isInfinite = (values: Float32Array | undefined): boolean => values?.every(Number.isFinite) === false
  if ([A, B, rescale, shift].some(isInfinite))
    throw new InvalidAdapterError(
      `the adapter's change of ${module.name} has numbers that are not finite, or of DoRA too large to be held; ` +
        'nothing can be served with it: train it again from a checkpoint before the loss went wrong',
    )
  return branch
}

async function branchOf(model: Model, part: LoraPart, tensors: Readonly<Record<string, HostTensor>>): Promise<ServedBranch> {
  const { module, r } = part.target
  const values = (name: string): Float32Array => tensors[name]!.data as Float32Array
  const [A, B] = [values(part.A.name), values(part.B.name)]
  const shift = part.bias && values(part.bias.name)
  if (part.magnitude === undefined) return { module, r, A, B, ...(shift && { shift }) }
  const magnitude = values(part.magnitude.name)
  const name = weightName(module.weight)
  const W = (await readBaseWeights(model, [name]))(name)
  if (W === undefined) throw new InvalidAdapterError(`the model has no weight "${name}", which DoRA of ${module.name} needs`)
  const { kind, outFeatures, factor = 1 } = module
  // The scale is in B.
  const { weight } = mergedWeight(W, kind, model.weights.get(name)!.shape, A, B, 1 / factor)
  const f = Float32Array.from(rescaling(magnitude, outputLengths(weight, kind, outFeatures, factor)))
  const width = B.length / f.length
  return { module, r, A, B: B.map((x, i) => x * f[Math.floor(i / width)]!), rescale: f.map((x) => x - 1) }
}

/** What the graph is fed for a replaced tensor while no adapter replaces it: the base's own numbers. */
export async function baseValues(model: Model, part: Part): Promise<HostTensor> {
  const read = async (name: string): Promise<Float32Array> => {
    const values = (await readBaseWeights(model, [name]))(name)
    if (values === undefined) throw new InvalidAdapterError(`the model has no weight "${name}", which the adapter replaces`)
    return values
  }
  if (part instanceof ReplacedWeight) return float32(part.replaced.shape, part.fromBase(await read(part.replaced.weight)))
  if (part instanceof ServedTokens) {
    const { embedding, tokens } = part.tokens
    const table = await read(weightName(embedding.weight))
    const width = embedding.outFeatures
    const rows = new Float32Array(tokens.length * width)
    tokens.forEach((token, i) => rows.set(table.subarray(token * width, (token + 1) * width), i * width))
    return float32([tokens.length, width], rows)
  }
  throw new InvalidAdapterError(`internal: no base values for the part "${part.kind}" of ${part.module}`)
}

/** @file The tensors and the configuration that an adapter's folder holds: those of the graph, and what PEFT stores beside them. */
import { LoraPart, PREFIX, weightName, type LoraTarget } from '../adapters/lora.js'
import type { LoraConfig } from '../adapters/lora-config.js'
import type { Part, TensorValues } from '../adapters/part.js'
import { ReplacedWeight } from '../adapters/replaced-weight.js'
import { TrainableTokens } from '../adapters/trainable-tokens.js'
import { pythonRegex } from '../adapters/python-regex.js'
import { isAllLinear } from '../adapters/lora-config.js'
import { float32 } from '../graph/constants.js'
import { isTurned } from '../graph/target-module.js'
import { transposeHost } from '../graph/transpose.js'
import type { HostTensor } from '../graph/types.js'
import { readBaseWeights } from '../model/base-weights.js'
import type { Model } from '../model/model.js'
import { FolderModel } from '../model/folder-model.js'

/** [A; A₀] by rows and [B, −B₀] by columns: a plain branch of twice the rank. */
function doubled(part: LoraPart, values: TensorValues): [HostTensor, HostTensor] {
  const initial = part.options.initial!
  const [A, B] = [values(part.A.name), values(part.B.name)]
  const both = new Float32Array(2 * A.length)
  both.set(A)
  both.set(initial.A, A.length)
  const { outFeatures } = part.target.module
  const width = B.length / outFeatures
  const beside = new Float32Array(2 * B.length)
  for (let row = 0; row < outFeatures; row++)
    for (let k = 0; k < width; k++) {
      beside[row * 2 * width + k] = B[row * width + k]!
      beside[row * 2 * width + width + k] = -initial.B[row * width + k]!
    }
  const [rank, ...inputs] = part.A.shape as [number, ...number[]]
  const [outputs, inner, ...ones] = part.B.shape as [number, number, ...number[]]
  return [float32([2 * rank, ...inputs], both), float32([outputs, 2 * inner, ...ones], beside)]
}

/** The parts as a plain adapter on the unchanged base: branches with constants under them become longer ones. */
export function plainParts(parts: readonly Part[]): Part[] {
  return parts.map((part) => {
    if (!(part instanceof LoraPart) || part.options.initial === undefined) return part
    const { initial: _, ...options } = part.options
    const { module, r, alpha, scale } = part.target
    return new LoraPart({ module, r: 2 * r, alpha, scale } satisfies LoraTarget, options)
  })
}

/** The values of {@link plainParts}, by name. */
export function plainTensors(parts: readonly Part[], tensors: ReadonlyMap<string, HostTensor>): Map<string, HostTensor> {
  const result = new Map(tensors)
  const values: TensorValues = (name) => tensors.get(name)!.data as Float32Array
  for (const part of parts)
    if (part instanceof LoraPart && part.options.initial !== undefined) {
      const [A, B] = doubled(part, values)
      result.set(part.A.name, A)
      result.set(part.B.name, B)
    }
  return result
}

/**
 * The configuration of {@link plainParts}: twice the rank at the same scale, which is α/r, or α/√r with rsLoRA
 * (PEFT's `path_initial_model_for_weight_conversion`).
 */
export function plainConfig(config: LoraConfig, parts: readonly Part[]): LoraConfig {
  if (!parts.some((part) => part instanceof LoraPart && part.options.initial !== undefined)) return config
  const factor = config.useRslora ? Math.SQRT2 : 2
  const times = (pattern: Readonly<Record<string, number>>, by: number): Record<string, number> =>
    Object.fromEntries(Object.entries(pattern).map(([key, value]) => [key, value * by]))
  return {
    ...config,
    initLoraWeights: true,
    r: 2 * config.r,
    loraAlpha: config.loraAlpha * factor,
    rankPattern: times(config.rankPattern, 2),
    alphaPattern: times(config.alphaPattern, factor),
  }
}

/** PEFT's `EMBEDDING_LAYER_NAMES`. */
const EMBEDDING_NAMES = ['embed_tokens', 'lm_head']

/** Whether PEFT's `save_embedding_layers="auto"` stores copies of the base's embedding and head. */
function embeddingIsTargeted({ modules }: Model, { targetModules, trainableTokenIndices }: LoraConfig): boolean {
  if (targetModules === null || trainableTokenIndices !== null) return false
  if (typeof targetModules !== 'string') return EMBEDDING_NAMES.some((name) => targetModules.includes(name))
  if (isAllLinear(targetModules)) return false
  const regex = pythonRegex(targetModules, 'fullmatch')
  return [...modules.keys()].some(
    (name) => EMBEDDING_NAMES.some((end) => name === end || name.endsWith(`.${end}`)) && regex.test(name),
  )
}

/**
 * What PEFT stores beside the trained tensors, so that our folder holds the names that its own would hold: the base
 * weights of an adapted embedding or head, and with `bias: 'all'` the biases of saved modules under their inner names.
 */
export async function companionTensors(
  model: Model,
  config: LoraConfig,
  parts: readonly Part[],
  tensors: ReadonlyMap<string, HostTensor>,
): Promise<Map<string, HostTensor>> {
  const result = new Map<string, HostTensor>()
  if (embeddingIsTargeted(model, config)) {
    const layers = parts.filter((part) => part instanceof LoraPart).map(({ target }) => target.module)
    for (const module of layers) {
      const isTable = module.kind === 'Embedding' && module.inFeatures === model.vocabularySize
      if (!isTable && !module.isOutputHead) continue
      const name = weightName(module.weight)
      const values = (await readBaseWeights(model, [name]))(name)
      if (values === undefined) continue
      const held = float32(model.weights.get(name)!.shape, values)
      result.set(`${PREFIX}${module.name}.base_layer.weight`, isTurned(module) ? transposeHost(held) : held)
    }
  }
  // What the adapter brought, where nothing else stores it: a table for a larger vocabulary.
  for (const [weight, tensor] of model instanceof FolderModel ? (model.brought ?? []) : []) {
    const module = weight.slice(0, -'.weight'.length)
    const stored = ['weight', 'base_layer.weight', 'token_adapter.base_layer.weight'].map((end) => `${PREFIX}${module}.${end}`)
    if (stored.some((name) => tensors.has(name) || result.has(name))) continue
    const part = parts.find((each) => each.module === module)
    result.set(stored[part instanceof LoraPart ? 1 : part instanceof TrainableTokens ? 2 : 0]!, tensor)
  }
  if (config.bias !== 'all') return result
  for (const { saved, rest, weight, name } of savedBiases(config, parts)) {
    const base = (await readBaseWeights(model, [weight]))(weight)!
    const tensor = tensors.get(name)!
    // PEFT takes the adapter's name out where it is the last but one, and leaves it otherwise.
    result.set(`${PREFIX}${saved}.modules_to_save.${rest.includes('.') ? 'default.' : ''}${rest}`, tensor)
    result.set(`${PREFIX}${saved}.original_module.${rest}`, float32(tensor.shape, base))
  }
  return result
}

/** Biases inside saved modules, with the path of the module and the rest of the name. */
function savedBiases(
  { modulesToSave }: LoraConfig,
  parts: readonly Part[],
): { saved: string; rest: string; weight: string; name: string }[] {
  return parts.flatMap((part) => {
    if (!(part instanceof ReplacedWeight) || !part.replaced.weight.endsWith('.bias')) return []
    const { weight, name } = part.replaced
    const path = weight.split('.')
    const length =
      path.findIndex((_, i) =>
        (modulesToSave ?? []).some((end) =>
          path
            .slice(0, i + 1)
            .join('.')
            .endsWith(end),
        ),
      ) + 1
    if (length === 0) return []
    return [{ saved: path.slice(0, length).join('.'), rest: path.slice(length).join('.'), weight, name }]
  })
}

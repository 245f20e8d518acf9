/** @file Copies of base weights that PEFT stores in an adapter when it targets the embedding or the head. */
import { InvalidAdapterError } from '../errors.js'
import { loadTensor, toFloat32 } from '../formats/safetensors.js'
import { formatShape, isFileTensor, type HostTensor } from '../graph/types.js'
import type { Model } from './model.js'

/** `base_model.model.<module>[.base_layer].weight`; neither A nor B is the weight of a module of the base. */
const COPY = /^base_model\.model\.(.+?)(?:\.base_layer)?\.weight$/

/**
 * Removes the copies (`save_embedding_layers`: `lm_head.base_layer.weight`, `embed_tokens.weight`) that equal the base's own weight.
 * @param expected names of the adapter's own tensors, which are no copies
 * @returns the other tensors
 * @throws InvalidAdapterError if a copy differs from the base: the adapter was trained on other weights, and using it
 * without them would give other results
 */
export async function withoutBaseCopies(
  model: Model,
  tensors: ReadonlyMap<string, HostTensor>,
  source: string,
  expected: ReadonlySet<string> = new Set(),
): Promise<Map<string, HostTensor>> {
  const rest = new Map(tensors)
  for (const [key, copy] of tensors) {
    if (expected.has(key)) continue
    const module = model.modules.get(COPY.exec(key)?.[1] ?? '')
    const name = module?.weight.replace(/\/float32$/, '')
    const base = name === undefined ? undefined : model.weights.get(name)
    if (base === undefined) continue
    if (formatShape(copy.shape) !== formatShape(base.shape))
      throw new InvalidAdapterError(
        `${source}: tensor "${key}" ${formatShape(copy.shape)} replaces "${name}" ${formatShape(base.shape)} of the base model by one of another ` +
          'shape (its vocabulary was resized); replacing base weights is not supported. Save the resized model, and use that as the base.',
      )
    const [ours, theirs] = [
      toFloat32(isFileTensor(base) ? await loadTensor(model.environment.files, base) : base),
      toFloat32(copy),
    ]
    const at = theirs.findIndex((value, i) => !Object.is(value, ours[i]) && value !== ours[i])
    if (at >= 0)
      throw new InvalidAdapterError(
        `${source}: tensor "${key}" replaces "${name}" of the base model by other values (element ${at}: ${theirs[at]}, the base has ${ours[at]}); ` +
          'replacing base weights is not supported. Use the base model that the adapter was trained on, or merge the adapter in Python first.',
      )
    rest.delete(key)
  }
  return rest
}

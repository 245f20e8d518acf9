/**
 * @file The names of an adapter's tensors as PEFT's `save_pretrained` writes them, whatever else they went through: trainers
 * that save a state dict as it is in memory leave the adapter's name and their own wrappers in the keys, and PEFT stores
 * companions of modules that were saved whole.
 */
import { PREFIX } from '../adapters/lora.js'
import { InvalidAdapterError } from '../errors.js'
import type { HostTensor } from '../graph/types.js'

/** Modules that FSDP, activation checkpointing and torch.compile put around others. */
const WRAPPERS: ReadonlySet<string> = new Set(['_fsdp_wrapped_module', '_checkpoint_wrapped_module', '_orig_mod'])

/** Without wrappers, and with PEFT's prefix once. DDP and DeepSpeed put `module.` before everything. */
function unwrapped(key: string): string {
  const plain = key
    .split('.')
    .filter((part) => !WRAPPERS.has(part))
    .join('.')
    .replace(/^module\.(?=base_model\.)/, '')
    .replace(/^(?:base_model\.model\.)+/, '')
  return PREFIX + plain
}

/** Tensors of a branch with the adapter's name before or after their own: `lora_A.default.weight`, `lora_embedding_A.default`. */
const NAMED_LAYER = /^(.*\.lora_[AB])\.(?!weight$|bias$)([^.]+)\.(weight|bias)$/
const NAMED_TENSOR =
  /^(.*\.(?:lora_embedding_[AB]|lora_magnitude_vector|token_adapter\.trainable_tokens_delta))(?:\.(?!weight$)([^.]+))?(?:\.weight)?$/

/** The key without the name of an adapter, and that name. */
function unnamed(key: string): { key: string; name?: string } {
  const layer = NAMED_LAYER.exec(key)
  if (layer !== null) return { key: `${layer[1]}.${layer[3]}`, name: layer[2]! }
  const tensor = NAMED_TENSOR.exec(key)
  if (tensor !== null) return { key: tensor[1]!, ...(tensor[2] !== undefined && { name: tensor[2] }) }
  return { key }
}

/** Where a module was saved whole: the trained copy, and the base's own beside it. */
const COMPANION = /^(.*)\.(modules_to_save|original_module)\.(.+)$/

/**
 * The tensors of an adapter by the keys of PEFT's own files.
 *
 * Of a module that was saved whole, `X.modules_to_save.weight` is `X.weight` unless that is there too, as PEFT takes it;
 * `X.original_module.weight` is the base's own and left out.
 * @param source folder or file, for messages
 * @throws InvalidAdapterError if the tensors are those of several adapters
 */
export function plainKeys(tensors: ReadonlyMap<string, HostTensor>, source: string): Map<string, HostTensor> {
  const result = new Map<string, HostTensor>()
  const names = new Set<string>()
  const companions: { module: string; rest: string; tensor: HostTensor }[] = []
  const put = (key: string, from: string, tensor: HostTensor): void => {
    if (result.has(key)) {
      if (names.size > 1)
        throw new InvalidAdapterError(
          `${source} holds the tensors of several adapters (${[...names].join(', ')}): "${key}" is there more than once; save each in a folder of its own (in Python: model.save_pretrained(folder))`,
        )
      throw new InvalidAdapterError(`${source}: two tensors are both "${key}", one of them called "${from}"; remove one of them`)
    }
    result.set(key, tensor)
  }
  for (const [given, tensor] of tensors) {
    const { key: full, name } = unnamed(unwrapped(given))
    // The table under trained tokens is the base's own, as that under a branch is.
    const key = full.replace('.token_adapter.base_layer.', '.base_layer.')
    if (name !== undefined) names.add(name)
    const companion = COMPANION.exec(key)
    if (companion === null) put(key, given, tensor)
    else if (companion[2] === 'modules_to_save') companions.push({ module: companion[1]!, rest: companion[3]!, tensor })
  }
  for (const { module, rest, tensor } of companions) {
    const [first, ...others] = rest.split('.')
    const named = others.length > 0 && (first === 'default' || names.has(first!))
    const key = `${module}.${named && !result.has(`${module}.${rest}`) ? others.join('.') : rest}`
    if (!result.has(key)) result.set(key, tensor)
  }
  return result
}

/** Name in the checkpoint of the tensor that an adapter holds whole, which under a branch is that of its `base_layer`. */
export const baseTensorName = (key: string): string =>
  key.replace(/^base_model\.model\./, '').replace(/\.base_layer(?=\.[^.]+$)/, '')

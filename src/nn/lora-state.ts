/** @file loralib's `mark_only_lora_as_trainable` and `lora_state_dict`, and an explicit merge. */
import { InvalidOptionError } from '../errors.js'
import type { HostTensor } from '../graph/types.js'
import { LoraLayer } from './lora-layer.js'
import { initializeRest, type Module } from './module.js'
import { Parameter } from './parameter.js'
import { stateDict, type StateDict } from './state-dict.js'

/** Which biases train and are saved beside the LoRA matrices. */
export type BiasMode = 'none' | 'all' | 'lora_only'

const isLora = (path: string): boolean => path.includes('lora_')
const isBias = (path: string): boolean => path.includes('bias')

function checked(bias: BiasMode): BiasMode {
  if (bias !== 'none' && bias !== 'all' && bias !== 'lora_only')
    throw new InvalidOptionError(`bias must be "none", "all" or "lora_only", got "${String(bias)}"`)
  return bias
}

/** The bias of a layer, if it has one. */
const biasOf = (module: Module): Parameter | undefined =>
  'bias' in module && module.bias instanceof Parameter ? module.bias : undefined

/**
 * Leaves only the LoRA matrices trainable, and the biases that `bias` names: none, all, or those of the layers that can
 * have a branch. Unlike loralib's it also thaws, so that calling it twice with different modes gives the second.
 * @example
 * markOnlyLoraAsTrainable(model, 'lora_only')
 */
export function markOnlyLoraAsTrainable(model: Module, bias: BiasMode = 'none'): void {
  const mode = checked(bias)
  for (const [path, parameter] of model.namedParameters())
    parameter.requiresGrad = isLora(path) || (mode === 'all' && isBias(path))
  if (mode !== 'lora_only') return
  for (const [, module] of model.namedModules()) {
    const own = module instanceof LoraLayer ? biasOf(module) : undefined
    if (own !== undefined) own.requiresGrad = true
  }
}

/**
 * The LoRA matrices, and the biases that `bias` names: all, or those beside a LoRA matrix.
 * @example
 * const tensors = loraStateDict(model, 'lora_only')
 */
export function loraStateDict(model: Module, bias: BiasMode = 'none'): StateDict {
  const mode = checked(bias)
  const state = stateDict(model)
  const beside = new Set([...state.keys()].filter(isLora).map((path) => `${path.slice(0, path.indexOf('lora_'))}bias`))
  const chosen = (path: string): boolean =>
    isLora(path) || (mode === 'all' && isBias(path)) || (mode === 'lora_only' && beside.has(path))
  return new Map([...state].filter(([path]): boolean => chosen(path)) as [string, HostTensor][])
}

/**
 * The model with every branch added to its weight: a new one of plain layers, which costs what the base costs. The given
 * model keeps its base, bit for bit, and its branches; there is nothing to undo.
 * @throws InvalidAdapterError for a branch that no weight can express (grouped convolutions in PEFT's formulation)
 * @example
 * const merged = merge(model)
 */
export function merge<M extends Module>(model: M): M {
  initializeRest(model)
  const merged = model.clone()
  for (const [, module] of merged.namedModules()) if (module instanceof LoraLayer) module.absorb()
  return merged
}

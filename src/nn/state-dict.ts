/** @file The state of a model as named tensors: taking it out, putting it back, files. */
import { InvalidAdapterError, InvalidModelError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import { isFloat, type HostTensor } from '../graph/types.js'
import { loadTensor, readSafetensorsHeader, toFloat32 } from '../formats/safetensors.js'
import { encodeSafetensors } from '../formats/safetensors-write.js'
import type { Files } from '../io/files.js'
import { Conv1d, Conv2d, Conv3d } from './convolution.js'
import { initializeRest, type Module } from './module.js'
import type { Parameter } from './parameter.js'
import { ModuleBuffer } from './parameter.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** Tensors by their paths. */
export type StateDict = Map<string, HostTensor>

/** Parameters and buffers by path, as the state dict orders them. */
const entriesOf = (model: Module): [string, Parameter | ModuleBuffer][] => [...model.namedParameters(), ...model.namedBuffers()]

/**
 * Every parameter and buffer by its path, copied. It is the same in training and in evaluation mode: nothing is ever
 * merged in place.
 * @example
 * await saveTensors(environment.files, 'model.safetensors', stateDict(model))
 */
export function stateDict(model: Module): StateDict {
  initializeRest(model)
  return new Map(
    entriesOf(model).map(([path, { dtype, shape, data }]) => [path, { dtype, shape, data: data.slice() } as HostTensor]),
  )
}

/** How strictly names are compared. */
export interface LoadStateOptions {
  /** Whether names must match exactly; true by default. With false, what does not match is left out and told. */
  readonly strict?: boolean
}

const loadStateOptionKeys = { strict: true } satisfies OptionKeys<LoadStateOptions>

/** What did not match. */
export interface LoadedState {
  /** Names that the model has and the tensors lack. */
  readonly missingKeys: readonly string[]
  /** Names that the tensors have and the model lacks. */
  readonly unexpectedKeys: readonly string[]
}

/** loralib's convolutions save their weight and bias twice, as `weight` and as `conv.weight`. */
function withoutTwins(model: Module, tensors: ReadonlyMap<string, HostTensor>): Map<string, HostTensor> {
  const result = new Map(tensors)
  for (const [path, module] of model.namedModules()) {
    if (!(module instanceof Conv1d || module instanceof Conv2d || module instanceof Conv3d)) continue
    const prefix = path === '' ? '' : `${path}.`
    for (const name of ['weight', 'bias']) {
      const twin = result.get(`${prefix}conv.${name}`)
      if (twin === undefined) continue
      const own = result.get(`${prefix}${name}`) ?? twin
      if (own.data.length !== twin.data.length || !own.data.every((value, i) => Object.is(value, twin.data[i])))
        throw new InvalidAdapterError(
          `"${prefix}${name}" and "${prefix}conv.${name}" should be the same tensor and differ; remove one of them`,
        )
      result.delete(`${prefix}conv.${name}`)
      result.set(`${prefix}${name}`, own)
    }
  }
  return result
}

const listed = (title: string, names: readonly string[]): string =>
  names.length === 0 ? '' : `\n${title} (${names.length}):\n${names.map((name) => `  ${name}`).join('\n')}`

/**
 * Puts tensors into a model. Floating-point tensors of any width are taken; each is copied. Nothing changes if it throws.
 * @param tensors by path, as `stateDict` gives them or a file holds them
 * @returns what did not match, with `strict: false`; parameters that got no value are initialised with seed 0
 * @throws InvalidAdapterError listing every missing and unexpected name (if strict) and every tensor of another shape
 * @example
 * loadStateDict(model, await readTensors(environment.files, 'model.safetensors'))
 */
export function loadStateDict(
  model: Module,
  tensors: ReadonlyMap<string, HostTensor> | Readonly<Record<string, HostTensor>>,
  options: LoadStateOptions = {},
): LoadedState {
  checkKeys(options, loadStateOptionKeys, 'loadStateDict')
  const { strict = true } = options
  const given = withoutTwins(model, tensors instanceof Map ? tensors : new Map(Object.entries(tensors)))
  const entries = entriesOf(model)
  const known = new Set(entries.map(([path]) => path))
  const optional = (item: Parameter | ModuleBuffer): boolean => item instanceof ModuleBuffer && item.optional
  const missingKeys = entries.flatMap(([path, item]) => (given.has(path) || optional(item) ? [] : [path]))
  const unexpectedKeys = [...given.keys()].filter((path) => !known.has(path))
  const misshapen = entries.flatMap(([path, item]) => {
    const tensor = given.get(path)
    if (tensor === undefined || fits(item, tensor)) return []
    return [`${path}: ${tensor.dtype} [${tensor.shape.join(', ')}], expected ${item.dtype} [${item.shape.join(', ')}]`]
  })
  const refused = strict && missingKeys.length + unexpectedKeys.length > 0
  if (refused || misshapen.length > 0)
    throw new InvalidAdapterError(
      'the tensors do not fit the model:' +
        listed('missing', strict ? missingKeys : []) +
        listed('unexpected', strict ? unexpectedKeys : []) +
        listed('of another type or shape', misshapen) +
        (refused ? '\npass { strict: false } to load only what matches' : ''),
    )
  for (const [path, item] of entries) {
    const tensor = given.get(path)
    if (tensor === undefined) continue
    item.data = (item.dtype === 'float32' ? toFloat32(tensor) : tensor.data).slice()
  }
  initializeRest(model)
  return { missingKeys, unexpectedKeys }
}

function fits(item: Parameter | ModuleBuffer, tensor: HostTensor): boolean {
  const sameType = item.dtype === 'float32' ? isFloat(tensor.dtype) : item.dtype === tensor.dtype
  return sameType && item.shape.length === tensor.shape.length && item.shape.every((d, i) => d === tensor.shape[i])
}

/**
 * Writes named tensors, such as a state dict, to a safetensors file.
 * @example
 * await saveTensors(environment.files, 'lora.safetensors', loraStateDict(model))
 */
export async function saveTensors(files: Files, path: string, tensors: StateDict): Promise<void> {
  await files.write(path, encodeSafetensors(tensors))
}

/**
 * Reads a safetensors file into memory.
 * @throws InvalidModelError if it is damaged
 * @example
 * const tensors = await readTensors(environment.files, 'lora.safetensors')
 */
export async function readTensors(files: Files, path: string): Promise<StateDict> {
  const { tensors } = await readSafetensorsHeader(files, path)
  const result: StateDict = new Map()
  for (const [name, tensor] of tensors) result.set(name, await loadTensor(files, tensor))
  if (result.size === 0) throw new InvalidModelError(`${path} holds no tensor`)
  return result
}

/**
 * A float32 tensor from plain numbers, for inputs and labels.
 * @example
 * const x = floats([2, 2], [1, 2, 3, 4])
 */
export const floats = (shape: readonly number[], values: ArrayLike<number>): HostTensor =>
  float32(shape, Float32Array.from(values))

/**
 * @file Weights of the base that an adapter brings. PEFT stores the embedding and the head beside an adapter that targets
 * them, or whose vocabulary was resized, and puts them in place of the base's own when it loads the adapter.
 */
import type { LoraConfig } from '../adapters/lora-config.js'
import { weightName } from '../adapters/lora.js'
import { isSavedPath, pathOf } from '../adapters/adapter-parts.js'
import { tokensName } from '../adapters/trainable-tokens.js'
import { InvalidAdapterError } from '../errors.js'
import { baseTensorName } from '../formats/peft-keys.js'
import { loadTensor, toFloat32 } from '../formats/safetensors.js'
import { float32 } from '../graph/constants.js'
import { isTurned, type TargetModule } from '../graph/target-module.js'
import { transposeHost } from '../graph/transpose.js'
import { formatShape, isFloat, type HostTensor, type Initializer } from '../graph/types.js'
import { narrow, widen } from '../util/half.js'
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'

/** `base_model.model.<module>[.base_layer].weight`; neither A nor B is the weight of a module of the base. */
const COPY = /^base_model\.model\.(.+?)(\.base_layer)?\.weight$/

/** The base that an adapter belongs to, and the tensors that are the adapter's own. */
export interface BroughtBase {
  readonly model: Model
  readonly tensors: ReadonlyMap<string, HostTensor>
  /** What a person should know. */
  readonly notice?: string
}

const FLOATS = ['float32', 'float16', 'bfloat16'] as const

const rounded = (values: Float32Array, dtype: Initializer['dtype']): Float32Array =>
  dtype === 'float16' || dtype === 'bfloat16' ? widen(dtype, narrow(dtype, values)) : values

/** First element in which a copy, or the rows of it that the base has too, is another number; -1 if none is. */
function firstDifference(copy: Float32Array, base: Float32Array): number {
  for (let i = 0; i < base.length; i++) if (copy[i] !== base[i] && !Object.is(copy[i], base[i])) return i
  return -1
}

/** Whether the numbers are the base's: `equal` in the base's element type, or `rounded` to a narrower one. */
function compare(copy: Float32Array, base: Float32Array, baseType: Initializer['dtype']): 'equal' | 'rounded' | number {
  const at = firstDifference(copy, base)
  if (at < 0 || firstDifference(rounded(copy, baseType), base) < 0) return 'equal'
  return FLOATS.some((dtype) => firstDifference(copy, rounded(base, dtype)) < 0) ? 'rounded' : at
}

/** Whether a tensor that is of no layer says what the base says: some trainers save everything. */
async function isOwnOfBase(model: Model, config: LoraConfig, key: string, copy: HostTensor): Promise<boolean> {
  const name = baseTensorName(key)
  const base = model.weights.get(name)
  if (base === undefined || formatShape(base.shape) !== formatShape(copy.shape) || !isFloat(copy.dtype)) return false
  if (isSavedPath(pathOf(name), config.modulesToSave ?? [])) return false
  if (name.endsWith('.bias') && config.bias !== 'none') return false
  const ours = toFloat32(await loadTensor(model.environment.files, base))
  return compare(toFloat32(copy), ours, base.dtype) === 'equal'
}

/** Trained rows of a head that has its weight from the embedding: PEFT stores them once more beside tables that were resized. */
function tokensOfTiedHeads({ modules }: Model, tensors: ReadonlyMap<string, HostTensor>): string[] {
  const list = [...modules.values()]
  return list
    .filter(({ isOutputHead }) => isOutputHead)
    .flatMap((head) => {
      const embedding = list.find(({ kind, weight }) => kind === 'Embedding' && weight === head.weight)
      const [own, theirs] = [tensors.get(tokensName(head.name)), embedding && tensors.get(tokensName(embedding.name))]
      if (own === undefined || theirs === undefined || formatShape(own.shape) !== formatShape(theirs.shape)) return []
      return firstDifference(toFloat32(own), toFloat32(theirs)) < 0 ? [tokensName(head.name)] : []
    })
}

const isVocabulary = (module: TargetModule, model: Model): boolean =>
  module.isOutputHead || (module.kind === 'Embedding' && module.inFeatures === model.vocabularySize)

/**
 * Takes the copies of base weights out of an adapter. Those that equal the base's own are left out; rounded ones, and tables
 * of a vocabulary that was made larger, take the place of the base's: the adapter belongs to a model of its own then.
 * @param tensors by PEFT's keys, in the model's names
 * @throws InvalidAdapterError for copies of other numbers: the adapter was trained on another base
 */
export async function takeBroughtWeights(
  model: Model,
  config: LoraConfig,
  tensors: ReadonlyMap<string, HostTensor>,
  source: string,
): Promise<BroughtBase> {
  const own = new Map(tensors)
  for (const name of tokensOfTiedHeads(model, tensors)) own.delete(name)
  const brought = new Map<string, HostTensor>()
  let grown = 0
  const files = model.environment.files
  for (const [key, copy] of tensors) {
    const [, path = '', baseLayer] = COPY.exec(key) ?? []
    const module = model.modules.get(path)
    const name = module && weightName(module.weight)
    const base = name === undefined ? undefined : model.weights.get(name)
    if (module === undefined) {
      if (await isOwnOfBase(model, config, key, copy)) own.delete(key)
      continue
    }
    if (name === undefined || base === undefined) continue
    const saved = baseLayer === undefined && isSavedPath(path, config.modulesToSave ?? [])
    // PEFT has the weight of a Linear as [out, in], whatever way an .onnx file has it.
    const turned = isTurned(module)
    const baseShape = turned ? [...base.shape].reverse() : base.shape
    const [rows = 0, ...others] = copy.shape
    const [baseRows = 0, ...baseOthers] = baseShape
    if (saved && rows === baseRows) continue
    const fits = formatShape(others) === formatShape(baseOthers)
    if (!fits || (rows !== baseRows && !(isVocabulary(module, model) && rows > baseRows))) {
      if (saved) continue
      throw new InvalidAdapterError(
        `${source}: tensor "${key}" ${formatShape(copy.shape)} replaces "${name}" ${formatShape(baseShape)} of the base model by one of another shape` +
          (fits && isVocabulary(module, model)
            ? `: its vocabulary was made smaller where it was trained. Resize the base's as well (in Python: model.resize_token_embeddings(${rows})), save it, and use that as the base.`
            : '; use the base model that the adapter was trained on.'),
      )
    }
    if (!saved) {
      const held = await loadTensor(files, base)
      const ours = toFloat32(turned ? transposeHost(held) : held)
      const theirs = toFloat32(copy)
      const same = compare(theirs, ours, base.dtype)
      if (typeof same === 'number')
        throw new InvalidAdapterError(
          `${source}: tensor "${key}" replaces "${name}" of the base model by other values (element ${same}: ${theirs[same]}, the base has ${ours[same]}); ` +
            'replacing base weights is not supported. Use the base model that the adapter was trained on, or merge the adapter in Python first.',
        )
      own.delete(key)
      if (same === 'equal' && rows === baseRows) continue
    }
    const other = brought.get(name)
    if (!saved && other !== undefined && firstDifference(toFloat32(other), toFloat32(copy)) >= 0)
      throw new InvalidAdapterError(`${source}: "${key}" is one weight with the embedding in this base, but holds other numbers`)
    // What is merged into a weight is stored in its element type: a rounded copy must not round that too.
    if (other === undefined) brought.set(name, copy.dtype === base.dtype ? copy : float32(copy.shape, toFloat32(copy)))
    if (rows > baseRows) grown = Math.max(grown, rows)
  }
  if (brought.size === 0) return { model, tensors: own }
  if (!(model instanceof FolderModel))
    throw new InvalidAdapterError(
      `${source} brings weights of the base (${[...brought.keys()].join(', ')}), but the graph of "${model.path}" is fixed; merge the adapter in Python first`,
    )
  const vocabulary = [...model.modules.values()].filter((module) => isVocabulary(module, model)).map((m) => weightName(m.weight))
  const lacking = grown === 0 ? undefined : vocabulary.find((name) => brought.get(name)?.shape[0] !== grown)
  if (lacking !== undefined)
    throw new InvalidAdapterError(
      `${source}: its vocabulary has ${grown} tokens, the base's ${model.vocabularySize}, and the adapter does not bring "${lacking}" of that size. ` +
        `Resize the base (in Python: model.resize_token_embeddings(${grown})), save it, and use that as the base.`,
    )
  const based = model.withBaseWeights(brought, grown === 0 ? {} : { vocabulary: grown, tokenizer: source })
  const which = [...brought.keys()].join(' and ')
  const notice =
    grown === 0
      ? `the adapter brings ${which} as it was where it was trained, rounded to 16 bits; that counts in place of the base's, as in PEFT`
      : `the adapter brings ${which} for a vocabulary of ${grown} tokens, where the base has ${model.vocabularySize}; the model is made larger for it`
  return { model: based, tensors: own, notice }
}

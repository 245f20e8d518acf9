/** @file A LoRA adapter as the user holds it: configuration, matrices, and the model they belong to. */
import { attachParts, type AttachedLora } from '../adapters/attach.js'
import { checkInitialization, initializeParts, weightsNeeded } from '../adapters/initialize.js'
import { startsFromWeight } from '../adapters/initialize-from-weight.js'
import { startFromResidual } from '../adapters/initialize-loftq.js'
import { LoraPart, type LoraTarget, weightName } from '../adapters/lora.js'
import type { LoraConfig } from '../adapters/lora-config.js'
import { completeLoraConfig } from '../adapters/complete-lora-config.js'
import { loraFieldTable } from '../adapters/lora-fields.js'
import type { InitialMatrices, Part, TensorValues } from '../adapters/part.js'
import { adapterParts, isSavedPath, type AdaptedModel } from '../adapters/adapter-parts.js'
import { checkAdapterTensors } from '../adapters/strict.js'
import { matchTargets, targetModulesForFile, unnamedNote } from '../adapters/targets.js'
import type { WeightDelta } from '../adapters/weight-delta.js'
import { InvalidOptionError } from '../errors.js'
import { readAdapterFolder, writeAdapterFolder } from '../formats/peft.js'
import { toFloat32 } from '../formats/safetensors.js'
import { float32 } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import type { HostTensor } from '../graph/types.js'
import { takeBroughtWeights } from './brought-weights.js'
import { readBaseWeights, weightsInMemory, type BaseWeights } from '../model/base-weights.js'
import { checkModelNotDisposed, DisposableResource } from '../util/disposable.js'
import { FolderModel } from '../model/folder-model.js'
import { checkFreshWeights, headForAdapter, headFile, peftTasks } from './adapter-head.js'
import { besideFiles } from '../model/beside-files.js'
import { readAdapterEnds } from '../model/generation-config.js'
import type { Model } from '../model/model.js'
import { FOLDED_KEY, foldedEntry, foldedNotice } from './folded-norms.js'
import { checkConstants, CONSTANTS_KEY, constantsEntry } from './model-constants.js'
import { ParameterVector } from './parameter-vector.js'
import { replicateLayers } from '../model/replicate.js'
import { companionTensors, plainConfig, plainParts, plainTensors } from './peft-state-dict.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { snapshot } from '../util/snapshot.js'
import { inNamesOf } from './adapter-names.js'
import { CarriedParts } from './carried-parts.js'
import { checkIsPeftFolder } from '../model/wrong-place.js'
import { checkEveryName, checkTargetNames } from '../adapters/unmatched.js'
import { checkArgument, pathArgument } from '../util/arguments.js'
import { modelArgument } from '../model/model-argument.js'
import { callback } from '../util/option-kinds.js'

/** Options of a new adapter: PEFT's `LoraConfig` fields in camelCase, `alpha` and `dropout` for short, and a seed. */
export interface LoraOptions extends Partial<LoraConfig> {
  /** `loraAlpha`. */
  readonly alpha?: number
  /** `loraDropout`. */
  readonly dropout?: number
  /** Seed of the first values. */
  readonly seed?: number
  /** Trains B alone (LoRA-FA, Zhang et al., 2023): A stays as it begins. */
  readonly freezeA?: boolean
}

const loraOptionKeys = {
  ...loraFieldTable,
  ...{ alpha: true, dropout: true, seed: true, freezeA: true },
} satisfies Record<keyof LoraOptions, unknown>

/** How an adapter is written. */
export interface SaveOptions {
  /** Whether the base's weights of an adapted embedding or head are stored beside it, as PEFT does; true by default. */
  readonly saveEmbeddingLayers?: boolean
}

const saveOptionKeys = { saveEmbeddingLayers: true } satisfies OptionKeys<SaveOptions>

/** Trainable parts for some layers of a model. The model itself never changes. */
export class Adapter extends DisposableResource {
  private held: ParameterVector | undefined
  /** @internal Everything that the adapter changes, and how. */
  readonly parts: readonly Part[]
  /** @internal What it holds for modules that are not run here. */
  readonly carried: CarriedParts | undefined
  private ends: readonly number[] = []

  private constructor(
    /** The model that it belongs to. */
    readonly model: Model,
    /** PEFT's configuration in camelCase. */
    readonly config: LoraConfig,
    /** The layers with a low-rank branch, with rank, alpha and scale of each. */
    readonly targets: readonly LoraTarget[],
    /** Keys of adapter_config.json that we do not know, kept for writing. */
    private readonly unknownKeys: Readonly<Record<string, unknown>> = {},
    /** Beside the configuration: what is not written. */
    extras: AdapterExtras = {},
  ) {
    super()
    this.carried = extras.carried
    const own = extras.carried?.withoutThem(config) ?? config
    this.parts = adapterParts(usedWeights(model, own), own, targets, extras.initial)
    const specs = this.parts.flatMap(({ tensors }) => tensors)
    const frozen = specs.filter(({ role }) => extras.freezeA === true && role === 'A')
    this.held = new ParameterVector(
      specs.filter((spec) => !frozen.includes(spec)),
      frozen,
    )
  }

  /** @internal An adapter whose tensors are zero; `addLora` and `loadAdapter` fill them. */
  static create(...given: AdapterContents): Adapter {
    return new Adapter(...given)
  }

  /** What is trained, and the numbers of all tensors. @throws InvalidOptionError after `dispose` */
  get parameters(): ParameterVector {
    this.checkNotDisposed('the adapter')
    return this.held!
  }

  /** Forgets its numbers. The sessions are the model's, which other adapters use. */
  protected release(): Promise<void> {
    this.held = undefined
    return Promise.resolve()
  }

  /** Tokens that generation ends at with this adapter, beside the model's own: the ends of the turns that it has learned. */
  get endTokenIds(): readonly number[] {
    return this.ends
  }

  /** @internal Adds to {@link endTokenIds}. */
  addEndTokens(ids: readonly number[]): void {
    this.ends = [...new Set([...this.ends, ...ids])]
  }

  /** All tensors by PEFT's names: views of the current values, not copies. */
  get tensors(): ReadonlyMap<string, HostTensor> {
    return this.parameters.tensors
  }

  /** @internal The graph with every part in it; `parameters` are the inputs that are trained, in the order of `this.parameters`. */
  attach(graph: Graph, options: { dropout?: boolean } = {}): AttachedLora {
    const p = this.config.loraDropout
    const attached = attachParts(graph, this.parts, {
      scaling: 'graph',
      ...(options.dropout === true && p > 0 && { dropout: p }),
    })
    const byName = new Map(attached.parameters.map((value) => [value.name, value]))
    return { graph: attached.graph, parameters: this.parameters.specs.map(({ name }) => byName.get(name)!) }
  }

  /**
   * The adapter for graphs that serve any adapter of the same layers: its parts on the unchanged base, to be attached
   * with `scaling: 'tensors'`, and copies of its tensors, as they are now, with their scales in them.
   * @internal
   */
  serving(): { readonly parts: readonly Part[]; readonly tensors: Readonly<Record<string, HostTensor>> } {
    const parts = plainParts(this.parts)
    const plain = plainTensors(this.parts, this.parameters.copy().tensors)
    const entries = parts.flatMap(({ tensors }) =>
      tensors.map(({ name, scale = 1 }) => {
        const tensor = plain.get(name)!
        const data = tensor.data as Float32Array
        return [name, scale === 1 ? tensor : float32(tensor.shape, data.map((x) => x * scale))] as const // prettier-ignore
      }),
    )
    return { parts, tensors: Object.fromEntries(entries) }
  }

  /** @internal What merging changes, as the adapter is now, by the weight's name in the graph. @throws InvalidAdapterError for parts that cannot be merged */
  deltas(): (readonly [weight: string, delta: WeightDelta])[] {
    const plain = plainTensors(this.parts, this.parameters.copy().tensors)
    return plainParts(this.parts).flatMap((part) => part.deltas((name) => plain.get(name)!.data as Float32Array))
  }

  /**
   * Writes a PEFT folder: `adapter_config.json` and `adapter_model.safetensors`, and `generation_config.json` where it ends
   * texts with tokens that the model does not stop at. Each file appears whole or not at all; an adapter that is there is
   * replaced, as Python's `save_pretrained` does, so that it can be called again and again while training.
   *
   * As PEFT does, an adapter that targets `embed_tokens` or `lm_head` by name stores the base's weights of these as well.
   * Beside them, for a base that got a head for its task, `head_config.json` keeps what PEFT has no place for: the labels.
   */
  async save(folder: string, options: SaveOptions = {}): Promise<void> {
    await this.saveNumbers(this.parameters, folder, options)
  }

  /** {@link save} with the numbers that a run holds: when the adapter is disposed of, the run still saves them. */
  async saveNumbers(held: ParameterVector, folder: string, options: SaveOptions = {}): Promise<void> {
    checkArgument(folder, pathArgument, 'adapter.save')
    checkKeys(options, saveOptionKeys, 'adapter.save')
    const { saveEmbeddingLayers = true } = options
    const { model } = this
    const config = plainConfig({ ...this.config, targetModules: targetModulesForFile(model.modules, this.config) }, this.parts)
    // A run may go on with the adapter while files are written: they hold what it is at this moment.
    const values = held.copy().tensors
    const tensors = plainTensors(this.parts, values)
    for (const [name, tensor] of await companionTensors(model, this.config, this.parts, values))
      if (saveEmbeddingLayers || !name.endsWith('.base_layer.weight')) tensors.set(name, tensor)
    for (const [name, tensor] of this.carried?.tensors ?? []) tensors.set(name, tensor)
    const { files } = model.environment
    const unknownKeys = { ...this.unknownKeys, ...constantsEntry(model), ...foldedEntry(model, this.parts) }
    const more = new Map([...headFile(model), ...(await besideFiles(model, this.ends))])
    await writeAdapterFolder(files, folder, { config, tensors, unknownKeys, more })
  }
}

type AdapterContents = [
  model: Model,
  config: LoraConfig,
  targets: readonly LoraTarget[],
  unknownKeys?: Readonly<Record<string, unknown>>,
  extras?: AdapterExtras,
]

interface AdapterExtras {
  /** First values that the branches subtract, by module. */
  readonly initial?: ReadonlyMap<string, InitialMatrices>
  readonly freezeA?: boolean
  readonly carried?: CarriedParts
}

/** The weights that the graph reads: a checkpoint may hold heads of other tasks too. */
function usedWeights(model: Model, config: LoraConfig): AdaptedModel {
  if (config.bias === 'none' && (config.modulesToSave ?? []).length === 0) return model
  const { initializers } = model.build({ mode: 'full', positions: 1 }).graph
  return { modules: model.modules, weights: new Map([...model.weights].filter(([name]) => initializers.has(name))) }
}

/** Whether a head is held in integers, which cannot be trained: it stays frozen, or gets a branch of its own. */
const isQuantized = ({ modules, weights }: Model, head: string): boolean =>
  [...modules.values()].some(({ name, weight }) => isSavedPath(name, [head]) && !weights.has(weightName(weight)))

function configOf(model: Model, options: LoraOptions): LoraConfig {
  const { alpha, dropout, seed: _, freezeA: __, ...fields } = options
  const task = peftTasks[model.task.name]
  const heads = task?.heads?.filter((head) => !isQuantized(model, head)) ?? []
  // A head that the folder lacks is nowhere else, whatever the adapter is said to be for.
  const fresh = model instanceof FolderModel ? (model.head?.modules ?? []) : []
  const saved = [...(fields.modulesToSave ?? []), ...(fields.taskType === null ? [] : heads), ...fresh]
  const modulesToSave = [...new Set(saved)]
  return completeLoraConfig(
    {
      ...fields,
      ...(alpha !== undefined && { loraAlpha: alpha }),
      ...(dropout !== undefined && { loraDropout: dropout }),
      ...(modulesToSave.length > 0 && { modulesToSave }),
      // A plain adapter once it has begun: to PEFT the name would mean a base that was changed with it.
      ...(fields.initLoraWeights === 'loftq' && { initLoraWeights: true }),
      baseModelNameOrPath: fields.baseModelNameOrPath ?? model.id,
      taskType: fields.taskType === undefined ? (task?.type ?? null) : fields.taskType,
    },
    model.defaultTargetModules,
  )
}

/** The layers of a new adapter. @throws InvalidOptionError for whatever names nothing, see {@link checkEveryName} */
function newTargets(model: Model, config: LoraConfig, options: LoraOptions): LoraTarget[] {
  const targets = matchTargets(model.modules, config)
  checkTargetNames(options.targetModules, model.modules)
  checkEveryName(options, usedWeights(model, config), targets)
  return targets
}

/**
 * A new adapter on a model; it changes nothing until it is trained. With `layerReplication` it belongs to a model of its own,
 * `adapter.model`, whose layers are those of the one given.
 * @param base weights of the base that the first values come from; those in memory unless given, see {@link addLora}
 * @throws InvalidOptionError if a name (of a target, an excluded or saved module, a pattern, a layer) matches nothing, or a
 * rank is 0 or larger than the matrix
 */
export function createAdapter(loaded: Model, given: LoraOptions = {}, base?: BaseWeights): Adapter {
  checkArgument(loaded, modelArgument, 'addLora')
  checkKeys(given, loraOptionKeys, 'addLora')
  checkModelNotDisposed(loaded)
  const options = snapshot(given)
  const model = replicateLayers(loaded, options.layerReplication ?? null)
  const known = base ?? weightsInMemory(model)
  const config = configOf(model, options)
  checkInitialization(config.initLoraWeights)
  const { seed = 0, freezeA } = options
  const targets = newTargets(model, config, options)
  const extras = freezeA === undefined ? {} : { freezeA }
  const adapter = Adapter.create(model, config, targets, {}, extras)
  const weight = (name: string): Float32Array => {
    const values = known(name)
    if (values !== undefined) return values
    throw new InvalidOptionError(`this adapter begins from the weight "${name}", which is not in memory; use addLora`)
  }
  const values = (name: string): Float32Array => adapter.parameters.view(name)
  initializeParts(adapter.parts, config.initLoraWeights, seed, weight, values)
  if (options.initLoraWeights === 'loftq') startWithLoftq(adapter, seed, weight, values)
  if (!startsFromWeight(config.initLoraWeights)) return adapter
  const initial = adapter.parts.flatMap((part) => {
    if (!(part instanceof LoraPart)) return []
    if ((part.target.module.convolution?.groups ?? 1) > 1)
      throw new InvalidOptionError(
        `"${String(config.initLoraWeights)}" is not defined for the grouped convolution ${part.module}`,
      )
    return [[part.module, { A: values(part.A.name).slice(), B: values(part.B.name).slice() }] as const]
  })
  const whole = Adapter.create(model, config, targets, {}, { ...extras, initial: new Map(initial) })
  for (const [name, { data }] of adapter.tensors) whole.parameters.view(name).set(data as Float32Array)
  return whole
}

/** Gives the branches of quantised layers what the base has lost; others begin as usual. */
function startWithLoftq(adapter: Adapter, seed: number, weight: TensorValues, values: TensorValues): void {
  const { config, model, parts } = adapter
  const { base = 'fp32' } = model.environment
  if (base === 'fp32')
    throw new InvalidOptionError(
      'initialisation "loftq" makes up for what a quantised base has lost, but the base is held in fp32; load the model with base "int4" or "int8"',
    )
  if (config.useDora) throw new InvalidOptionError('initialisation "loftq" cannot be combined with DoRA')
  const filled = parts.map((part) => {
    if (!(part instanceof LoraPart)) return false
    const { target, A, B } = part
    return startFromResidual(target, base, seed, () => weight(weightName(target.module.weight)), values(A.name), values(B.name))
  })
  if (!filled.includes(true))
    throw new InvalidOptionError(`initialisation "loftq" has nothing to do: no adapted layer is held as ${base}`)
}

/**
 * Puts a new LoRA adapter on a model; it changes nothing until it is trained. With `layerReplication` it belongs to a model
 * of its own, `adapter.model`, whose layers are those of the one given.
 *
 * @param given PEFT's names in camelCase; without them `r` 8, `alpha` 8 and the architecture's default targets
 * @throws InvalidOptionError if a name (of a target, an excluded or saved module, a pattern, a layer) matches nothing, or a
 * rank is 0 or larger than the matrix
 * @example
 * const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: ['q_proj', 'v_proj'] })
 */
export async function addLora(loaded: Model, given: LoraOptions = {}): Promise<Adapter> {
  checkArgument(loaded, modelArgument, 'addLora')
  checkKeys(given, loraOptionKeys, 'addLora')
  checkModelNotDisposed(loaded)
  const options = snapshot(given)
  const model = replicateLayers(loaded, options.layerReplication ?? null)
  const config = configOf(model, options)
  const { parts } = Adapter.create(model, config, newTargets(model, config, options))
  const init = options.initLoraWeights ?? config.initLoraWeights
  return createAdapter(model, options, await readBaseWeights(model, weightsNeeded(parts, init)))
}

/** How an adapter is read. */
export interface LoadAdapterOptions {
  /** Told what the adapter holds that is not run here, and which weights of the base it brings. */
  readonly onWarning?: (message: string) => void
}

export const loadAdapterOptionKeys = { onWarning: callback } satisfies OptionKeys<LoadAdapterOptions>

/**
 * Reads a PEFT adapter folder and checks it against the model, strictly. Names that other versions of transformers gave
 * the modules are understood; what the adapter holds for modules that are not run here is carried along.
 * @throws InvalidAdapterError naming every missing, unexpected or wrongly shaped tensor, or a config that changes the
 * maths in a way that is not supported
 */
export async function loadAdapter(loaded: Model, folder: string, options: LoadAdapterOptions = {}): Promise<Adapter> {
  checkModelNotDisposed(loaded)
  await checkIsPeftFolder(loaded.environment.files, folder)
  const { config: stored, tensors: given, unknownKeys } = await readAdapterFolder(loaded.environment.files, folder)
  checkConstants(loaded, unknownKeys[CONSTANTS_KEY], folder)
  const loadedModel = replicateLayers(await headForAdapter(loaded, stored, given, folder), stored.layerReplication)
  const { config, targets: matched, tensors: told, unread } = inNamesOf(loadedModel, stored, given)
  const { model, tensors, notice } = await takeBroughtWeights(loadedModel, config, told, folder)
  if (notice !== undefined) options.onWarning?.(`${folder}: ${notice}`)
  const targets = matched.map((target) => ({ ...target, module: model.modules.get(target.module.name)! }))
  const carried = unread.size > 0 ? new CarriedParts(config, unread, folder) : undefined
  if (carried !== undefined) options.onWarning?.(`${folder}: ${carried.notice}`)
  // Before memory is taken for them: a configuration may ask for any rank.
  const own = carried?.withoutThem(config) ?? config
  checkAdapterTensors(adapterParts(usedWeights(model, own), own, targets), tensors, folder, unnamedNote(model.modules))
  const adapter = Adapter.create(model, config, targets, unknownKeys, carried && { carried })
  checkFreshWeights(adapter.model, adapter.parts, folder)
  const folded = foldedNotice(model, adapter.parts, unknownKeys[FOLDED_KEY])
  if (folded !== undefined) options.onWarning?.(`${folder}: ${folded}`)
  for (const [name, tensor] of tensors) adapter.parameters.view(name).set(toFloat32(tensor))
  adapter.addEndTokens(await readAdapterEnds(loaded.environment.files, folder))
  return adapter
}

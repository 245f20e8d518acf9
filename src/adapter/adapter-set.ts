/**
 * @file Many adapters on one model: any of them, several at once, or another one for every row of a batch.
 *
 * One graph serves them all. A switch chooses other tensors to feed; it creates no session and touches no base weight.
 */
import { AdapterStack } from '../adapters/serving/adapter-stack.js'
import { joinBranches, sumOfVectors, zeroBranch, type ServedBranch } from '../adapters/serving/branch-tensors.js'
import { ServedLora } from '../adapters/serving/served-lora.js'
import { ServedTokens } from '../adapters/serving/served-tokens.js'
import type { Serving } from '../adapters/serving/serving.js'
import { completeLoraConfig } from '../adapters/complete-lora-config.js'
import type { Part } from '../adapters/part.js'
import { matchTargets } from '../adapters/targets.js'
import { InvalidAdapterError, InvalidOptionError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import type { TargetModule } from '../graph/target-module.js'
import type { HostTensor } from '../graph/types.js'
import { checkModelNotDisposed, DisposableResource } from '../util/disposable.js'
import { loadAdapter, type Adapter } from './adapter.js'
import type { Model } from '../model/model.js'
import { Combination, type AdapterEntry } from './combination.js'
import { baseValues, prepareAdapter, type PreparedAdapter } from './prepared-adapter.js'
import { whole } from '../util/option-kinds.js'
import { resolveOptions, type OptionTable } from '../util/option-table.js'
import { checkTargetNames } from '../adapters/unmatched.js'
import { checkArgument } from '../util/arguments.js'
import { modelArgument } from '../model/model-argument.js'
import { adapterArgument } from './adapter-argument.js'
import { isRowAdapters, scaledAdapters, type RowAdapters, type ScaledAdapter } from './row-adapters.js'

/** Options of an {@link AdapterSet}. */
export interface AdapterSetOptions {
  /**
   * Layers that adapters added later may adapt, as in `LoraOptions`: they are in the graph from the start, so that adding
   * one needs no new session. The layers of the adapters themselves by default.
   */
  readonly targetModules?: readonly string[] | string
  /**
   * Most adapters whose numbers stay ready for batches of rows with adapters of their own, 16 by default; those of the present batch are in
   * any case. They are held once more for it.
   */
  readonly maxMixed?: number
}

const adapterSetOptionTable = {
  targetModules: { effect: true },
  maxMixed: { is: whole(0), default: 16 },
} as const satisfies OptionTable<AdapterSetOptions>

interface Layer {
  readonly module: TargetModule
  readonly zero: ServedBranch
  rescaled: boolean
  shifted: boolean
}

/** Combinations kept ready; of a single adapter nothing is copied. */
const COMBINATIONS = 64

type Tensors = Readonly<Record<string, HostTensor>>

/**
 * Adapters of a model by name. What is active counts for `generate`, `evaluate`, `logits` and `forward` with the set.
 *
 * Several active adapters are added up. An adapter's numbers are copied when it is added: train it, then `replace` it.
 * @example
 * const adapters = new AdapterSet(model)
 * await adapters.load('poet', './poet')
 * await adapters.load('lawyer', './lawyer')
 * adapters.setAdapter('poet')
 * await generate(adapters, { prompt })
 */
export class AdapterSet extends DisposableResource {
  private readonly entries = new Map<string, AdapterEntry>()
  /** Names of adapters that are being added or replaced. */
  private readonly pending = new Set<string>()
  private readonly layers = new Map<string, Layer>()
  /** Tensors of the base that some adapter replaces, by name, with the base's own values. */
  private readonly replaced = new Map<string, { readonly part: Part; readonly base: HostTensor }>()
  private chosen: readonly ScaledAdapter[] = []
  private enabled = true
  /** By the key of the combination. */
  private readonly prepared = new Map<string, { readonly tensors: Tensors; readonly combination: Combination }>()
  private stack: AdapterStack<AdapterEntry> | undefined
  private readonly maxMixed: number
  private ids = 0
  /** Changes with the layers: parts of equal layouts are made once. */
  private layout: { readonly one: readonly Part[]; mixed?: readonly Part[] } | undefined

  /** @throws InvalidOptionError for targets that match nothing */
  constructor(
    /** The model of all its adapters. */
    readonly model: Model,
    options: AdapterSetOptions = {},
  ) {
    super()
    checkArgument(model, modelArgument, 'AdapterSet')
    const { targetModules, maxMixed } = resolveOptions(adapterSetOptionTable, options, 'AdapterSet')
    checkModelNotDisposed(model)
    this.maxMixed = maxMixed
    if (targetModules === undefined) return
    checkTargetNames(targetModules, model.modules)
    const targets = Array.isArray(targetModules) ? [...(targetModules as readonly string[])] : targetModules
    for (const { module } of matchTargets(model.modules, completeLoraConfig({ r: 1, targetModules: targets }, []), {
      anyRank: true,
    }))
      this.reserve(module)
  }

  /** Names in the order of their addition. */
  get names(): readonly string[] {
    return [...this.entries.keys()]
  }

  /** Names of the active adapters; none while disabled. */
  get active(): readonly string[] {
    return this.inForce.map(({ name }) => name)
  }

  /** The adapter of a name. @throws InvalidOptionError if there is none */
  adapter(name: string): Adapter {
    return this.entry(name).adapter
  }

  /**
   * Adds an adapter; it is not active yet. Weights of the base are read only for DoRA and for what the adapter replaces.
   * @throws InvalidOptionError if the name is taken; InvalidAdapterError if it cannot be served beside the others
   */
  async add(name: string, adapter: Adapter): Promise<void> {
    checkArgument(adapter, adapterArgument, 'AdapterSet.add', 'the second argument')
    await this.adding(name, adapter)
  }

  /** Keeps a name for an adapter from the call on. */
  private async adding(name: string, adapter: Adapter | string): Promise<Adapter> {
    this.checkNotDisposed('the set of adapters')
    if (name === '') throw new InvalidOptionError('an adapter needs a name that is not empty')
    if (this.entries.has(name) || this.pending.has(name))
      throw new InvalidOptionError(
        `the set has an adapter "${name}" already${this.entries.has(name) ? '' : ', which is being added'}; remove it, replace it, or choose another name`,
      )
    this.pending.add(name)
    try {
      return await this.place(name, adapter, false)
    } finally {
      this.pending.delete(name)
    }
  }

  /** Loads a PEFT folder onto the model and adds it. */
  async load(name: string, folder: string): Promise<Adapter> {
    return this.adding(name, folder)
  }

  /**
   * Puts another adapter, or the present numbers of the same, in an adapter's place (hot swap). The new one's ranks, alphas and
   * patterns count; the name stays active if it was. No session is created.
   * @param other an adapter of the model or its PEFT folder
   * @throws InvalidOptionError if there is no adapter of the name; InvalidAdapterError if the new one changes layers that
   * the set's graph does not serve
   */
  async replace(name: string, other: Adapter | string): Promise<Adapter> {
    this.entry(name)
    if (this.pending.has(name))
      throw new InvalidOptionError(`the adapter "${name}" is being replaced already; wait for that before the next`)
    this.pending.add(name)
    try {
      return await this.place(name, other, true)
    } finally {
      this.pending.delete(name)
    }
  }

  /** Removes an adapter; the others stay as they are. @throws InvalidOptionError if there is none of the name */
  remove(name: string): void {
    const entry = this.entry(name)
    this.entries.delete(name)
    this.chosen = this.chosen.filter((other) => other.name !== name)
    this.changed(name, entry)
  }

  /**
   * Makes one adapter active, or several whose changes are added up, each as often as its scale says; an empty list is the base model.
   * The first choice of a combination joins its matrices; each later one is a look-up.
   * @throws InvalidOptionError for unknown or repeated names; InvalidAdapterError if two replace the same tensor
   */
  setAdapter(names: string | readonly (string | ScaledAdapter)[]): void {
    const list = (typeof names === 'string' ? [names] : names).map((each) => (typeof each === 'string' ? { name: each } : each))
    if (!isRowAdapters(list))
      throw new InvalidOptionError('setAdapter: adapters must be names, or objects of a name and a finite scale')
    for (const { name } of list) this.entry(name)
    this.servingOne(list)
    this.chosen = list
    this.enabled = true
  }

  /** The base model alone, until `enableAdapter` or `setAdapter`. */
  disableAdapter(): void {
    this.enabled = false
  }

  /** What was active before `disableAdapter`. */
  enableAdapter(): void {
    this.enabled = true
  }

  /**
   * Makes an adapter's change count `scale` times, 1 unless set. What it replaces as a whole (saved modules, biases,
   * tokens) has no scale.
   */
  setScale(name: string, scale: number): void {
    const entry = this.entry(name)
    if (!Number.isFinite(scale)) throw new InvalidOptionError(`the scale of "${name}" must be a finite number, got ${scale}`)
    if (entry.scale === scale) return
    entry.scale = scale
    this.changed(name, entry)
  }

  /** What an adapter is multiplied by, beside its own alpha; 1 at first. @throws InvalidOptionError if there is none of the name */
  scale(name: string): number {
    return this.entry(name).scale
  }

  /** @internal The parts and tensors of the active adapters. */
  serving(): Serving {
    this.checkNotDisposed('the set of adapters')
    return this.servingOne(this.inForce)
  }

  /**
   * @internal The same of one row's adapters, whatever is active.
   * @throws InvalidOptionError for unknown or repeated names; InvalidAdapterError if two replace the same tensor
   */
  servingOne(row: RowAdapters): Serving {
    return { parts: this.parts().one, tensors: this.tensorsOf(this.combinationOf(scaledAdapters(row))) }
  }

  /** @internal Whether all adapters of a row are there. */
  hasAll(row: RowAdapters): boolean {
    return scaledAdapters(row).every(({ name }) => this.entries.has(name))
  }

  /** @internal Whether a row with these adapters can stand in a batch beside others: they replace nothing of the base. */
  isMixable(row: RowAdapters): boolean {
    return scaledAdapters(row).every(({ name }) => this.entry(name).replacements.size === 0)
  }

  /**
   * @internal A text that rows have in common exactly if they are served alike; adapters that were replaced, or have another scale since, have
   * another. @throws InvalidOptionError for unknown or repeated names
   */
  keyOf(row: RowAdapters): string {
    return this.combinationOf(scaledAdapters(row)).key
  }

  /**
   * The parts and tensors of a batch whose rows have adapters of their own.
   * @param rows each row's adapters; null is the base model
   * @throws InvalidOptionError for unknown names and for layers that cannot tell rows apart; InvalidAdapterError for
   * adapters that replace tensors of the base, which all rows share
   * @internal
   */
  servingRows(rows: readonly RowAdapters[]): Serving {
    this.checkNotDisposed('the set of adapters')
    const combinations = rows.map((row) => this.combinationOf(scaledAdapters(row)))
    for (const { name, entry } of combinations.flatMap(({ adapters }) => adapters)) {
      const [tensor] = entry.replacements.keys()
      if (tensor !== undefined)
        throw new InvalidAdapterError(
          `the adapter "${name}" replaces "${tensor}" for the whole model (a saved module, trained biases or tokens), so it cannot serve ` +
            'single rows of a batch; run its rows as a batch of their own with setAdapter',
        )
    }
    const layout = this.parts()
    const parts = (layout.mixed ??= this.partsFor(true))
    this.stack ??= new AdapterStack(
      this.servedLayers(true).map(({ part }) => part),
      this.maxMixed,
    )
    const tensors = this.stack.serve(combinations.map(({ adapters }) => adapters))
    const base: Record<string, HostTensor> = {}
    for (const [tensor, { part, base: values }] of this.replaced) {
      base[tensor] = values
      if (part instanceof ServedTokens) Object.assign(base, part.feed(false))
    }
    return { parts, tensors: { ...base, ...tensors } }
  }

  /** Forgets the adapters. The sessions are the model's, which other sets may use: {@link FolderModel.dispose} gives them back. */
  protected release(): Promise<void> {
    for (const held of [this.entries, this.layers, this.replaced, this.prepared]) held.clear()
    this.chosen = []
    this.stack = undefined
    this.layout = undefined
    return Promise.resolve()
  }

  /** What counts now. */
  private get inForce(): readonly ScaledAdapter[] {
    return this.enabled ? this.chosen : []
  }

  private entry(name: string): AdapterEntry {
    this.checkNotDisposed('the set of adapters')
    const entry = this.entries.get(name)
    if (entry !== undefined) return entry
    throw new InvalidOptionError(`the set has no adapter "${name}"; it has ${this.names.join(', ') || 'none'}`)
  }

  private reserve(module: TargetModule): Layer {
    let layer = this.layers.get(module.name)
    if (layer === undefined) {
      layer = { module, zero: zeroBranch(module), rescaled: false, shifted: false }
      this.layers.set(module.name, layer)
      this.newLayout()
    }
    return layer
  }

  private async place(name: string, from: Adapter | string, keepLayout: boolean): Promise<Adapter> {
    checkModelNotDisposed(this.model)
    // One that is in memory is taken as it is at the call: there is no await before.
    const adapter = typeof from === 'string' ? await loadAdapter(this.model, from) : from
    await this.put(name, adapter, keepLayout)
    return adapter
  }

  private async put(name: string, adapter: Adapter, keepLayout: boolean): Promise<void> {
    if (adapter.model !== this.model)
      throw new InvalidOptionError(
        `the adapter "${name}" belongs to another model (${adapter.model.path}) than the set (${this.model.path})` +
          (adapter.model.path === this.model.path
            ? ': it has base weights, a head or an order of layers of its own; make the set on adapter.model'
            : ''),
      )
    const served = await prepareAdapter(adapter)
    const bases = new Map<string, HostTensor>()
    for (const [tensor, { part }] of served.replacements)
      if (!this.replaced.has(tensor)) bases.set(tensor, await baseValues(this.model, part))
    // Nothing is changed before everything is known to fit, and nothing waits from here on: another may have been added meanwhile.
    this.checkNotDisposed('the set of adapters')
    if (keepLayout) this.checkLayout(name, served)
    for (const [tensor, { part }] of served.replacements)
      if (this.replaced.has(tensor) && this.replaced.get(tensor)!.part.kind !== part.kind)
        throw new InvalidAdapterError(
          `the adapter "${name}" trains other rows of ${part.module} than one that is in the set; use a set of its own for it`,
        )
    for (const [tensor, base] of bases)
      if (!this.replaced.has(tensor)) {
        this.replaced.set(tensor, { part: served.replacements.get(tensor)!.part, base })
        this.newLayout()
      }
    for (const { module, rescale, shift } of served.branches.values()) {
      const layer = this.reserve(module)
      if ((rescale !== undefined && !layer.rescaled) || (shift !== undefined && !layer.shifted)) {
        layer.rescaled ||= rescale !== undefined
        layer.shifted ||= shift !== undefined
        this.newLayout()
      }
    }
    // One that was removed meanwhile does not come back.
    const old = keepLayout ? this.entry(name) : undefined
    this.entries.set(name, { ...served, id: this.ids++, scale: old?.scale ?? 1 })
    if (old !== undefined) this.changed(name, old)
  }

  /** @throws InvalidAdapterError if an adapter needs another graph */
  private checkLayout(name: string, served: PreparedAdapter): void {
    const strange = [...served.branches.values()].find(({ module, rescale, shift }) => {
      const layer = this.layers.get(module.name)
      return layer === undefined || (rescale !== undefined && !layer.rescaled) || (shift !== undefined && !layer.shifted)
    })
    const what = strange?.module.name ?? [...served.replacements.keys()].find((tensor) => !this.replaced.has(tensor))
    if (what !== undefined)
      throw new InvalidAdapterError(
        `the new adapter "${name}" changes ${what} in a way that no adapter of the set does, which needs another session; ` +
          'remove the old one and add the new one instead',
      )
  }

  /** Forgets what was prepared with an adapter. */
  private changed(name: string, entry: AdapterEntry): void {
    if (this.entries.get(name) !== entry) this.stack?.forget(entry)
    for (const [key, { combination }] of [...this.prepared]) if (combination.has(entry)) this.prepared.delete(key)
  }

  /** Layers are served in another way: what was prepared is of no use. */
  private newLayout(): void {
    this.layout = undefined
    this.stack = undefined
    this.prepared.clear()
  }

  private combinationOf(adapters: readonly Required<ScaledAdapter>[]): Combination {
    return new Combination(
      adapters.map(({ name, scale }) => {
        const entry = this.entry(name)
        return { name, entry, weight: entry.scale * scale }
      }),
    )
  }

  private parts(): { readonly one: readonly Part[]; mixed?: readonly Part[] } {
    return (this.layout ??= { one: this.partsFor(false) })
  }

  /**
   * Replaced tensors first, so that branches see them, and whole ones before rows, which stand in whatever table there is; layers in the
   * order of the model, as an adapter has them.
   */
  private partsFor(mixed: boolean): readonly Part[] {
    const replaced = [...new Set([...this.replaced.values()].map(({ part }) => part))]
    replaced.sort((a, b) => Number(a instanceof ServedTokens) - Number(b instanceof ServedTokens))
    const layers = [...this.model.modules.keys()].flatMap((name) => this.layers.get(name) ?? [])
    return [...replaced, ...layers.map(({ module, rescaled, shifted }) => new ServedLora(module, { rescaled, shifted, mixed }))]
  }

  private servedLayers(mixed: boolean): { readonly layer: Layer; readonly part: ServedLora }[] {
    const parts = mixed ? this.parts().mixed! : this.parts().one
    return parts.flatMap((part) => (part instanceof ServedLora ? [{ layer: this.layers.get(part.module)!, part }] : []))
  }

  private tensorsOf(combination: Combination): Tensors {
    const { key, adapters } = combination
    const known = this.prepared.get(key)?.tensors
    if (known !== undefined) return known
    const tensors: Record<string, HostTensor> = {}
    for (const [tensor, { part, base }] of this.replaced) {
      const [one, two] = adapters.filter(({ entry }) => entry.replacements.has(tensor))
      if (two !== undefined)
        throw new InvalidAdapterError(
          `the adapters "${one!.name}" and "${two.name}" both replace "${tensor}": only one of them can be active`,
        )
      tensors[tensor] = one?.entry.replacements.get(tensor)!.tensor ?? base
      if (part instanceof ServedTokens) Object.assign(tensors, part.feed(one !== undefined))
    }
    for (const { layer, part } of this.servedLayers(false)) {
      const branches = combination.branches(part.module)
      const { A, B } = joinBranches(branches.length === 0 ? [{ branch: layer.zero, weight: 1 }] : branches)
      tensors[part.A.name] = A
      tensors[part.B.name] = B
      const { outFeatures } = layer.module
      if (part.rescale) tensors[part.rescale.name] = float32([outFeatures], sumOfVectors(branches, 'rescale', outFeatures))
      if (part.shift) tensors[part.shift.name] = float32([outFeatures], sumOfVectors(branches, 'shift', outFeatures))
    }
    const [oldest] = this.prepared.keys()
    if (this.prepared.size >= COMBINATIONS) this.prepared.delete(oldest!)
    this.prepared.set(key, { tensors, combination })
    return tensors
  }
}

/**
 * What a subject's graph is made from, as it is now: nothing to attach for a model alone. Its numbers stay what they are,
 * whatever is trained or switched later, for what runs after an `await`: an adapter gives copies, and a set's are its own.
 */
export const servingOf = (subject: Model | Adapter | AdapterSet): Serving =>
  'serving' in subject ? subject.serving() : { parts: [], tensors: {} }

export const modelOf = (subject: Model | Adapter | AdapterSet): Model => ('serving' in subject ? subject.model : subject)

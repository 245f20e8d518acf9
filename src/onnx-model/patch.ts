/** @file Changes of weights in the graph of a file; everything else of it stays as it was read. */
import type { AttributeProto, NodeProto, TensorProto } from 'onnx-buf'
import { firstNonFinite } from '../adapters/strict.js'
import { applyDeltas, isLowRank, misfit, type WeightDelta } from '../adapters/weight-delta.js'
import { InvalidAdapterError, InvalidModelError } from '../errors.js'
import { loadTensor, toFloat32 } from '../formats/safetensors.js'
import { bytesOf } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import type { Module } from '../graph/module.js'
import { transposeHost } from '../graph/transpose.js'
import { formatShape, type HostTensor, type Initializer, type Node } from '../graph/types.js'
import type { Files } from '../io/files.js'
import type { BranchPlace } from '../lower/inline-if.js'
import { changed, messageOf, remember } from '../onnx/origin.js'
import { narrow } from '../util/half.js'
import { branchWeight, replaceInBranch } from './branch-weights.js'
import { isMergeable, WeightLocator, type StoredWeight } from './locate.js'
import type { WeightOrigin } from './names.js'
import { readPart, writePart, type WeightPart } from './recurrent-weights.js'

/** What a patch needs to know of the model. */
export interface PatchedModel {
  readonly path: string
  readonly modules: ReadonlyMap<string, Module>
  /** What the model has as tensors of their own. */
  readonly weights?: ReadonlyMap<string, Initializer>
  readonly origins: ReadonlyMap<string, WeightOrigin>
  readonly branches?: ReadonlyMap<string, BranchPlace>
}

/** A weight to be written, read and computed when its turn comes. */
export interface Patch {
  readonly stored: StoredWeight
  /** The modules that it is changed for alone, where others read it too. */
  readonly only: Module | undefined
  /** The weight as the file has it, changed. */
  compute(): Promise<{ tensor: HostTensor; maxAbsDelta: number }>
}

/**
 * Exporters store equal tensors once, all others are an `Identity` of the first; in the model they are apart, and so they are
 * made here where one of them changes: each becomes a tensor of the file again.
 */
export function separateEqual(graph: Graph, model: PatchedModel, changed: Iterable<string>): void {
  const locator = new WeightLocator(graph)
  const nameOf = (weight: string): string => model.origins.get(weight)?.name ?? weight
  const apart = new Set([...(model.weights ?? new Map<string, Initializer>()).keys()].map(nameOf))
  const touched = new Set([...changed].flatMap((weight) => locator.find(nameOf(weight))?.name ?? []))
  graph.nodes = graph.nodes.filter(({ op, domain, inputs, outputs }) => {
    const [from, to] = [inputs[0]!, outputs[0]!]
    if (op !== 'Identity' || domain !== '' || !apart.has(to)) return true
    const stored = locator.find(from)
    if (stored === undefined || stored.transposed || !touched.has(stored.name)) return true
    graph.initializers.set(to, stored.tensor)
    graph.values.set(to, { name: to, dtype: stored.tensor.dtype, shape: stored.tensor.shape })
    return false
  })
}

/** The patches of a graph. @throws InvalidAdapterError for a weight that cannot be changed exactly */
export function planPatches(
  graph: Graph,
  model: PatchedModel,
  deltas: ReadonlyMap<string, readonly WeightDelta[]>,
  files: Files,
): Patch[] {
  const locator = new WeightLocator(graph)
  const sharers = new Map<string, Set<string>>()
  for (const { name, weight } of model.modules.values()) sharers.set(weight, (sharers.get(weight) ?? new Set()).add(name))
  /** Changes of parts of one constant, which are one patch. */
  const parts = new Map<string, Change[]>()
  return [...deltas].flatMap(([weight, list]) => {
    const origin = model.origins.get(weight) ?? { name: weight, transposed: false }
    const place = model.branches?.get(origin.name)
    const stored = place === undefined ? locator.find(origin.name) : branchWeight(graph, origin.name, place)
    if (stored === undefined)
      throw new InvalidAdapterError(
        `weight "${weight}" is computed inside ${model.path} (in a function, or from other values), so nothing can be merged into it; keep the adapter unmerged, or export the model with its functions inlined`,
      )
    if (!isMergeable(stored))
      throw new InvalidAdapterError(
        `weight "${weight}" of ${model.path} is stored as ${stored.tensor.dtype}: rounding to it would lose most of the adapter, so it is not merged. ` +
          'Keep the adapter unmerged (it loads on this file), or merge it into the float32 or float16 file of the same model.',
      )
    const transposed = origin.transposed !== stored.transposed
    if (origin.part !== undefined) {
      const change: Change = { name: weight, deltas: list, part: origin.part }
      const known = parts.get(stored.name)
      known?.push(change)
      if (known !== undefined) return []
      const changes = [change]
      parts.set(stored.name, changes)
      return [{ stored, only: undefined, compute: () => merged(files, stored, transposed, changes) }]
    }
    const others = sharers.get(weight) ?? sharers.get(`${weight}/float32`) ?? new Set<string>()
    const groups = groupByModule(list)
    const shared = others.size > 1
    return [...groups].map(([module, part]) => ({
      stored,
      only: shared && part.some(isOfModule) ? model.modules.get(module) : undefined,
      compute: () => merged(files, stored, transposed, [{ name: weight, deltas: part }]),
    }))
  })
}

function groupByModule(list: readonly WeightDelta[]): Map<string, WeightDelta[]> {
  const groups = new Map<string, WeightDelta[]>()
  for (const delta of list) groups.set(delta.module, [...(groups.get(delta.module) ?? []), delta])
  return groups
}

/** Whether a change is meant for one layer, rather than for whoever reads the weight. */
const isOfModule = (delta: WeightDelta): boolean =>
  isLowRank(delta) || delta.kind === 'rows' || (delta.kind === 'replaced' && (delta.shared === true || delta.keeps !== undefined))

/** What becomes of a constant, or of a part of it. */
interface Change {
  /** The weight in the model's graph. */
  readonly name: string
  readonly deltas: readonly WeightDelta[]
  readonly part?: WeightPart
}

/** Applies a change to the elements that it is of. */
function change(
  before: Float32Array,
  shape: readonly number[],
  { name, deltas, part }: Change,
): { weight: Float32Array; maxAbsDelta: number } {
  // prettier-ignore
  const own = part?.shape ?? shape
  for (const delta of deltas) {
    const problem = misfit(delta, own)
    if (problem !== undefined)
      throw new InvalidAdapterError(`the adapter of ${delta.module} (${problem}) does not fit weight "${name}" ${formatShape(own)}`) // prettier-ignore
  }
  if (part === undefined) return applyDeltas(before, shape, deltas)
  const { weight, maxAbsDelta } = applyDeltas(readPart(before, part), own, deltas)
  const whole = before.slice()
  writePart(whole, weight, part)
  return { weight: whole, maxAbsDelta }
}

async function merged(
  files: Files,
  { tensor }: StoredWeight,
  transposed: boolean,
  changes: readonly Change[],
): Promise<{ tensor: HostTensor; maxAbsDelta: number }> {
  const host = await loadTensor(files, tensor)
  const wide: HostTensor = { dtype: 'float32', shape: host.shape, data: toFloat32(host) }
  const before = transposed ? transposeHost(wide) : wide
  let weight = before.data as Float32Array
  let maxAbsDelta = 0
  for (const each of changes) {
    const result = change(weight, before.shape, each)
    weight = result.weight
    maxAbsDelta = Math.max(maxAbsDelta, result.maxAbsDelta)
  }
  const [{ name }] = changes as [Change]
  const current = { ...before, data: weight }
  const back = transposed ? transposeHost(current) : current
  const values = back.data as Float32Array
  const data = host.dtype === 'float32' ? values : narrow(host.dtype as 'float16' | 'bfloat16', values)
  const result: HostTensor = { dtype: host.dtype, shape: host.shape, data }
  const bad = firstNonFinite(result)
  if (bad >= 0)
    throw new InvalidAdapterError(
      `merging gives ${values[bad]} in weight "${name}", element ${bad}` +
        (Number.isFinite(values[bad])
          ? `, which ${host.dtype} cannot hold`
          : '; the base or the adapter holds NaN or infinity, or values too large'),
    )
  return { tensor: result, maxAbsDelta }
}

/** Puts a tensor in place of one, under its name. */
export function replaceStored(graph: Graph, { name, constant, place, tensor: before }: StoredWeight, tensor: HostTensor): void {
  const read = messageOf<TensorProto>(before)
  const proto = (message: TensorProto): TensorProto =>
    changed(message, {
      rawData: bytesOf(tensor) as Uint8Array<ArrayBuffer>,
      floatData: [],
      int32Data: [],
      externalData: [],
      dataLocation: 0,
    })
  const message = read === undefined ? undefined : proto(read)
  if (place !== undefined) return replaceInBranch(graph, place, message!)
  const held = message === undefined ? tensor : remember({ ...tensor }, message)
  if (constant === undefined) {
    graph.initializers.set(name, held)
    return
  }
  graph.nodes = graph.nodes.map((node) => (node.outputs[0] === name && node.op === 'Constant' ? withValue(node, held) : node))
}

/** A Constant node with another tensor; whatever else its message says stays. */
function withValue(node: Node, tensor: Initializer): Node {
  const copy: Node = { ...node, attributes: { ...node.attributes, value: { type: 'tensor', value: tensor } } }
  const read = messageOf<NodeProto>(node)
  const message = messageOf<TensorProto>(tensor)
  if (read === undefined || message === undefined) return copy
  const attribute = read.attribute.map((a: AttributeProto) => (a.name === 'value' ? changed(a, { t: message }) : a))
  return remember(copy, changed(read, { attribute }))
}

/** Gives a layer a weight of its own: the nodes that compute it read the new tensor. */
export function untie(graph: Graph, model: PatchedModel, { stored, only }: Patch, tensor: HostTensor): void {
  const module = only!
  const outputs = new Set([module.output, ...(module.moreUses ?? []).map(({ output }) => output)])
  const readers = new WeightLocator(graph).readers(stored.name).filter(({ node }) => node.outputs.some((o) => outputs.has(o)))
  if (readers.length === 0)
    throw new InvalidModelError(
      `weight "${stored.name}" of ${model.path} is shared, and the node that ${module.name} stands for is part of a fused operator; it cannot be merged apart. Keep the adapter unmerged.`,
    )
  const targets = new Map<boolean, string>()
  for (const { outputs: written } of graph.nodes) for (const name of written) graph.reserved.add(name)
  for (const { node, input, transposed } of readers) {
    let target = targets.get(transposed)
    if (target === undefined) {
      target = graph.uniqueName(`${module.name}.merged_weight`)
      graph.addInitializer(target, transposed ? transposeHost(tensor) : tensor)
      targets.set(transposed, target)
    }
    const inputs = node.inputs.map((name, i) => (i === input ? target : name))
    graph.nodes = graph.nodes.map((other) => (other === node ? rewired(node, inputs) : other))
  }
}

function rewired(node: Node, inputs: readonly string[]): Node {
  const copy: Node = { ...node, inputs }
  const read = messageOf<NodeProto>(node)
  return read === undefined ? copy : remember(copy, changed(read, { input: [...inputs] }))
}

/** @file Changes of weights in the graph of a file; everything else of it stays as it was read. */
import type { AttributeProto, NodeProto, TensorProto } from 'onnx-buf'
import { weightName } from '../adapters/lora.js'
import { InvalidAdapterError, InvalidModelError } from '../errors.js'
import { bytesOf } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import type { TargetModule } from '../graph/target-module.js'
import { transposeHost } from '../graph/transpose.js'
import type { HostTensor, Initializer, Node } from '../graph/types.js'
import type { BranchPlace } from '../lower/inline-if.js'
import { planConstants, type PlannedConstant } from '../merge/constants.js'
import type { Deltas } from '../merge/plan.js'
import { changed, messageOf, remember } from '../onnx/origin.js'
import { branchWeight, replaceInBranch } from './branch-weights.js'
import { WeightLocator, type StoredWeight } from './locate.js'
import type { WeightOrigin } from './names.js'
import { viewOf } from './weight-view.js'

/** What a patch needs to know of the model. */
export interface PatchedModel {
  readonly path: string
  readonly modules: ReadonlyMap<string, TargetModule>
  /** What the model has as tensors of their own. */
  readonly weights?: ReadonlyMap<string, Initializer>
  readonly origins: ReadonlyMap<string, WeightOrigin>
  readonly branches?: ReadonlyMap<string, BranchPlace>
}

/** What becomes of a constant of the file; `only` is the one module that it is changed for, where others read it too. */
export type Patch = PlannedConstant<StoredWeight>

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
export function planPatches(graph: Graph, model: PatchedModel, deltas: Deltas): Patch[] {
  const locator = new WeightLocator(graph)
  const readers = new Map<string, Set<string>>()
  for (const { name, weight } of model.modules.values())
    readers.set(weightName(weight), (readers.get(weightName(weight)) ?? new Set()).add(name))
  const find = (weight: string) => {
    const origin = model.origins.get(weight) ?? { name: weight, transposed: false }
    const place = model.branches?.get(origin.name)
    const constant = place === undefined ? locator.find(origin.name) : branchWeight(graph, origin.name, place)
    if (constant === undefined)
      throw new InvalidAdapterError(
        `weight "${weight}" is computed inside ${model.path} (in a function, or from other values), so nothing can be merged into it; keep the adapter unmerged, or export the model with its functions inlined`,
      )
    return { constant, view: viewOf(origin, constant) }
  }
  return planConstants(deltas, { source: model.path, find, readers: (weight) => readers.get(weight) ?? new Set() })
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
export function untie(graph: Graph, model: PatchedModel, { constant: stored, only }: Patch, tensor: HostTensor): void {
  const module = model.modules.get(only!)!
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

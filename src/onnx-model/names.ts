/** @file Weights of an imported graph under the names that PEFT gives them, and where in the file they came from. */
import { inTorchLayout, recurrentNames, type WeightPart } from './recurrent-weights.js'
import { findLayers } from './find-modules.js'
import type { Graph } from '../graph/graph.js'
import type { TargetModule } from '../graph/target-module.js'
import { transposeHost } from '../graph/transpose.js'
import { elementCount, ints, isFileTensor, type HostTensor, type Node } from '../graph/types.js'

/** What a weight of the prepared graph is in the file. */
export interface WeightOrigin {
  /** Name of the value in the file. */
  readonly name: string
  /** Whether the file has it the other way round. */
  readonly transposed: boolean
  /** The elements that it is, where the file's tensor holds others too. */
  readonly part?: WeightPart
}

export interface NamedGraph {
  readonly graph: Graph
  /** By the names of the prepared graph; those that are not here are as in the file. */
  readonly origins: ReadonlyMap<string, WeightOrigin>
}

/** Heads that PEFT trains whole (`modules_to_save`), which it stores as PyTorch does. */
const HEAD = /(^|\.)(classifier|pre_classifier|score|qa_outputs)(\.|$)/
/** A head larger than this keeps the file's layout: it would be copied. */
const LARGEST_HEAD = 1 << 24

/**
 * Renames weights and biases of layers to `<module>.weight` and `<module>.bias`, and all others under a wrapper around
 * the model to what they are without it. A product's weight that the file holds as [in, out] keeps its name: it is not
 * what PEFT calls so. Small heads are turned to [out, in].
 * @param basePrefix what the names of the model's body begin with (`transformer.`), which is no wrapper
 * @param left nodes of branches that are not taken: what they are not a part of is no wrapper either
 */
export function namedAsInPeft(prepared: Graph, basePrefix?: string, left: readonly Node[] = []): NamedGraph {
  const graph = prepared.clone()
  const origins = new Map<string, WeightOrigin>()
  const modules = new Map<string, TargetModule>()
  const { found, wrapper } = modulesOf(graph, basePrefix, left)
  for (const [name, { name: from, part }] of inTorchLayout(graph, wrapper))
    origins.set(name, { name: from, transposed: false, part })
  for (const [name, module] of headNamed(found))
    modules.set(name, (module.kind === 'MatMul' && HEAD.test(name) ? turn(graph, module, origins) : undefined) ?? module)
  const wanted = new Map<string, string>()
  for (const { name, kind, weight, bias } of modules.values()) {
    if (kind !== 'MatMul' && !wanted.has(weight)) wanted.set(weight, `${name}.weight`)
    if (bias !== undefined && !wanted.has(bias)) wanted.set(bias, `${name}.bias`)
  }
  const root = rootOf(wanted)
  for (const name of graph.initializers.keys())
    if (root !== '' && name.startsWith(root) && !wanted.has(name)) wanted.set(name, name.slice(root.length))
  const renamed = renameAll(graph, wanted, origins)
  const now = (name: string): string => renamed.get(name) ?? name
  for (const [name, module] of modules)
    graph.modules.set(name, { ...module, weight: now(module.weight), bias: module.bias && now(module.bias) })
  return { graph, origins }
}

/** The layers, and the wrapper that was taken off their names; where all of them lie in the model's body its prefix stays. */
function modulesOf(
  graph: Graph,
  basePrefix: string | undefined,
  left: readonly Node[],
): { readonly found: Map<string, TargetModule>; readonly wrapper: string } {
  const layers = findLayers(graph)
  const found = layers.below(layers.wrapper)
  if (layers.wrapper === '') return { found, wrapper: '' }
  const wrapper = `${layers.wrapper}.`
  const full = layers.below('')
  const whole = { found: full, wrapper: '' }
  if (recurrentNames(graph).some((name) => !name.startsWith(wrapper)) || !isAround(wrapper, full, left)) return whole
  // A wrapper may bear the same name as the body: `model.model.layers`.
  if (basePrefix === undefined || [...found.keys()].some((name) => name.startsWith(basePrefix) || name === 'lm_head'))
    return { found, wrapper }
  return [...full.keys()].some((name) => name.startsWith(basePrefix)) ? whole : { found, wrapper }
}

const layerOps = new Set(['Conv', 'Gemm', 'MatMul', 'Gather'])

/** Whether a wrapper is around layers too that are not here, but in branches that are not taken. */
function isAround(wrapper: string, full: ReadonlyMap<string, TargetModule>, left: readonly Node[]): boolean {
  const names = left
    .filter(({ op }) => layerOps.has(op))
    .flatMap(({ inputs }) => inputs.filter((name) => /^\w[\w.]*\.weight$/.test(name)))
  // Only weights that are called as layers are here tell.
  const called = [...full.values()].some(({ weight }) => weight.startsWith(wrapper))
  return !called || names.every((name) => name.startsWith(wrapper))
}

/** A head that has only the name of the table it shares its weight with is called as everywhere: `lm_head`. */
function headNamed(modules: ReadonlyMap<string, TargetModule>): Map<string, TargetModule> {
  const tables = new Map([...modules.values()].filter(({ kind }) => kind === 'Embedding').map((m) => [m.weight, m.name]))
  return new Map(
    [...modules].map(([name, module]) => {
      const table = module.kind === 'Embedding' ? undefined : tables.get(module.weight)
      const unnamed = table !== undefined && name === `${table}.1` && !modules.has('lm_head')
      return unnamed ? ['lm_head', { ...module, name: 'lm_head', isOutputHead: true, unnamed: false }] : [name, module]
    }),
  )
}

/** What stands before module names in the file's names of their weights: `m.` */
function rootOf(wanted: ReadonlyMap<string, string>): string {
  for (const [from, to] of wanted) if (from !== to && from.endsWith(`.${to}`)) return from.slice(0, -to.length)
  return ''
}

/** MatMul(x, W) as MatMul(x, Wᵀᵀ): the weight as PyTorch has it. Undefined where it stays as it is. */
function turn(graph: Graph, module: TargetModule, origins: Map<string, WeightOrigin>): TargetModule | undefined {
  const { name, weight } = module
  const tensor = graph.initializers.get(weight)!
  const isWeight = tensor.dtype === 'float32' || tensor.dtype === 'float16' || tensor.dtype === 'bfloat16'
  if (isFileTensor(tensor) || !isWeight || elementCount(tensor.shape) > LARGEST_HEAD) return undefined
  const turned: HostTensor = transposeHost(tensor)
  const value = graph.value(weight)
  const target = graph.addInitializer(graph.uniqueName(`${name}.weight`), turned)
  const back = graph.declare(graph.uniqueName(`${target.name}/transposed`), tensor.dtype, tensor.shape)
  graph.replaceUses(value, back)
  graph.initializers.delete(weight)
  graph.values.delete(weight)
  const node: Node = { op: 'Transpose', domain: '', name: back.name, inputs: [target.name], outputs: [back.name], attributes: { perm: ints([1, 0]) } } // prettier-ignore
  graph.nodes.unshift(node)
  origins.set(target.name, { name: weight, transposed: true })
  return { ...module, kind: 'Linear', weight: target.name }
}

/** Renames initializers where the new name is free. */
function renameAll(
  graph: Graph,
  wanted: ReadonlyMap<string, string>,
  origins: Map<string, WeightOrigin>,
): ReadonlyMap<string, string> {
  const renamed = new Map<string, string>()
  for (const [from, to] of wanted) {
    const tensor = graph.initializers.get(from)
    if (tensor === undefined || from === to || graph.values.has(to)) continue
    renamed.set(from, to)
    graph.initializers.delete(from)
    graph.values.delete(from)
    graph.addInitializer(to, tensor)
    origins.set(to, origins.get(from) ?? { name: from, transposed: false })
  }
  graph.nodes = graph.nodes.map((node) =>
    node.inputs.some((name) => renamed.has(name))
      ? { ...node, inputs: node.inputs.map((name) => renamed.get(name) ?? name) }
      : node,
  )
  return renamed
}

/** @file The last step before a session: operators that a device lacks replaced by those it has. */
import { operatorKey } from '../../graph/allowed-ops.js'
import { GraphBuilder } from '../../graph/builder.js'
import type { Graph } from '../../graph/graph.js'
import type { Node, Shape } from '../../graph/types.js'
import type { Device } from '../runtime.js'
import { failsOnWebgpu } from './webgpu-kernels.js'
import { webgpuLowerings } from './webgpu-lowerings.js'
import { FLOAT16_BORDER, withoutFloat16 } from './without-float16.js'

/** What devices of one kind differ in. */
export interface DeviceFeatures {
  /** Whether WebGPU's shaders know 16-bit floats (the adapter's feature `shader-f16`). */
  readonly float16: boolean
}

const EVERYTHING: DeviceFeatures = { float16: true }

/**
 * A graph that computes the same on a device with fewer operators. It runs after differentiation, which would otherwise
 * find no fused operators to differentiate, and gives the same graph where the device has everything.
 *
 * @returns a changed clone with the inputs and outputs of the given graph, or the graph itself
 */
export function lowerForDevice(given: Graph, device: Device, { float16 }: DeviceFeatures = EVERYTHING): Graph {
  if (device !== 'webgpu') return given
  const graph = float16 ? given : withoutFloat16(given)
  const result = graph.clone()
  const b = new GraphBuilder(result)
  const renamed = new Map<string, string>()
  result.nodes = []
  for (const original of graph.nodes) {
    const node: Node = { ...original, inputs: original.inputs.map((name) => renamed.get(name) ?? name) }
    const key = operatorKey(node.op, node.domain)
    const lowering = Object.hasOwn(webgpuLowerings, key) ? webgpuLowerings[key] : undefined
    const inputs = node.inputs.map((name) => result.values.get(name))
    const value = lowering === undefined ? undefined : b.scope(`device/${node.name}`, () => lowering(node, inputs, b))
    if (value === undefined) result.nodes.push(node)
    else renamed.set(node.outputs[0]!, value.name)
  }
  for (const { name } of graph.outputs) {
    const from = renamed.get(name)
    if (from === undefined) continue
    result.nodes.push({ op: 'Identity', domain: '', name, inputs: [from], outputs: [name], attributes: {} })
  }
  result.prune()
  return result
}

/** The execution provider of a device for a lowered graph, with the nodes that it must leave to the CPU. */
export function executionProvider(graph: Graph, device: Device): Device | { name: 'webgpu'; forceCpuNodeNames: string[] } {
  if (device !== 'webgpu') return device
  const shapeOf = (name: string): Shape | undefined => graph.values.get(name)?.shape
  const names = graph.nodes
    .filter((node) => node.name.startsWith(FLOAT16_BORDER) || failsOnWebgpu(node, shapeOf))
    .map(({ name }) => name)
  return names.length === 0 ? device : { name: 'webgpu', forceCpuNodeNames: names }
}

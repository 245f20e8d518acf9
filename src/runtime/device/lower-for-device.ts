/** @file The last step before a session: operators that a device lacks replaced by those it has. */
import type { Graph } from '../../graph/graph.js'
import { inTable, rewrite } from '../../graph/rewrite.js'
import type { Shape } from '../../graph/types.js'
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
  return rewrite(graph, 'device', inTable(webgpuLowerings))
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

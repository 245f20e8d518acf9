/** @file What of a graph a device leaves to the CPU: each such node costs a copy there and back. */
import { operatorKey } from '../../graph/allowed-ops.js'
import type { Graph } from '../../graph/graph.js'
import type { DType, Node, Shape } from '../../graph/types.js'
import type { Device } from '../runtime.js'
import { lowerForDevice } from './lower-for-device.js'
import { failsOnWebgpu, hasWebgpuKernel, WEBGPU_KERNELS_VERSION } from './webgpu-kernels.js'

/** Nodes of one operator and element type that the device has no kernel for. */
export interface CpuNodes {
  /** Operator key, such as `com.microsoft.DynamicQuantizeMatMul`. */
  readonly op: string
  /** Of the first input; undefined where the graph does not tell. */
  readonly dtype: DType | undefined
  readonly nodes: readonly string[]
}

export interface DeviceReport {
  readonly device: Device
  /** Version of ONNX Runtime whose kernels were looked at. */
  readonly runtimeVersion: string
  /** Work on data that would run on the CPU, node by node. Empty is what one wants. */
  readonly onCpu: readonly CpuNodes[]
  /**
   * Number of nodes that compute shapes, labels and indices in int64, or widen rows looked up in a bfloat16 table: small, and
   * on the CPU by design.
   */
  readonly indexNodes: number
  /** Number of all nodes after the lowerings for the device. */
  readonly nodes: number
}

const INDEX_TYPES: ReadonlySet<DType | undefined> = new Set(['int64', 'bool', undefined])

/** Whether a node works on int64 and bool alone, or turns int64 into another type. */
function isIndexWork(node: Node, dtypeOf: (name: string) => DType | undefined): boolean {
  const first = dtypeOf(node.inputs[0] ?? '')
  if (node.op === 'Cast' || node.op === 'ConstantOfShape') return first === 'int64'
  const known = [...node.inputs, ...node.outputs].map(dtypeOf)
  return first !== undefined && known.every((dtype) => INDEX_TYPES.has(dtype))
}

/**
 * Whether a node only brings weights in bfloat16, which no shader knows, to float32: the Cast of a stored matrix, which the
 * runtime computes when the session is made, or rows looked up in one, and their Cast.
 */
function isLoading(node: Node, graph: Graph, rows: Set<string>): boolean {
  const [from = ''] = node.inputs
  if (graph.values.get(from)?.dtype !== 'bfloat16') return false
  if (node.op === 'Cast') return graph.initializers.has(from) || rows.has(from)
  if (node.op !== 'Gather' || !graph.initializers.has(from)) return false
  rows.add(node.outputs[0]!)
  return true
}

/**
 * Says which nodes of a graph would fall back to the CPU on a device, after its lowerings.
 * @example deviceReport(stepGraph, 'webgpu').onCpu // [] for the language models that lowrank builds
 */
export function deviceReport(graph: Graph, device: Device): DeviceReport {
  const lowered = lowerForDevice(graph, device)
  const base = { device, runtimeVersion: WEBGPU_KERNELS_VERSION, nodes: lowered.nodes.length }
  if (device !== 'webgpu') return { ...base, onCpu: [], indexNodes: 0 }
  const dtypeOf = (name: string): DType | undefined => lowered.values.get(name)?.dtype
  const shapeOf = (name: string): Shape | undefined => lowered.values.get(name)?.shape
  const found = new Map<string, { op: string; dtype: DType | undefined; nodes: string[] }>()
  const rows = new Set<string>()
  let indexNodes = 0
  for (const node of lowered.nodes) {
    if (hasWebgpuKernel(node, dtypeOf) && !failsOnWebgpu(node, shapeOf)) continue
    if (isIndexWork(node, dtypeOf) || isLoading(node, lowered, rows)) {
      indexNodes++
      continue
    }
    const op = operatorKey(node.op, node.domain)
    const dtype = dtypeOf(node.inputs[0] ?? '')
    const key = `${op} ${dtype}`
    if (!found.has(key)) found.set(key, { op, dtype, nodes: [] })
    found.get(key)!.nodes.push(node.name)
  }
  return { ...base, onCpu: [...found.values()], indexNodes }
}

/** The report as one warning, or nothing where all is well. */
export function fallbackWarning(graph: Graph, device: Device): string | undefined {
  const { onCpu, nodes, runtimeVersion } = deviceReport(graph, device)
  if (onCpu.length === 0) return undefined
  const list = onCpu.map(
    ({ op, dtype, nodes: names }) => `${op}${dtype === undefined ? '' : ` of ${dtype}`} (${names.length}, first "${names[0]}")`,
  )
  const count = onCpu.reduce((sum, entry) => sum + entry.nodes.length, 0)
  return (
    `${count} of ${nodes} nodes of graph "${graph.name}" have no ${device} kernel in ONNX Runtime ${runtimeVersion} and run on the CPU, ` +
    `with a copy there and back each: ${list.join(', ')}; device "cpu" may be faster`
  )
}

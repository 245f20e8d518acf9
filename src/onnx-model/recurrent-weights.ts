/**
 * @file Weights of LSTM, GRU and RNN as PyTorch has them: `lstm.weight_ih_l0` in place of one tensor for all directions with
 * the gates in ONNX's order. So they are trained, stored and loaded under the names that PEFT gives them.
 */
import { GraphBuilder } from '../graph/builder.js'
import { layerName } from './find-modules.js'
import type { Graph } from '../graph/graph.js'
import { gateCount, isRecurrent, readRecurrence, type RecurrentOp } from '../graph/recurrent.js'
import { isFileTensor, type HostTensor, type Node, type Value } from '../graph/types.js'

/** Which elements of the file's tensor a weight is: blocks of one size, one for each gate. */
export interface WeightPart {
  readonly shape: readonly number[]
  /** First elements of the gates in PyTorch's order. */
  readonly starts: readonly number[]
  /** Elements of a gate. */
  readonly size: number
}

/** PyTorch's gates in ONNX's order: i, o, f, c of i, f, g, o; z, r, h of r, z, n. */
const gatesInOnnx: Readonly<Record<RecurrentOp, readonly number[]>> = { LSTM: [0, 3, 1, 2], GRU: [1, 0, 2], RNN: [0] }

/** The elements of a part, in PyTorch's order. */
export function readPart(whole: Float32Array, { starts, size }: WeightPart): Float32Array {
  const result = new Float32Array(starts.length * size)
  starts.forEach((start, gate) => result.set(whole.subarray(start, start + size), gate * size))
  return result
}

/** Puts the elements of a part back. */
export function writePart(whole: Float32Array, values: Float32Array, { starts, size }: WeightPart): void {
  starts.forEach((start, gate) => whole.set(values.subarray(gate * size, (gate + 1) * size), start))
}

/** A recurrent node whose weights are constants in memory, and the module and layer that it is. */
interface Layer {
  readonly node: Node
  readonly op: RecurrentOp
  readonly module: string
  readonly index: number
}

/** Names of the modules that recurrent nodes are, with whatever stands before them in the file. */
export const recurrentNames = (graph: Graph): string[] =>
  graph.nodes.flatMap((node) => (isRecurrent(node.op) && node.domain === '' ? (layerName(node) ?? []) : []))

const heldAt = (graph: Graph, name: string | undefined): HostTensor | undefined => {
  const tensor = name === undefined ? undefined : graph.initializers.get(name)
  return tensor === undefined || isFileTensor(tensor) || tensor.dtype !== 'float32' ? undefined : tensor
}

function layersOf(graph: Graph, root: string): Layer[] {
  const seen = new Map<string, string[]>()
  return graph.nodes.flatMap((node) => {
    const { op, domain, inputs } = node
    if (!isRecurrent(op) || domain !== '' || [1, 2].some((i) => heldAt(graph, inputs[i]) === undefined)) return []
    if (inputs[3] !== undefined && inputs[3] !== '' && heldAt(graph, inputs[3]) === undefined) return []
    const name = layerName(node)
    if (name === undefined) return []
    const module = name.startsWith(root) ? name.slice(root.length) : name
    const layers = seen.get(module) ?? []
    seen.set(module, layers)
    // A layer that is applied twice is one.
    if (layers.includes(inputs[1]!)) return []
    layers.push(inputs[1]!)
    return [{ node, op, module, index: layers.length - 1 }]
  })
}

/**
 * Gives recurrent layers weights in PyTorch's layout, from which the graph puts together what the operators read.
 * @param root what stands before the names of all layers in the file, and is no part of them
 * @returns what each new weight is of which constant of the file; layers without a name, in other files or in 16 bits stay
 */
export function inTorchLayout(graph: Graph, root: string): Map<string, { readonly name: string; readonly part: WeightPart }> {
  const parts = new Map<string, { name: string; part: WeightPart }>()
  const { nodes } = graph
  const layers = layersOf(graph, root)
  graph.nodes = []
  const b = new GraphBuilder(graph)
  for (const { node, op, module, index } of layers) {
    const { directions } = readRecurrence(node)
    const gates = gateCount[op]
    const order = gatesInOnnx[op]
    const wanted = ['', '_reverse']
      .slice(0, directions.length)
      .flatMap((end) => ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'].map((kind) => `${module}.${kind}_l${index}${end}`))
    if (wanted.some((name) => graph.values.has(name))) continue
    /** One tensor of a direction, whose rows begin at an element of the file's. */
    const weight = (kind: string, direction: number, from: string, start: number, columns: readonly number[]): Value => {
      const whole = heldAt(graph, from)!
      const hidden = whole.shape[1]! / gates / (kind.startsWith('bias') ? 2 : 1)
      const size = hidden * columns.reduce((product, n) => product * n, 1)
      const starts = order.map((_, gate) => start + order.indexOf(gate) * size)
      const part = { shape: [gates * hidden, ...columns], starts, size }
      const name = `${module}.${kind}_l${index}${direction === 1 ? '_reverse' : ''}`
      parts.set(name, { name: from, part })
      const value = graph.addInitializer(name, {
        dtype: 'float32',
        shape: part.shape,
        data: readPart(whole.data as Float32Array, part),
      })
      const rows = b.splitEvenly(value, gates, hidden, 0)
      return b.concat(
        order.map((gate) => rows[gate]!),
        0,
      )
    }
    const [, w, r, bias] = node.inputs
    const made = new Map<string, Value[]>([w!, r!, ...(bias ? [bias] : [])].map((name) => [name, []]))
    directions.forEach((_, d) => {
      for (const [kind, from] of [
        ['weight_ih', w!],
        ['weight_hh', r!],
      ] as const) {
        const [, rows, columns] = heldAt(graph, from)!.shape as [number, number, number]
        made.get(from)!.push(weight(kind, d, from, d * rows * columns, [columns]))
      }
      if (!bias) return
      const [, length] = heldAt(graph, bias)!.shape as [number, number]
      const halves = ['bias_ih', 'bias_hh'].map((kind, half) => weight(kind, d, bias, d * length + (half * length) / 2, []))
      made.get(bias)!.push(b.concat(halves, 0))
    })
    for (const [from, values] of made) {
      const together = b.concat(
        values.map((value) => b.unsqueeze(value, [0])),
        0,
      )
      const before = graph.value(from)
      graph.initializers.delete(from)
      graph.values.delete(from)
      for (let i = 0; i < nodes.length; i++)
        if (nodes[i]!.inputs.includes(from))
          nodes[i] = { ...nodes[i]!, inputs: nodes[i]!.inputs.map((name) => (name === before.name ? together.name : name)) }
    }
  }
  graph.nodes = [...graph.nodes, ...nodes]
  return parts
}

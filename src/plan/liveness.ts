/** @file How much memory the values of a graph take while it runs. */
import type { BoundDims } from './bind-dims.js'
import type { Graph } from '../graph/graph.js'
import type { Node } from '../graph/types.js'

/** Operators whose result is their first input in another shape: no memory of its own. */
const views = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Identity', 'Flatten'])

/** Operators that may write over an input of the same size that nobody reads afterwards, as ONNX Runtime's planner lets them. */
const inPlace = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Neg', 'Abs', 'Exp', 'Sqrt', 'Reciprocal', 'Sigmoid', 'Tanh', 'Relu', 'Erf', 'Not'],
  ...['Softmax', 'LogSoftmax', 'ScatterElements', 'ScatterND', 'Clip', 'LeakyRelu', 'Elu', 'Floor', 'Ceil'],
])

/**
 * The nodes in the order in which ONNX Runtime runs them: depth first from the nodes that nothing reads, the input that
 * was made last before the others, each node after all that it reads (`Graph::ReverseDFSFrom`).
 */
export function executionOrder(graph: Graph): Node[] {
  const { nodes } = graph
  const index = new Map(nodes.map((node, i) => [node, i]))
  const producers = graph.producers()
  const read = new Set(nodes.flatMap(({ inputs }) => inputs.flatMap((input) => producers.get(input) ?? [])))
  const order: Node[] = []
  const visited = new Set<Node>()
  const stack: { readonly node: Node; readonly leaving: boolean }[] = nodes
    .filter((node) => !read.has(node))
    .map((node) => ({ node, leaving: false }))
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node, leaving } = top
    if (leaving) {
      order.push(node)
      continue
    }
    if (visited.has(node)) continue
    visited.add(node)
    stack.push({ node, leaving: true })
    const inputs = [...new Set(node.inputs.flatMap((input) => producers.get(input) ?? []))]
    inputs.sort((a, b) => index.get(a)! - index.get(b)!)
    for (const input of inputs) if (!visited.has(input)) stack.push({ node: input, leaving: false })
  }
  return order
}

export interface LiveMemory {
  /** Most bytes that computed values take at one time; inputs and constants do not count. */
  readonly peakBytes: number
  /** The node that runs then. */
  readonly at: string
  /** Bytes of the largest value that depends on the inputs. */
  readonly largestBytes: number
  /** Bytes that all nodes write together. */
  readonly writtenBytes: number
}

/**
 * Walks the graph as the runtime does: a value takes memory from the node that makes it to the last that reads it,
 * outputs of the graph to the end. Views share the memory of what they look at.
 *
 * @param order see {@link executionOrder}
 * @throws ShapeError if a length is not known
 */
export function liveMemory(graph: Graph, dims: BoundDims, order: readonly Node[] = executionOrder(graph)): LiveMemory {
  const reads = new Map<string, number>()
  for (const node of order) for (const input of node.inputs) reads.set(input, (reads.get(input) ?? 0) + 1)
  for (const { name } of graph.outputs) reads.set(name, Infinity)
  /** The block that a computed value lies in, how many bytes it has and how many reads of it are left. */
  const blocks = new Map<string, { bytes: number; reads: number }>()
  let live = 0
  let writtenBytes = 0
  let largestBytes = 0
  let peak = { peakBytes: 0, at: '' }
  const bytesOf = (name: string): number => dims.bytes(graph.value(name)) ?? 0
  for (const node of order) {
    const read = node.inputs.flatMap((name) => blocks.get(name) ?? [])
    const outputs = node.outputs.filter((name) => name !== '')
    outputs.forEach((name, i) => {
      const count = reads.get(name) ?? 0
      const first = node.inputs[0] === undefined ? undefined : blocks.get(node.inputs[0])
      if (views.has(node.op) && i === 0 && first !== undefined) {
        first.reads += count
        return void blocks.set(name, first)
      }
      const bytes = bytesOf(name)
      writtenBytes += bytes
      if (!node.inputs.every((input) => input === '' || graph.initializers.has(input)))
        largestBytes = Math.max(largestBytes, bytes)
      const dying = inPlace.has(node.op) ? read.find((block) => block.reads === 1 && block.bytes === bytes) : undefined
      if (dying !== undefined) {
        dying.reads += count
        return void blocks.set(name, dying)
      }
      live += bytes
      blocks.set(name, { bytes, reads: count })
    })
    if (live > peak.peakBytes)
      peak = { peakBytes: live, at: node.name === '' ? `${node.op} of ${outputs.join(', ')}` : node.name }
    const release = (block: { bytes: number; reads: number }): void => {
      if (block.reads !== 0) return
      live -= block.bytes
      block.reads = -1
    }
    for (const block of read) {
      block.reads--
      release(block)
    }
    // What nobody reads is gone at once.
    for (const name of outputs) release(blocks.get(name)!)
  }
  return { ...peak, largestBytes, writtenBytes }
}

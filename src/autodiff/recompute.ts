/** @file Activation recomputation: the backward pass computes a block's activations again instead of keeping them. */
import { GraphBuilder } from '../graph/builder.js'
import { evaluateDim } from '../graph/dim/index.js'
import type { Graph } from '../graph/graph.js'
import { int, isFloat, type Node, type Value } from '../graph/types.js'
import { ancestry } from '../graph/walk.js'

/** Stands for a symbolic length where sizes are compared. */
const TYPICAL_LENGTH = 256

const sizeOf = ({ shape }: Value): number =>
  (shape ?? [TYPICAL_LENGTH, TYPICAL_LENGTH]).reduce<number>((size, dim) => size * evaluateDim(dim, () => TYPICAL_LENGTH), 1)

/** The block that a layer belongs to: `model.layers.3` of `model.layers.3.mlp.up_proj`. */
const blockOf = (module: string): string | undefined => /^(?:.*?\.)?\d+(?=\.|$)/.exec(module)?.[0]

/** The forward pass of a differentiated graph: its nodes in order, and when each value is made and last read by it. */
class Forward {
  readonly nodes: Node[]
  readonly madeAt = new Map<string, number>()
  readonly lastRead = new Map<string, number>()

  constructor(
    readonly graph: Graph,
    loss: string,
  ) {
    this.nodes = ancestry(graph.nodes, [loss]).nodes
    this.nodes.forEach((node, i) => {
      for (const output of node.outputs) this.madeAt.set(output, i)
      for (const input of node.inputs) this.lastRead.set(input, i)
    })
  }

  /** Size of all floating-point values that are made before a place and read after it. */
  liveSizes(): number[] {
    const change = new Array<number>(this.nodes.length + 2).fill(0)
    for (const [name, made] of this.madeAt) {
      const value = this.graph.value(name)
      const last = this.lastRead.get(name) ?? made
      if (!isFloat(value.dtype) || last <= made) continue
      change[made + 1]! += sizeOf(value)
      change[last + 1]! -= sizeOf(value)
    }
    let live = 0
    return change.map((c) => (live += c))
  }

  /**
   * Places between blocks: each the one of least live data between the last layer of a block and the first of the next.
   * Before place p lie the nodes 0…p−1.
   */
  cuts(): number[] {
    const blocks = new Map<string, string>()
    for (const { name, weight } of this.graph.modules.values()) {
      const block = blockOf(name)
      if (block !== undefined) blocks.set(weight, block)
    }
    const live = this.liveSizes()
    const cuts: number[] = []
    let current: string | undefined
    let last = 0
    this.nodes.forEach((node, i) => {
      const block = node.inputs.map((input) => blocks.get(input)).find((b) => b !== undefined)
      if (block === undefined) return
      if (block !== current) {
        let best = last + (current === undefined ? 0 : 1)
        for (let p = best; p <= i; p++) if (live[p]! < live[best]!) best = p
        cuts.push(best)
        current = block
      }
      last = i
    })
    return cuts
  }
}

/**
 * Rewrites a differentiated graph so that activations inside a block are not kept for the backward pass: what crosses
 * from block to block stays, the rest is computed again when the gradient reaches the block (Chen et al., 2016,
 * "Training Deep Nets with Sublinear Memory Cost", with one checkpoint for each block).
 *
 * The last block and what follows it are kept: their gradient comes at once. The second computation reads
 * its inputs plus a zero that is computed from the shape of the arriving gradient: the runtime can then neither merge it
 * with the first nor begin it early, and the results are the same bits.
 *
 * Blocks are told by the names of the graph's modules (`model.layers.3.…`); a graph without such names stays as it is.
 *
 * @param graph forward and backward pass, in topological order
 * @param loss output that the forward pass ends in
 */
export function recompute(graph: Graph, loss: string): Graph {
  const forward = new Forward(graph, loss)
  const cuts = forward.cuts()
  if (cuts.length < 2) return graph
  const result = graph.clone()
  const b = new GraphBuilder(result)
  const isForward = new Set(forward.nodes)
  const backward = graph.nodes.filter((node) => !isForward.has(node))
  /** Segment that makes a forward value: −1 before the first cut; the last one is never recomputed. */
  const segmentOf = (name: string): number | undefined => {
    const made = forward.madeAt.get(name)
    if (made === undefined) return undefined
    let segment = -1
    while (segment + 1 < cuts.length && cuts[segment + 1]! <= made) segment++
    return segment
  }
  const reached = reachedSegments(graph, backward, segmentOf)

  /** New nodes by the backward node that they come before. */
  const insertions = new Map<Node, Node[]>()
  const replaced = new Map<string, string>()
  for (let segment = 0; segment < cuts.length - 1; segment++) {
    const end = cuts[segment + 1]!
    const again = (name: string): boolean =>
      segmentOf(name) === segment && isFloat(graph.value(name).dtype) && (forward.lastRead.get(name) ?? 0) < end
    const saved = new Set(backward.flatMap((node) => node.inputs.filter((name) => again(name))))
    const first = backward.find((node) => node.inputs.some((name) => saved.has(name)))
    const gradient = arriving(graph, backward, segment, reached, segmentOf)
    if (first === undefined || gradient === undefined) continue
    const nodes = ancestry(forward.nodes.slice(cuts[segment], end), saved, again).nodes
    const from = result.nodes.length
    b.scope(`recomputed/${segment}`, () => emitAgain(b, nodes, again, gradient, replaced))
    insertions.set(first, [...(insertions.get(first) ?? []), ...result.nodes.splice(from)])
  }
  result.nodes = result.nodes.flatMap((node) => {
    const own = isForward.has(node) ? node : { ...node, inputs: node.inputs.map((input) => replaced.get(input) ?? input) }
    return [...(insertions.get(node) ?? []), own]
  })
  result.sort()
  return result
}

/** For each value of the backward pass, the earliest segment whose activations or gradients it depends on. */
function reachedSegments(
  graph: Graph,
  backward: readonly Node[],
  segmentOf: (name: string) => number | undefined,
): Map<string, number> {
  const reached = new Map<string, number>()
  for (const node of backward) {
    let earliest = Infinity
    for (const input of node.inputs) {
      const value = graph.values.get(input)
      // Lengths and indices carry no gradient, wherever they were computed first.
      if (value === undefined || !isFloat(value.dtype)) continue
      const segment = reached.get(input) ?? segmentOf(input)
      // What is made before the first block (masks, rotary tables) is read everywhere and tells nothing.
      if (segment !== undefined && segment >= 0) earliest = Math.min(earliest, segment)
    }
    for (const output of node.outputs) reached.set(output, earliest)
  }
  return reached
}

/** The gradient that arrives at a segment from the one behind it: where it first meets what the segment computed. */
function arriving(
  graph: Graph,
  backward: readonly Node[],
  segment: number,
  reached: ReadonlyMap<string, number>,
  segmentOf: (name: string) => number | undefined,
): Value | undefined {
  for (const node of backward) {
    if (!node.inputs.some((name) => (reached.get(name) ?? segmentOf(name)) === segment)) continue
    for (const name of node.inputs) {
      const value = graph.values.get(name)
      if (reached.get(name) === segment + 1 && value !== undefined && isFloat(value.dtype) && value.shape?.length !== 0)
        return value
    }
  }
  return undefined
}

/** Emits copies of nodes that wait for a gradient, and notes the copy of every value. */
function emitAgain(
  b: GraphBuilder,
  nodes: readonly Node[],
  again: (name: string) => boolean,
  gradient: Value,
  copies: Map<string, string>,
): void {
  const { graph } = b
  const length = b.emit('Shape', [gradient], { start: int(0), end: int(1) })
  const zero = b.cast(b.mul(length, 0), 'float32')
  const waiting = new Map<string, Value>()
  for (const node of nodes) {
    const copied = (name: string): Value | undefined => {
      const copy = again(name) ? copies.get(name) : undefined
      return copy === undefined ? waiting.get(name) : graph.value(copy)
    }
    if (!node.inputs.some((name) => copied(name) !== undefined)) {
      // One input that waits makes the node wait; constants and inputs of the graph are left for the runtime to see.
      const entry = node.inputs.find((name) => {
        const value = graph.values.get(name)
        return (
          value?.dtype === 'float32' &&
          value.shape?.length !== 0 &&
          !graph.initializers.has(name) &&
          !graph.inputs.includes(value)
        )
      })
      if (entry !== undefined) waiting.set(entry, b.emit('Add', [graph.value(entry), zero], {}, shapesOf(graph.value(entry))))
    }
    const inputs = node.inputs.map((name) => (name === '' ? undefined : (copied(name) ?? graph.value(name))))
    const shapes = node.outputs.map((name) => graph.values.get(name)?.shape)
    const outputs = b.emitAgain(node, inputs, shapes.every((s) => s !== undefined) ? shapes : undefined)
    outputs.forEach((output, i) => copies.set(node.outputs[i]!, output.name))
  }
}

const shapesOf = ({ shape }: Value): { shapes?: readonly [NonNullable<Value['shape']>] } =>
  shape === undefined ? {} : { shapes: [shape] }

/** @file What values are computed by. */
import type { Node } from './types.js'

/** A part of a graph. */
export interface Ancestry {
  /** In the order of the graph. */
  readonly nodes: Node[]
  /** Of all values that these nodes read, and of those that were asked for. */
  readonly names: Set<string>
}

/**
 * The nodes that values are computed by.
 * @param nodes of a graph in topological order
 * @param names of the values
 * @param follows whether the walk goes on at a value; at all unless given
 */
export function ancestry(
  nodes: readonly Node[],
  names: Iterable<string>,
  follows: (name: string) => boolean = () => true,
): Ancestry {
  const needed = new Set(names)
  const found: Node[] = []
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]!
    if (!node.outputs.some((output) => needed.has(output) && follows(output))) continue
    found.push(node)
    for (const input of node.inputs) needed.add(input)
  }
  return { nodes: found.reverse(), names: needed }
}

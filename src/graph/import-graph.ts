/** @file One graph's nodes inside another: two variants of a model that share inputs and weights. */
import type { Graph } from './graph.js'
import { isFileTensor, type Initializer, type Value } from './types.js'

/**
 * Copies the nodes that `values` need into `graph`. Inputs of the same name are the same inputs; a constant that `graph`
 * has under the same name is used, not copied: weights are there once. Everything else gets a new name.
 * @param prefix of the new names
 * @returns the copies of `values`, in order
 */
export function importGraph(graph: Graph, from: Graph, values: readonly Value[], prefix: string): Value[] {
  const source = from.clone()
  source.outputs = [...values]
  source.prune()
  const names = new Map<string, string>()
  const needed = new Set(source.nodes.flatMap(({ inputs }) => inputs))
  for (const input of source.inputs)
    if (needed.has(input.name) && !graph.inputs.some(({ name }) => name === input.name))
      graph.addInput(input.name, input.dtype, input.shape ?? [])
  for (const [name, tensor] of source.initializers) {
    const own = graph.initializers.get(name)
    if (own === undefined || !isSame(own, tensor))
      names.set(name, graph.addInitializer(graph.uniqueName(`${prefix}${name}`), tensor).name)
  }
  for (const { outputs } of source.nodes)
    for (const output of outputs) {
      if (output === '') continue
      const { dtype, shape } = source.value(output)
      names.set(output, graph.declare(graph.uniqueName(`${prefix}${output}`), dtype, shape).name)
    }
  const named = (name: string): string => names.get(name) ?? name
  for (const node of source.nodes)
    graph.nodes.push({
      ...node,
      name: `${prefix}${node.name}`,
      inputs: node.inputs.map(named),
      outputs: node.outputs.map(named),
    })
  for (const name of source.detached) graph.detached.add(named(name))
  return values.map(({ name }) => graph.value(named(name)))
}

/** Whether two constants are one: the same numbers in memory, or the same place in a file. */
function isSame(a: Initializer, b: Initializer): boolean {
  if (a === b) return true
  if (isFileTensor(a) || isFileTensor(b)) return isFileTensor(a) && isFileTensor(b) && JSON.stringify(a) === JSON.stringify(b)
  return a.dtype === b.dtype && a.data === b.data && a.shape.join() === b.shape.join()
}

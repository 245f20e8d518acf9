/** @file Nodes of a graph replaced by others that compute the same, under the same names. */
import { operatorKey } from './allowed-ops.js'
import { GraphBuilder } from './builder.js'
import type { Graph } from './graph.js'
import { OperandView } from './view.js'
import { numbersOf } from './constants.js'
import type { Node, Value } from './types.js'

/** What a replacement sees of the node it takes the place of. */
export class RewriteContext extends OperandView {
  /** Inputs; undefined are optional ones that are left out, and values of which a file that was decoded says nothing. */
  readonly inputs: readonly (Value | undefined)[]

  constructor(
    readonly b: GraphBuilder,
    node: Node,
    private readonly values: Map<string, Value>,
  ) {
    super(node)
    this.inputs = node.inputs.map((name) => b.graph.values.get(name))
  }

  override readonly optional = (index: number): Value | undefined => this.inputs[index]

  override readonly constant = (index: number): number[] | undefined => {
    const value = this.inputs[index]
    return value === undefined ? undefined : numbersOf(this.b.graph.initializers.get(value.name))
  }

  /** What several nodes of one rewriting have in common, by any name; made where it is asked for first. */
  shared = (key: string, make: () => Value): Value => {
    const value = this.values.get(key) ?? make()
    this.values.set(key, value)
    return value
  }
}

/** Emits what the one output of a node is; undefined keeps the node. */
export type Replacement = (c: RewriteContext) => Value | undefined

/** Replacements by operator key. */
export type RewriteTable = Readonly<Record<string, Replacement>>

/** The entry of a table for a node. */
export const inTable =
  (table: RewriteTable) =>
  ({ op, domain }: Node): Replacement | undefined => {
    const key = operatorKey(op, domain)
    return Object.hasOwn(table, key) ? table[key] : undefined
  }

/**
 * A graph in which some nodes are replaced. Every value that stays keeps its name and its shape.
 * @param scope what the names of new values begin with, before that of the node
 * @param replacementOf asked of each node, in order
 * @returns a pruned clone, or the graph itself where nothing was replaced
 */
export function rewrite(graph: Graph, scope: string, replacementOf: (node: Node) => Replacement | undefined): Graph {
  const result = graph.clone()
  const b = new GraphBuilder(result)
  const shared = new Map<string, Value>()
  /** Values of replacements by the name that they are to have. */
  const renamed = new Map<string, string>()
  let replaced = false
  result.nodes = []
  for (const node of graph.nodes) {
    const from = result.nodes.length
    const replacement = replacementOf(node)
    const value = replacement && b.scope(`${scope}/${node.name}`, () => replacement(new RewriteContext(b, node, shared)))
    if (value === undefined) {
      result.nodes.push(node)
      continue
    }
    replaced = true
    const name = node.outputs[0]!
    if (result.values.get(name)?.shape === undefined) result.values.set(name, { ...value, name })
    const isNew = !renamed.has(value.name) && result.nodes.slice(from).some(({ outputs }) => outputs.includes(value.name))
    if (isNew) renamed.set(value.name, name)
    else result.nodes.push({ op: 'Identity', domain: '', name, inputs: [value.name], outputs: [name], attributes: {} })
  }
  if (!replaced) return graph
  const named = (name: string): string => renamed.get(name) ?? name
  result.nodes = result.nodes.map((node) =>
    [...node.inputs, ...node.outputs].some((name) => renamed.has(name))
      ? { ...node, inputs: node.inputs.map(named), outputs: node.outputs.map(named) }
      : node,
  )
  for (const name of renamed.keys()) result.values.delete(name)
  result.prune()
  return result
}

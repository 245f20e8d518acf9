/** @file `If` on a constant condition: its branch takes its place. Nodes with sub-graphs that cannot be taken out are refused. */
import { UnsupportedOpError } from '../errors.js'
import type { InferState, Replacement } from '../graph/infer-graph.js'
import { formatShape, type Node, type Value } from '../graph/types.js'
import { inlineSubgraph, type Inlined } from '../onnx/inline.js'
import { adviceFor, MACHINE_LAYOUT } from './refused.js'

/** Operators that read no elements of what they are given, only its lengths. */
const readsLengths = new Set(['Shape', 'Size'])

/**
 * The nodes of the branch that is taken.
 * @param branches is told what is taken and what is not
 * @throws UnsupportedOpError naming the inputs that decide, where the condition is not constant
 */
export function inlineIf(node: Node, state: InferState, folder: string | undefined, branches: Branches): Replacement | undefined {
  const condition = state.numbers(node.inputs[0])?.[0]
  if (condition === undefined) throw new UnsupportedOpError(undecided(node, state))
  const [taken, left] = condition === 1 ? ['then_branch', 'else_branch'] : ['else_branch', 'then_branch']
  const [attribute, other] = [node.attributes[taken!], node.attributes[left!]]
  if (other?.type === 'opaque') branches.leave(inlineSubgraph(other.value, node, folder).nodes)
  if (attribute?.type !== 'opaque') return undefined
  const isFree = (name: string): boolean => !state.graph.values.has(name) && !state.graph.reserved.has(name)
  const inlined = inlineSubgraph(attribute.value, node, folder, isFree)
  branches.take(node, taken!, inlined)
  return inlined
}

/** One step into a sub-graph: a node, by an output in the file's graph and by its place within a branch, and its attribute. */
export interface BranchStep {
  readonly node: string | number
  readonly attribute: string
}

/** Where a constant of a branch stands in the file. */
export interface BranchPlace {
  readonly path: readonly BranchStep[]
  /** Among the branch's initializers, or in a `Constant` node of it. */
  readonly kind: 'initializer' | 'node'
  readonly index: number
}

/** An output that a node has; by it a node is known. */
export const firstOf = (outputs: readonly string[]): string => outputs.find((name) => name !== '') ?? ''

/** What became of the branches of a graph. */
export class Branches {
  /** Places of constants by their names in the lowered graph. */
  readonly constants = new Map<string, BranchPlace>()
  /** Nodes of branches that are not taken. */
  readonly left: Node[] = []
  /** Ways to nodes within branches, by their first outputs in the lowered graph. */
  private readonly ways = new Map<string, readonly BranchStep[]>()

  leave(nodes: readonly Node[]): void {
    this.left.push(...nodes)
  }

  take(node: Node, attribute: string, { nodes, initializers }: Inlined): void {
    const output = firstOf(node.outputs)
    const around = this.ways.get(output)
    const path =
      around === undefined ? [{ node: output, attribute }] : [...around.slice(0, -1), { node: around.at(-1)!.node, attribute }]
    let index = 0
    for (const name of initializers.keys()) this.constants.set(name, { path, kind: 'initializer', index: index++ })
    nodes.forEach(({ op, outputs }, i) => {
      const name = firstOf(outputs)
      if (op === 'Constant') this.constants.set(name, { path, kind: 'node', index: i })
      if (op === 'If') this.ways.set(name, [...path, { node: i, attribute: '' }])
    })
  }
}

/**
 * What a sub-graph reads of the graph around it is seen by no pass, and a layout for one machine has the axes elsewhere under
 * the same names of operators: such nodes cannot stay, whatever is known of their outputs.
 */
export function refuseOutright(node: Node): void {
  const advice = adviceFor(node)
  const staysNever = ['Loop', 'Scan', 'SequenceMap'].includes(node.op) || node.domain === MACHINE_LAYOUT
  if (advice !== undefined && staysNever) throw new UnsupportedOpError(advice)
}

/** Why an `If` is not decided, and by which option it is. */
function undecided(node: Node, state: InferState): string {
  const { values, lengths } = sourcesOf(node.inputs[0]!, state)
  const named = (list: readonly Value[]): string =>
    list.map(({ name, dtype, shape }) => `"${name}" (${dtype} ${formatShape(shape)})`).join(', ')
  if (values.length > 0) {
    const names = values.map(({ name }) => name)
    return (
      `its condition depends on input ${named(values)}; fix ${names.length === 1 ? 'it' : 'them'} with ` +
      `{ constants: { ${names.map((name) => `${/^\w+$/.test(name) ? name : JSON.stringify(name)}: …`).join(', ')} } }, --constants ${names.map((name) => `${name}=…`).join(',')}`
    )
  }
  if (lengths.length > 0)
    return `its condition depends on the lengths of input ${named(lengths)}; fix them by their names in the file with { dims: { NAME: LENGTH } }, --dims NAME=LENGTH`
  return 'its condition is computed while the model runs, from no input; export the model with one of its branches'
}

/** The inputs of the graph that a value is computed from, by what of them it is computed from. */
function sourcesOf(name: string, state: InferState): { readonly values: Value[]; readonly lengths: Value[] } {
  const inputs = new Map(state.graph.inputs.map((value) => [value.name, value]))
  const [values, lengths] = [new Set<Value>(), new Set<Value>()]
  const seen = new Set<string>()
  const open: { readonly name: string; readonly ofLengths: boolean }[] = [
    { name: state.value(name)?.name ?? name, ofLengths: false },
  ]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { name: at, ofLengths } = next
    const key = `${ofLengths}:${at}`
    if (seen.has(key)) continue
    seen.add(key)
    const input = inputs.get(at)
    if (input !== undefined) (ofLengths ? lengths : values).add(input)
    const producer = state.producer(at)
    for (const read of producer?.inputs ?? [])
      if (read !== '') open.push({ name: read, ofLengths: ofLengths || readsLengths.has(producer!.op) })
  }
  const inOrder = (found: ReadonlySet<Value>): Value[] => state.graph.inputs.filter((input) => found.has(input))
  return { values: inOrder(values), lengths: inOrder(lengths) }
}

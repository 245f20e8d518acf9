/** @file `If` on a constant condition: its branch takes its place. Nodes with sub-graphs that cannot be taken out are refused. */
import { UnsupportedOpError } from '../errors.js'
import type { InferState, Replacement } from '../graph/infer-graph.js'
import { formatShape, type Node, type Value } from '../graph/types.js'
import { inlineSubgraph } from '../onnx/inline.js'
import { adviceFor } from './refused.js'

/** Operators that read no elements of what they are given, only its lengths. */
const readsLengths = new Set(['Shape', 'Size'])

/**
 * The nodes of the branch that is taken.
 * @param leave is told the nodes of the branch that is not
 * @throws UnsupportedOpError naming the inputs that decide, where the condition is not constant
 */
export function inlineIf(
  node: Node,
  state: InferState,
  folder: string | undefined,
  leave: (nodes: readonly Node[]) => void,
): Replacement | undefined {
  const condition = state.numbers(node.inputs[0])?.[0]
  if (condition === undefined) throw new UnsupportedOpError(undecided(node, state))
  const [taken, left] = condition === 1 ? ['then_branch', 'else_branch'] : ['else_branch', 'then_branch']
  const [attribute, other] = [node.attributes[taken!], node.attributes[left!]]
  if (other?.type === 'opaque') leave(inlineSubgraph(other.value, node, folder).nodes)
  return attribute?.type === 'opaque' ? inlineSubgraph(attribute.value, node, folder) : undefined
}

/** What a sub-graph reads of the graph around it is seen by no pass, so such a node cannot stay, whatever its outputs are. */
export function refuseSubgraph(node: Node): void {
  const advice = adviceFor(node)
  if (advice !== undefined && ['Loop', 'Scan', 'SequenceMap'].includes(node.op)) throw new UnsupportedOpError(advice)
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
    return `its condition depends on the lengths of input ${named(lengths)}; export the model for fixed lengths, or with one of its branches`
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

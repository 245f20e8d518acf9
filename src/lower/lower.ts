/** @file From an imported graph to one that lowrank can differentiate: opset 21, constants folded, fused operators opened. */
import { UnsupportedOpError } from '../errors.js'
import { operatorKey } from '../graph/allowed-ops.js'
import { tensor } from '../graph/constants.js'
import { DEFAULT_OPSET, type Graph } from '../graph/graph.js'
import { inferGraph, type InferState, type Replacement } from '../graph/infer-graph.js'
import type { Dim, Node, Value } from '../graph/types.js'
import { LowerContext, type LoweringTable } from './context.js'
import { attentionLowerings } from './attention.js'
import { elementwiseLowerings } from './elementwise.js'
import { inlineIf } from './inline-if.js'
import { normalizationLowerings } from './normalization.js'
import { upgradeNode } from './opset.js'

/** What was done to a graph. */
export interface LowerReport {
  /** Number of nodes opened, by operator. */
  readonly lowered: ReadonlyMap<string, number>
  /** Lengths that were taken to be equal because an operator needs them to be. */
  readonly assumptions: readonly (readonly [string, Dim])[]
}

export interface LowerOptions {
  /** Inputs of the graph to be constants, for example `use_cache_branch` of a merged decoder: that decides its `If`s. */
  readonly constants?: Readonly<Record<string, number | boolean>>
  /** Lowerings beside or instead of the built-in ones. */
  readonly lowerings?: LoweringTable
}

export const builtinLowerings: LoweringTable = { ...elementwiseLowerings, ...normalizationLowerings, ...attentionLowerings }

/** Control flow whose gradient would need a program, not a graph. */
const refused: ReadonlySet<string> = new Set([
  'If',
  'Loop',
  'Scan',
  'SequenceAt',
  'SequenceConstruct',
  'SequenceInsert',
  'SplitToSequence',
  'ConcatFromSequence',
  'LSTM',
  'GRU',
  'RNN',
])

/**
 * Lowers an imported graph.
 *
 * Constants become initializers and small computations on shapes are folded; nodes of older opsets take the form of
 * opset 21; `If` on a constant is replaced by its branch; operators that only inference runtimes have are opened into
 * those that have gradients.
 *
 * @returns a graph in topological order in which every value has an element type
 * @throws UnsupportedOpError naming every node that cannot be brought into such a form
 */
export function lower(graph: Graph, options: LowerOptions = {}): { graph: Graph; report: LowerReport } {
  const opset = graph.opsets.get('') ?? DEFAULT_OPSET
  const table: LoweringTable = { ...builtinLowerings, ...options.lowerings }
  const lowered = new Map<string, number>()
  const source = withConstants(graph, options.constants ?? {})
  source.opsets.set('', DEFAULT_OPSET)
  source.opsets.set('com.microsoft', 1)

  const rewrite = (original: Node, state: InferState): Replacement | Node | undefined => {
    const node = upgradeNode(original, opset, state) ?? original
    const value = node.op === 'Constant' ? node.attributes['value'] : undefined
    if (value?.type === 'tensor')
      return { nodes: [], initializers: new Map([[node.outputs[0]!, value.value]]), outputs: [node.outputs[0]!] }
    if (node.op === 'Identity' && node.domain === '') return { nodes: [], outputs: [node.inputs[0]!] }
    if (node.op === 'If') return inlineIf(node, state)
    const key = operatorKey(node.op, node.domain)
    const context = new LowerContext(node, state)
    const emitted = Object.hasOwn(table, key) ? state.b.scope(`lowered/${node.name}`, () => table[key]!(context)) : undefined
    if (emitted === undefined) return node
    lowered.set(key, (lowered.get(key) ?? 0) + 1)
    return { values: Array.isArray(emitted) ? (emitted as readonly (Value | undefined)[]) : [emitted as Value] }
  }

  const { graph: result, assumptions, uninferred } = inferGraph(source, rewrite)
  const problems = uninferred.map(({ node, reason }) => ({ node, reason: refused.has(node.op) ? adviceFor(node) : reason }))
  if (problems.length > 0) throw unsupported(problems, opset)
  return { graph: result, report: { lowered, assumptions } }
}

const adviceFor = (node: Node): string =>
  node.op === 'If'
    ? 'its condition is not constant; fix an input with { constants: { use_cache_branch: false } }'
    : 'control flow and recurrence cannot be differentiated'

function unsupported(problems: readonly { node: Node; reason: string }[], opset: number): UnsupportedOpError {
  const lines = problems.map(
    ({ node, reason }) => `  ${operatorKey(node.op, node.domain)} (opset ${opset}) "${node.name}": ${reason}`,
  )
  return new UnsupportedOpError(
    `${problems.length} node(s) of the graph are not supported:\n${lines.join('\n')}\n` +
      'Export the model without them (a plain fp32 export usually has none), or pass { lowerings } for them.',
  )
}

/** Some inputs turned into initializers. */
function withConstants(graph: Graph, constants: Readonly<Record<string, number | boolean>>): Graph {
  const result = graph.clone()
  for (const [name, value] of Object.entries(constants)) {
    const input = result.inputs.find((i) => i.name === name)
    if (input === undefined)
      throw new UnsupportedOpError(
        `the graph has no input "${name}" to make constant; it has ${result.inputs.map((i) => i.name).join(', ')}`,
      )
    result.inputs = result.inputs.filter((i) => i !== input)
    result.initializers.set(name, constantTensor(input, Number(value)))
  }
  return result
}

function constantTensor(input: Value, value: number): ReturnType<typeof tensor> {
  const shape = (input.shape ?? []).map((d) => (typeof d === 'number' ? d : 1))
  return tensor(
    input.dtype,
    shape,
    Array.from({ length: shape.reduce((p, d) => p * d, 1) }, () => value),
  )
}

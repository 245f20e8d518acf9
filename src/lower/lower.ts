/** @file From an imported graph to one that lowrank can differentiate: opset 21, constants folded, fused operators opened. */
import { operatorKey } from '../graph/allowed-ops.js'
import { DEFAULT_OPSET, type Graph } from '../graph/graph.js'
import { canInfer } from '../graph/infer/index.js'
import { inferGraph, type InferState, type Replacement } from '../graph/infer-graph.js'
import { LOWERED } from '../graph/target-module.js'
import type { Dim, Node, Value } from '../graph/types.js'
import { inlineFunction } from '../onnx/inline.js'
import { functionKey } from '../onnx/functions.js'
import { originOf } from '../onnx/origin.js'
import { LowerContext, type LoweringTable } from './context.js'
import { attentionLowerings } from './attention.js'
import { elementwiseLowerings } from './elementwise.js'
import { convolutionLowerings } from './convolution.js'
import { withFileDims, type DimOverrides } from './file-dims.js'
import { Branches, inlineIf, refuseOutright } from './inline-if.js'
import { fixInputs, type InputConstants } from './input-constants.js'
import { matrixLowerings } from './matrix.js'
import { movementLowerings } from './movement.js'
import { normalizationLowerings } from './normalization.js'
import { quantizedLowerings, throughQuantized } from './quantized.js'
import { quantizedOperatorLowerings } from './quantized-operators.js'
import { QuantizedValues } from './quantized-values.js'
import { adviceFor, refuse } from './refused.js'
import { recurrentLowerings } from './recurrent.js'
import { resizeLowerings } from './resize.js'
import { rotaryLowerings } from './rotary.js'
import { upgradeNode } from './opset.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** What was done to a graph. */
export interface LowerReport {
  /** Number of nodes opened, by operator. */
  readonly lowered: ReadonlyMap<string, number>
  /** Lengths that were taken to be equal because an operator needs them to be. */
  readonly assumptions: readonly (readonly [string, Dim])[]
  /** @internal What became of the branches of `If`s. */
  readonly branches: Pick<Branches, 'constants' | 'left'>
}

/** Options of {@link lower}. */
export interface LowerOptions {
  /** Inputs of the graph to be constants, for example `use_cache_branch` of a merged decoder: that decides its `If`s. */
  readonly constants?: InputConstants
  /** Lengths of the inputs by their names in the file: ONNX Runtime's free dimension overrides. */
  readonly dims?: DimOverrides
  /** Lowerings beside or instead of the built-in ones. */
  readonly lowerings?: LoweringTable
}

const lowerOptionKeys = { constants: true, dims: true, lowerings: true } satisfies OptionKeys<LowerOptions>

/** Every lowering of lowrank, by operator. */
export const builtinLowerings: LoweringTable = {
  ...elementwiseLowerings,
  ...normalizationLowerings,
  ...attentionLowerings,
  ...rotaryLowerings,
  ...movementLowerings,
  ...resizeLowerings,
  ...matrixLowerings,
  ...convolutionLowerings,
  ...recurrentLowerings,
  ...quantizedLowerings,
  ...quantizedOperatorLowerings,
}

/**
 * Lowers an imported graph.
 *
 * Constants become initializers and small computations on shapes are folded; nodes of older opsets take the form of
 * opset 21; functions of the model's own and `If` on a constant are replaced by what they mean; operators that only
 * inference runtimes have are opened into those that have gradients. Weights in 8 and 4 bits stay as they are: frozen.
 *
 * @returns a graph in topological order in which every value has an element type
 * @throws UnsupportedOpError naming every node that cannot be brought into such a form
 * @example
 * const { graph, report } = lower(decodeModel(bytes, { folder: '.' }))
 */
export function lower(graph: Graph, options: LowerOptions = {}): { graph: Graph; report: LowerReport } {
  const opset = graph.opsets.get('') ?? DEFAULT_OPSET
  checkKeys(options, lowerOptionKeys, 'lower')
  const table: LoweringTable = { ...builtinLowerings, ...options.lowerings }
  const lowered = new Map<string, number>()
  const source = fixInputs(withFileDims(graph, options.dims), options.constants ?? {})
  const origin = originOf(graph)
  let branches = new Branches()
  let quantized = new QuantizedValues()
  let current: InferState | undefined

  const rewrite = (original: Node, state: InferState): Replacement | Node | undefined => {
    // Inference starts over when it finds two names for one length; what was known of values then is gone.
    if (current !== state) [current, quantized, branches] = [state, new QuantizedValues(source), new Branches()]
    const definition = origin?.functions.get(functionKey(original.domain, original.op, original.overload))
    if (definition !== undefined) return inlineFunction(definition, original, origin?.folder)
    const node = upgradeNode(original, original.opset ?? opset, state) ?? original
    const value = node.op === 'Constant' ? node.attributes['value'] : undefined
    if (value?.type === 'tensor')
      return { nodes: [], initializers: new Map([[node.outputs[0]!, value.value]]), outputs: [node.outputs[0]!] }
    if (node.op === 'Identity' && node.domain === '') return { nodes: [], outputs: [node.inputs[0]!] }
    if (node.op === 'If') return inlineIf(node, state, origin?.folder, branches)
    refuseOutright(node)
    const key = operatorKey(node.op, node.domain)
    const context = new LowerContext(node, state, quantized)
    const through = state.b.scope(`${LOWERED}${node.name}`, () => throughQuantized(context))
    if (through !== undefined) return { values: through }
    const emitted = Object.hasOwn(table, key) ? state.b.scope(`${LOWERED}${node.name}`, () => table[key]!(context)) : undefined
    if (emitted === undefined) return node
    lowered.set(key, (lowered.get(key) ?? 0) + 1)
    return { values: Array.isArray(emitted) ? (emitted as readonly (Value | undefined)[]) : [emitted as Value] }
  }

  const isKnown = (node: Node): boolean =>
    canInfer(node.op) ||
    Object.hasOwn(table, operatorKey(node.op, node.domain)) ||
    ['Constant', 'Scatter'].includes(node.op) ||
    origin?.functions.has(functionKey(node.domain, node.op, node.overload)) === true
  const refused = (node: Node): string | undefined =>
    node.op === 'If' ? undefined : (adviceFor(node) ?? (isKnown(node) ? undefined : 'its output shapes are not known'))
  const { graph: result, assumptions, uninferred } = inferGraph(source, rewrite, refused)
  const problems = uninferred.map(({ node, reason }) => ({
    node,
    reason: node.op === 'If' ? reason : (adviceFor(node) ?? reason),
  }))
  if (problems.length > 0) throw refuse(problems, graph)
  result.opsets.set('', DEFAULT_OPSET)
  result.opsets.set('com.microsoft', 1)
  result.inferred = true
  return { graph: result, report: { lowered, assumptions, branches } }
}

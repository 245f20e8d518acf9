/** @file Everything of a graph that cannot be trained through, in one error with what to do about it. */
import { UnsupportedOpError } from '../errors.js'
import { operatorKey } from '../graph/allowed-ops.js'
import { namesOf } from '../graph/dim/index.js'
import type { Graph } from '../graph/graph.js'
import type { Node } from '../graph/types.js'

/** Domain of operators that ONNX Runtime puts in the place of the standard ones, on blocks of channels. */
export const MACHINE_LAYOUT = 'com.microsoft.nchwc'

const loop = 'a loop cannot be differentiated; export the model traced for a fixed number of rounds'
const sequence = 'sequences of tensors cannot be differentiated; export the model so that it splits and concatenates tensors'

/** Why an operator is refused, by operator key. `docs/ops.md` lists them. */
export const refusedOps: Readonly<Record<string, string>> = {
  If: 'where its condition is not constant; fix the input that decides it with { constants: { use_cache_branch: false } }, --constants use_cache_branch=false',
  ...Object.fromEntries(['Loop', 'Scan'].map((op) => [op, loop])),
  'com.microsoft.DynamicQuantizeLSTM': 'its weights in 8 bits have no lowering; use the file before it was quantised',
  ...Object.fromEntries(
    [
      ...['SequenceAt', 'SequenceConstruct', 'SequenceEmpty', 'SequenceErase', 'SequenceInsert', 'SequenceLength', 'SequenceMap'],
      ...['SplitToSequence', 'ConcatFromSequence', 'Optional', 'OptionalGetElement', 'OptionalHasElement'],
    ].map((op) => [op, sequence]),
  ),
  ...Object.fromEntries(
    ['MoE', 'QMoE'].map((op) => [`com.microsoft.${op}`, 'the choice of experts has no gradient here; export them as products']),
  ),
  ...Object.fromEntries(
    ['LinearAttention', 'CausalConvWithState', 'GatedRMSNorm', 'SparseAttention', 'PagedAttention', 'PackedAttention'].map(
      (op) => [
        `com.microsoft.${op}`,
        'this fused operator has no lowering; export the model for training (eager attention, no cache)',
      ],
    ),
  ),
  ...Object.fromEntries(
    ['PackedMultiHeadAttention', 'DecoderMaskedMultiHeadAttention', 'DecoderMaskedSelfAttention', 'QAttention'].map((op) => [
      `com.microsoft.${op}`,
      'this fused operator has no lowering; use the model before optimisation for inference',
    ]),
  ),
  'com.microsoft.RelativePositionBias': 'this fused operator has no lowering; use the model before optimisation for inference',
  ...Object.fromEntries(
    ['ReorderInput', 'ReorderOutput', 'Conv', 'MaxPool', 'AveragePool', 'GlobalMaxPool', 'GlobalAveragePool', 'Upsample'].map(
      (op) => [
        `${MACHINE_LAYOUT}.${op}`,
        'ONNX Runtime laid the file out for one machine (its level "all"); use the file before, or optimised to "extended"',
      ],
    ),
  ),
  'com.microsoft.MatMulBnb4': 'its number format has no lowering; use the fp32, fp16 or q4 file of the model',
  TensorScatter: 'it writes into a cache, which training has none of; export the model without past and cache',
}

/** What to do about a node whose operator is refused as such. */
export const adviceFor = (node: Node): string | undefined => {
  const key = operatorKey(node.op, node.domain)
  return Object.hasOwn(refusedOps, key) ? refusedOps[key] : undefined
}

/** Lengths that are free by nature: rows come in any number, texts in any length. */
const ALWAYS_FREE = new Set(['batch', 'sequence'])

/** How many nodes there are of each operator: `2 Loop, 1 Scan`. */
function counted(nodes: readonly Node[]): string {
  const counts = new Map<string, number>()
  for (const { op, domain } of nodes) counts.set(operatorKey(op, domain), (counts.get(operatorKey(op, domain)) ?? 0) + 1)
  return [...counts].map(([key, count]) => `${count} ${key}`).join(', ')
}

/** What may help where lengths are not known: to give those that the file leaves free. */
function lengthsToGive({ inputs }: Graph): string {
  const free = [...new Set(inputs.flatMap(({ shape }) => shape ?? []).flatMap(namesOf))].filter((name) => !ALWAYS_FREE.has(name))
  const [first] = free
  return first === undefined
    ? ''
    : `\nLengths that the file leaves free can be given: { dims: { ${/^\w+$/.test(first) ? first : JSON.stringify(first)}: 640 } }, --dims ${first}=640; they are ${free.join(', ')}.`
}

/** One line for each node: operator, operator set, name, reason. */
export function refuse(problems: readonly { readonly node: Node; readonly reason: string }[], graph: Graph): UnsupportedOpError {
  const lines = problems.map(({ node, reason }) => {
    const version = node.opset ?? graph.opsets.get(node.domain)
    return `  ${operatorKey(node.op, node.domain)} (${version === undefined ? 'opset unknown' : `opset ${version}`}) "${node.name}": ${reason}`
  })
  const isOfLengths = problems.some(({ node }) => adviceFor(node) === undefined)
  return new UnsupportedOpError(
    `${problems.length} node(s) of the graph are not supported (${counted(problems.map(({ node }) => node))}):\n${lines.join('\n')}\n` +
      `Export the model without them (a plain fp32 export usually has none).${isOfLengths ? lengthsToGive(graph) : ''}`,
  )
}

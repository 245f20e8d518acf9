/** @file Log-probabilities that a language model gives labels, the next ones or those of masked tokens: in chunks, on labelled positions alone. */
import { InvalidModelError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { planSplit, splitAlong } from '../graph/split-dimension.js'
import { after } from '../graph/sequence.js'
import { int, type Node, type Value } from '../graph/types.js'
import { ancestry } from '../graph/walk.js'

/** Label of positions that do not count, as in transformers. */
export const IGNORED_LABEL = -100

/** The head of a language model, and how its logits are to be computed. */
export interface HeadOptions {
  /** Input of the head, [batch*sequence, hidden]. */
  readonly hidden: Value
  /** [batch, sequence, vocabulary], computed from `hidden` alone. */
  readonly logits: Value
  /** In how many chunks of rows the head and the loss are computed; memory falls, products stay as they are. */
  readonly chunks: number
}

/** Where labels count. */
export interface LabelledPositions {
  /** The labels by the position that predicts each, int64 [batch, next] or [batch, sequence]. */
  readonly labels: Value
  /** Row and position of each that is not -100, int64 [labelled, 2]. */
  readonly positions: Value
  /** int64 [labelled]. */
  readonly targets: Value
}

/** [batch, sequence] without the first of each row, [batch, next]. */
export const withoutFirst = (b: GraphBuilder, x: Value): Value =>
  b.emit('Slice', [x, b.int64s([1]), b.int64s([2 ** 31 - 1]), b.int64s([1])], {}, { shapes: [['batch', 'next']] })

/**
 * Where the next labels count: position t predicts label t+1, as in transformers.
 * @param labels int64 [batch, sequence], not shifted
 */
export const labelledPositions = (b: GraphBuilder, labels: Value): LabelledPositions => labelledHere(b, withoutFirst(b, labels))

/** Where labels count that are predicted from their own positions. @param labels int64 [batch, positions] */
export function labelledHere(b: GraphBuilder, labels: Value): LabelledPositions {
  const positions = b.transpose(
    b.emit('NonZero', [b.not(b.equal(labels, IGNORED_LABEL))], {}, { shapes: [[2, 'labelled']] }),
    [1, 0],
  )
  return { labels, positions, targets: b.emit('GatherND', [labels, positions]) }
}

/**
 * log softmax(logits)[label] of every labelled position, one value [labelled of the chunk, 1] for each chunk.
 *
 * Only rows that have a label reach the head at all, which for completion-only training saves most of the largest product
 * of a small model; and they reach it in chunks, so that no [tokens, vocabulary] array is larger than a chunk.
 * @param smoothing ε, the share of a label that all tokens have alike: then it is (1 − ε)·log p[label] + ε·mean log p
 * @throws InvalidModelError if the logits are not computed from the hidden states, row by row
 */
export function labelLogProbabilities(
  b: GraphBuilder,
  { positions, targets }: LabelledPositions,
  { hidden, logits, chunks }: HeadOptions,
  smoothing = 0,
): Value[] {
  if (hidden.shape?.length !== 2) throw new InvalidModelError(`the input of the head must be a matrix, "${hidden.name}" is not`)
  const head = headNodes(b.graph, hidden, logits)
  // Whatever the head reads that has a row for each position, such as a dropout mask, loses the same rows.
  const perRow = [hidden, ...rowInputs(b.graph, head, hidden)]
  const rows = perRow.map((value) => b.emit('GatherND', [byPosition(b, value), positions])) // [labelled, …]
  return chunkRows(b, [targets, ...rows], chunks).map(([labelsOfChunk, ...rowsOfChunk]) => {
    const scores = applyNodes(b, head, new Map(perRow.map((value, i) => [value.name, rowsOfChunk[i]!])))
    const ofLabel = b.emit('GatherElements', [scores, b.unsqueeze(labelsOfChunk!, [1])], { axis: int(1) })
    const label = smoothing === 0 ? ofLabel : smoothed(b, ofLabel, scores, smoothing)
    // Its softmax may then be written over the scores.
    return b.sub(label, b.emit('ReduceLogSumExp', [after(b, scores, label), b.int64s([-1])]))
  })
}

/** The score of a smoothed label, [labelled, 1]; the normaliser is the same for all tokens, so that it need not be shared out. */
const smoothed = (b: GraphBuilder, ofLabel: Value, scores: Value, smoothing: number): Value =>
  b.add(b.mul(ofLabel, 1 - smoothing), b.mul(b.emit('ReduceMean', [scores, b.int64s([-1])]), smoothing))

/** Log-probability of each next label, 0 where none counts, [batch, next]. */
export function logProbabilities(b: GraphBuilder, labelled: LabelledPositions, options: HeadOptions): Value {
  const picked = b.concat(labelLogProbabilities(b, labelled, options), 0)
  const values = b.emit('Reshape', [picked, b.int64s([-1])], {}, { shapes: [['labelled']] })
  const zeros = b.mul(b.cast(labelled.labels, 'float32'), 0)
  return b.emit('ScatterND', [zeros, labelled.positions, values])
}

/** The given tensors cut along their first axis into `count` parts: [[a₀, b₀], [a₁, b₁], …]. */
function chunkRows(b: GraphBuilder, tensors: readonly Value[], count: number): Value[][] {
  if (count === 1) return [[...tensors]]
  const split = planSplit(b, 'labelled', b.emit('Shape', [tensors[0]!], { start: int(0), end: int(1) }), count)
  const cut = tensors.map((t) => splitAlong(b, t, 0, split))
  return Array.from({ length: count }, (_, k) => cut.map((chunks) => chunks[k]!))
}

/** Nodes that compute the logits from the hidden states, without the closing reshape to [batch, sequence, …]. */
function headNodes(graph: Graph, hidden: Value, logits: Value): Node[] {
  const producers = graph.producers()
  const last = producers.get(logits.name)
  const end = last?.op === 'Reshape' ? last.inputs[0]! : logits.name
  const dependent = new Set([hidden.name])
  for (const node of graph.nodes) if (node.inputs.some((i) => dependent.has(i))) node.outputs.forEach((o) => dependent.add(o))
  const { nodes, names } = ancestry(graph.nodes, [end], (name) => name !== hidden.name && dependent.has(name))
  if (nodes.length === 0 || !names.has(hidden.name))
    throw new InvalidModelError(`the logits "${logits.name}" are not computed from the hidden states "${hidden.name}"`)
  return nodes
}

/** [batch*sequence, …] to [batch, sequence, …]. */
const byPosition = (b: GraphBuilder, value: Value): Value => b.reshape(value, ['batch', 'sequence', ...value.shape!.slice(1)])

/** Values that the head reads beside the hidden states, not computed from them, with as many rows. */
function rowInputs(graph: Graph, head: readonly Node[], hidden: Value): Value[] {
  const computed = new Set(head.flatMap((node) => node.outputs))
  const names = new Set(
    head.flatMap((node) => node.inputs).filter((name) => name !== '' && name !== hidden.name && !computed.has(name)),
  )
  return [...names]
    .map((name) => graph.value(name))
    .filter(({ shape }) => typeof shape?.[0] === 'string' && shape[0] === hidden.shape?.[0])
}

/** Emits copies of `nodes` that read other values in place of some; gives the copy of the last output. */
function applyNodes(b: GraphBuilder, nodes: readonly Node[], replaced: ReadonlyMap<string, Value>): Value {
  const copies = new Map(replaced)
  let result: Value | undefined
  for (const node of nodes) {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : (copies.get(name) ?? b.graph.value(name))))
    const outputs = b.emitAgain(node, inputs)
    outputs.forEach((output, i) => copies.set(node.outputs[i]!, output))
    result = outputs[0]!
  }
  return result!
}

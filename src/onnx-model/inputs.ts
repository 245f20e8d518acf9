/** @file The inputs of an imported graph as rows can fill them: known names of lengths, no cache, no switches. */
import { InvalidModelError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { formatShape, type Dim, type Node, type Shape, type Value } from '../graph/types.js'

/** Inputs of text, all [batch, sequence]. */
export const textInputs: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'])

/** Switches of decoders that transformers.js runs, and what training wants of them: no cache, logits of all positions. */
const switches: Readonly<Record<string, number | boolean>> = {
  use_cache_branch: false,
  num_logits_to_keep: 0,
  logits_to_keep: 0,
}

const PAST = /^past[._]/
const PRESENT = /^present[._]/

/** Inputs that hold the keys and values of earlier positions. */
export const isPast = ({ name, shape }: Value): boolean => PAST.test(name) && (shape?.length ?? 0) >= 4
/** Outputs that hold those of all positions. */
export const isPresent = ({ name }: Value): boolean => PRESENT.test(name)

/** Constants for the inputs that are switches. */
export const switchesOf = (graph: Graph): Record<string, number | boolean> =>
  Object.fromEntries(Object.entries(switches).filter(([name]) => graph.inputs.some((input) => input.name === name)))

/**
 * The graph with lengths called as everywhere here: `batch` first, and `sequence` for the positions of a text. Exporters
 * give one length several names (`s10`, `s86` for the batches of two inputs); here all inputs have as many rows.
 */
function withKnownDims(graph: Graph): Graph {
  const names = new Map<string, string>()
  const rename = (dim: Dim | undefined, name: string): void => {
    if (typeof dim === 'string') names.set(dim, name)
  }
  for (const { name, shape } of graph.inputs) {
    if (textInputs.has(name) && shape?.length === 2) rename(shape[1], 'sequence')
  }
  for (const { shape } of graph.inputs) rename(shape?.[0], 'batch')
  // Whatever bears one of our names and means something else gets another.
  for (const taken of ['batch', 'sequence']) if (!names.has(taken)) names.set(taken, `${taken}_length`)
  const dims = (shape: Shape | undefined): Shape | undefined =>
    shape?.map((d) => (typeof d === 'string' ? (names.get(d) ?? d) : d))
  const result = graph.clone()
  const renamed = (value: Value): Value => ({ ...value, shape: dims(value.shape) })
  result.inputs = graph.inputs.map(renamed)
  result.outputs = graph.outputs.map(renamed)
  for (const [name, value] of graph.values) result.values.set(name, renamed(value))
  return result
}

/** The axis of a cache that counts positions: the one whose name says so, else the last but one. */
function pastAxis({ shape }: Value): number {
  const named = shape!.findIndex((dim) => typeof dim === 'string' && /past|cache/.test(dim))
  return named >= 0 ? named : shape!.length - 2
}

/** The graph with caches of no positions in place of its `past` inputs, and without its `present` outputs. */
function withoutPast(graph: Graph): Graph {
  const pasts = graph.inputs.filter(isPast)
  if (pasts.length === 0) return graph
  const result = graph.clone()
  result.inputs = graph.inputs.filter((input) => !isPast(input))
  // What the file says of inner lengths counts the past in.
  const inputs = new Set(result.inputs.map(({ name }) => name))
  for (const [name, value] of graph.values)
    if (!inputs.has(name) && !graph.initializers.has(name)) result.values.set(name, { ...value, shape: undefined })
  const axes = new Map(pasts.map((past) => [past.name, pastAxis(past)]))
  result.nodes = graph.nodes.map((node) => withoutEmptyParts(node, axes))
  // Inner values are not declared yet; their names are taken all the same.
  for (const { outputs } of result.nodes) for (const output of outputs) result.reserved.add(output)
  const b = new GraphBuilder(result)
  for (const past of pasts) {
    result.values.delete(past.name)
    const shape = past.shape!.map((dim, axis) => (axis === axes.get(past.name) ? 0 : dim))
    const unknown = shape.find((dim) => typeof dim === 'string' && dim !== 'batch')
    if (unknown !== undefined)
      throw new InvalidModelError(
        `input "${past.name}" ${formatShape(past.shape)}: the length "${unknown}" is not known, so no empty cache can be made; export the model without past`,
      )
    b.emit(
      'ConstantOfShape',
      [b.shapeVector(shape)],
      { value: { type: 'tensor', value: emptyOf(past) } },
      { name: past.name, shapes: [shape] },
    )
  }
  result.reserved.clear()
  result.sort()
  return result
}

const emptyOf = ({ dtype }: Value) =>
  ({
    dtype,
    shape: [1],
    data: dtype === 'float32' ? new Float32Array(1) : new Uint16Array(1),
  }) as const

/** A Concat of nothing and something is that something. */
function withoutEmptyParts(node: Node, axes: ReadonlyMap<string, number>): Node {
  if (node.op !== 'Concat' || node.domain !== '') return node
  const axis = node.attributes['axis']?.value
  const inputs = node.inputs.filter((name) => !axes.has(name) || (axis !== axes.get(name) && axis !== axes.get(name)! - 4))
  if (inputs.length === node.inputs.length || inputs.length === 0) return node
  return inputs.length === 1 ? { ...node, op: 'Identity', inputs, attributes: {} } : { ...node, inputs }
}

/** A decoded graph that rows can feed. */
export const withRowInputs = (graph: Graph): Graph => withoutPast(withKnownDims(graph))

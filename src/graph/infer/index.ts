/** @file Output types and shapes of a node from its inputs: one entry per operator, in the file of its family. */
import { ShapeError, UnsupportedOpError } from '../../errors.js'
import type { EmittableName } from '../allowed-ops.js'
import type { Graph } from '../graph.js'
import type { Attributes, Dim, Value } from '../types.js'
import { InferContext, type Inference, type OutputType } from './context.js'
import { elementwise } from './elementwise.js'
import { indexing } from './indexing.js'
import { products } from './matmul.js'
import { movements } from './movement.js'
import { normalizations } from './normalization.js'
import { quantized } from './quantized.js'
import { recurrences } from './recurrent.js'
import { reductions } from './reduce.js'
import { shapes } from './shapes.js'
import { windows } from './window.js'

export const inferenceFamilies = {
  elementwise,
  reductions,
  normalizations,
  products,
  movements,
  indexing,
  shapes,
  windows,
  quantized,
  recurrences,
} satisfies Readonly<Record<string, Readonly<Record<string, Inference>>>>

/** An operator that may be emitted has an entry, or this does not compile. No name has two meanings in two domains. */
const all: { readonly [Op in EmittableName]: Inference } = {
  ...elementwise,
  ...reductions,
  ...normalizations,
  ...products,
  ...movements,
  ...indexing,
  ...shapes,
  ...windows,
  ...quantized,
  ...recurrences,
}
const inferences: ReadonlyMap<string, Inference> = new Map(Object.entries(all))

/** Whether `op` has an entry, whatever its domain. */
export const canInfer = (op: string): boolean => inferences.has(op)

export const inferredOps = (): string[] => [...inferences.keys()]

/**
 * Element type and shape of each output of a node.
 * @throws UnsupportedOpError for an operator without an entry, ShapeError where the inputs do not fit.
 */
export function inferNode(
  graph: Graph,
  op: string,
  inputs: readonly (Value | undefined)[],
  attributes: Attributes,
  outputCount: number,
  known?: ReadonlyMap<string, readonly Dim[]>,
): OutputType[] {
  const inference = inferences.get(op)
  if (inference === undefined)
    throw new UnsupportedOpError(`no shape inference for operator "${op}"; add an entry to its family in src/graph/infer`)
  const outputs = inference(new InferContext(graph, op, inputs, attributes, outputCount, known))
  if (outputs.length !== outputCount)
    throw new ShapeError(`${op}: ${outputCount} outputs requested, inference gives ${outputs.length}`)
  return outputs
}

/** @file The names that other programs expect of an exported graph's inputs, outputs and dimensions. */
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { Dim, Value } from '../graph/types.js'

/** Our names of dimensions, and those that Optimum gave exported models. */
const dimNames: Readonly<Record<string, string>> = {
  batch: 'batch_size',
  sequence: 'sequence_length',
  past: 'past_sequence_length',
  total: 'total_sequence_length',
}

/** A graph whose inputs and outputs have the names of dimensions that Optimum gives them. */
export function withKnownDims(graph: Graph): Graph {
  const result = graph.clone()
  const rename = (dim: Dim): Dim => (typeof dim === 'string' ? (dimNames[dim] ?? dim) : dim)
  const renamed = (value: Value): Value => (value.shape === undefined ? value : { ...value, shape: value.shape.map(rename) })
  result.inputs = graph.inputs.map(renamed)
  result.outputs = graph.outputs.map(renamed)
  return result
}

/**
 * A graph that counts the positions of its rows itself, from 0, where `position_ids` was an input: classifiers built on
 * decoders are fed by programs that know encoders, and transformers counts so too.
 */
export function withOwnPositions(graph: Graph): Graph {
  const given = graph.inputs.find(({ name }) => name === 'position_ids')
  if (given?.shape === undefined) return graph
  const result = graph.clone()
  result.inputs = graph.inputs.filter((input) => input !== given)
  const b = new GraphBuilder(result)
  const positions = b.scope('positions', () => {
    const range = b.emit(
      'Range',
      [b.scalar(0, 'int64'), b.squeeze(b.dim('sequence'), [0]), b.scalar(1, 'int64')],
      {},
      { shapes: [['sequence']] },
    )
    return b.expand(range, given.shape!)
  })
  result.replaceUses(given, positions)
  result.values.delete(given.name)
  result.sort()
  return result
}

/** @file The lengths that the batches of a run give to the names in its graph. */
import type { BatchTensors } from '../train/sub-batches.js'
import type { Graph } from '../graph/graph.js'
import type { HostTensor } from '../graph/types.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'

/**
 * Lengths by name for one run of the graph: those of the inputs, from what is fed, and those that the run itself finds
 * out (positions with a label, pairs of rows).
 */
export function lengthsOf(
  graph: Graph,
  batch: BatchTensors,
  parameters: ReadonlyMap<string, HostTensor>,
): Readonly<Record<string, number>> {
  const lengths: Record<string, number> = {}
  for (const { name, shape } of graph.inputs) {
    const fed = (batch.feeds as Readonly<Record<string, HostTensor>>)[name] ?? parameters.get(name)
    if (fed !== undefined) shape?.forEach((dim, i) => typeof dim === 'string' && (lengths[dim] = fed.shape[i]!))
  }
  const { sequence, batch: rows } = lengths
  if (sequence !== undefined) {
    lengths['next'] = sequence - 1
    // Distances between two positions of a row, of models with relative positions.
    lengths['distances'] = 2 * sequence - 1
  }
  if (rows !== undefined) lengths['pairs'] = rows / 2
  const labels = (batch.feeds as Readonly<Record<string, HostTensor>>)['labels']
  if (labels !== undefined && labels.shape.length === 2) lengths['labelled'] = labelled(labels)
  return lengths
}

/** Positions whose next label counts. */
function labelled({ data, shape }: HostTensor): number {
  const [rows, width] = shape as [number, number]
  let count = 0
  for (let row = 0; row < rows; row++)
    for (let i = 1; i < width; i++) if (Number(data[row * width + i]) !== IGNORED_LABEL) count++
  return count
}

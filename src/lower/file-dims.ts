/** @file The lengths of a file's values in our words, some of them given a number: ONNX Runtime's free dimension overrides. */
import { InvalidOptionError } from '../errors.js'
import { dimOfFile, namesOf, substituteDims } from '../graph/dim/index.js'
import type { Graph } from '../graph/graph.js'
import { formatShape, type Shape, type Value } from '../graph/types.js'

/** Lengths by their names in the file. */
export type DimOverrides = Readonly<Record<string, number>>

/**
 * A graph whose lengths are in normal form, and those that `dims` names are numbers, wherever they stand.
 * @throws InvalidOptionError for a name that no input has, or a length that is no whole number from 1 on
 */
export function withFileDims(graph: Graph, dims: DimOverrides = {}): Graph {
  const normal = (shape: Shape | undefined): Shape | undefined =>
    shape?.map((dim) => (typeof dim === 'number' ? dim : dimOfFile(dim)))
  const free = new Set(graph.inputs.flatMap(({ shape }) => normal(shape) ?? []).flatMap(namesOf))
  const lengths = new Map<string, number>()
  for (const [name, length] of Object.entries(dims)) {
    const own = dimOfFile(name)
    if (typeof own !== 'string' || !free.has(own))
      throw new InvalidOptionError(
        `"dims" names "${name}", but no input of the graph has such a length; ` +
          (free.size === 0 ? 'all its lengths are fixed' : `free lengths are ${[...free].join(', ')} (${inputsOf(graph)})`),
      )
    if (!Number.isSafeInteger(length) || length < 1)
      throw new InvalidOptionError(`"dims" gives "${name}" the length ${length}; it must be a whole number from 1 on`)
    lengths.set(own, length)
  }
  const shapeOf = (shape: Shape | undefined): Shape | undefined =>
    normal(shape)?.map((dim) => substituteDims(dim, (name) => lengths.get(name)))
  const result = graph.clone()
  const changed = (value: Value): Value => ({ ...value, shape: shapeOf(value.shape) })
  result.inputs = graph.inputs.map(changed)
  result.outputs = graph.outputs.map(changed)
  for (const [name, value] of graph.values) if (!graph.initializers.has(name)) result.values.set(name, changed(value))
  return result
}

const inputsOf = ({ inputs }: Graph): string => inputs.map(({ name, shape }) => `"${name}" ${formatShape(shape)}`).join(', ')

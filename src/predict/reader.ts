/** @file What a task makes of a row, and of what the model gives for it. */
import type { RowTensor } from '../data/row-tensors.js'
import type { Row } from '../data/rows.js'
import type { Model } from '../model/model.js'
import type { ModelGraph } from '../models/architecture.js'
import type { BuildOptions } from '../models/build-options.js'

/** A row as the graph takes it: one row of tensors, or several. */
export interface EncodedRow<P> {
  /** Inputs of the graph by name, unpadded. */
  readonly rows: readonly Readonly<Record<string, RowTensor>>[]
  /** Whether an end was cut off. */
  readonly truncated: boolean
  /** @param outputs what the graph gives for each of `rows`, over the padded positions where it has some */
  read(outputs: readonly Float32Array[]): P
}

/** A task, as prediction sees it. */
export interface RowReader<P> {
  /** Tells the graphs of a model apart. */
  readonly name: string
  /** The model's graph, with what the rows are read from as its one output. */
  build(model: Model, options: BuildOptions): ModelGraph
  /** @throws InvalidDataError naming file, line and field */
  encode(row: Row): EncodedRow<P>
}

/** The model's own graph, whose first output is that of its task. */
export function taskGraph(model: Model, options: BuildOptions): ModelGraph {
  const built = model.build(options)
  const graph = built.graph.clone()
  graph.outputs = [graph.outputs[0]!]
  graph.prune()
  return { ...built, graph }
}

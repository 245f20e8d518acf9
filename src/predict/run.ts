/** @file Rows through a model: a window of them at a time, rows of similar length in a batch, answers in the rows' order. */
import type { Serving } from '../adapters/serving/serving.js'
import { createModelSession, packsWeights } from '../base/quantized-base.js'
import { renamedRow } from '../data/columns.js'
import { unlabelledColumns } from '../data/labels.js'
import { batchOfFields, lengthOfRow, type RowTensor } from '../data/row-tensors.js'
import type { Row } from '../data/rows.js'
import { ofFixedSize } from '../data/task-encoding.js'
import { elementCount, type HostTensor } from '../graph/types.js'
import type { Model } from '../model/model.js'
import { positionsFor, sessionsOf, type RunKind } from '../model/session-pool.js'
import { only } from '../runtime/feeds.js'
import { RowNotes } from '../train/row-notes.js'
import type { PredictOptions } from './options.js'
import type { EncodedRow, RowReader } from './reader.js'

/** Batches whose rows are sorted by length together. */
const WINDOW_BATCHES = 16

type RunOptions = Pick<PredictOptions, 'maxLength' | 'signal' | 'onWarning' | 'columns'> & { readonly batchSize: number }

/** A row and what was made of it. */
export interface Answered<P> {
  readonly row: Row
  readonly prediction: P
}

/**
 * Rows through a model, in order. At most a window of {@link WINDOW_BATCHES} batches is in memory.
 * @param serving what the model is served with, as it was at the call
 */
export async function* answerRows<P>(
  model: Model,
  serving: Serving,
  reader: RowReader<P>,
  rows: AsyncIterable<Row>,
  { batchSize, maxLength, signal, onWarning, columns }: RunOptions,
): AsyncGenerator<Answered<P>> {
  const notes = new RowNotes({ maxLength, maxPositions: model.maxPositions })
  const run = new Runs(model, serving, reader)
  const read = unlabelledColumns(columns)
  let window: { readonly row: Row; readonly encoded: EncodedRow<P> }[] = []
  const answers = async function* (): AsyncGenerator<Answered<P>> {
    const read = window
    window = []
    const outputs = await run.all(read.flatMap(({ encoded }) => encoded.rows), batchSize, signal) // prettier-ignore
    let next = 0
    for (const { row, encoded } of read)
      yield { row, prediction: encoded.read(outputs.slice(next, (next += encoded.rows.length))) }
  }
  for await (const row of rows) {
    signal?.throwIfAborted()
    // What is yielded is the row as it was given.
    const encoded = reader.encode(read === undefined ? row : renamedRow(row, read))
    notes.onRow({ ...row, truncated: encoded.truncated, unread: [] })
    window.push({ row, encoded })
    if (window.length >= batchSize * WINDOW_BATCHES) yield* answers()
  }
  yield* answers()
  if (onWarning !== undefined) for (const message of notes.take()) onWarning(message)
}

/** The graph of a reader, as it is run. */
class Runs<P> {
  private readonly kind: RunKind

  constructor(
    private readonly model: Model,
    private readonly serving: Serving,
    reader: RowReader<P>,
  ) {
    this.kind = {
      name: `predict ${reader.name}`,
      build: (of, positions) => reader.build(of, { mode: 'full', ...(positions > 0 && { positions }) }),
      compile: ({ environment }, graph) =>
        createModelSession(environment, graph, { disablePrepacking: !packsWeights(graph, environment.base) }),
    }
  }

  /** What the graph gives for each row, the longest rows first. */
  async all(
    rows: readonly Readonly<Record<string, RowTensor>>[],
    batchSize: number,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array[]> {
    const lengths = rows.map(lengthOfRow)
    const order = rows.map((_, i) => i).sort((a, b) => lengths[b]! - lengths[a]! || a - b)
    const outputs = new Array<Float32Array>(rows.length)
    for (let start = 0; start < order.length; start += batchSize) {
      signal?.throwIfAborted()
      const batch = order.slice(start, start + batchSize)
      const { data } = await this.batch(
        batch.map((i) => rows[i]!),
        lengths[batch[0]!]!,
      )
      const size = data.length / batch.length
      batch.forEach((row, i) => (outputs[row] = (data as Float32Array).subarray(i * size, (i + 1) * size)))
    }
    return outputs
  }

  private batch(rows: readonly Readonly<Record<string, RowTensor>>[], length: number): Promise<HostTensor> {
    const { model, serving } = this
    const example = { rows, once: {}, length, positions: 0, tokens: 0, truncated: false }
    const { feeds } = ofFixedSize(batchOfFields([example]), model.inputs)
    return sessionsOf(model).use(this.kind, serving.parts, positionsFor(model, length), async ({ session, inputs, zeros }) => {
      const results = await session.run(only({ ...zeros, ...feeds, ...serving.tensors }, inputs))
      const output = Object.values(results)[0]!
      if (output.data.length % rows.length !== 0 || elementCount(output.shape) !== output.data.length)
        throw new Error(`internal: ${output.data.length} outputs for ${rows.length} rows`)
      return output
    })
  }
}

/** @file Metrics over several processes: what each has found is told to all. */
import { broadcastBytes, broadcastText, type Communicator } from '../distributed/communicator.js'
import { bytesOf, fromBytes } from '../graph/constants.js'
import type { DType, HostTensor } from '../graph/types.js'
import type { Scores } from './objective.js'
import { joinBytes } from '../util/join-bytes.js'

type Tensors = Readonly<Record<string, HostTensor>>
type Run = readonly [outputs: Tensors, feeds: Tensors]
type Description = Readonly<Record<string, { readonly dtype: DType; readonly shape: readonly number[]; readonly bytes: number }>>

/** Feeds that only models read: no score asks for them, and they may be large. */
const MODEL_INPUTS = new Set(['input_ids', 'attention_mask', 'position_ids', 'token_type_ids', 'pixel_values'])

/**
 * Scores of a data set whose rows several processes share. An accuracy could be summed, a correlation could not: each
 * process notes the outputs of its runs, and in the end all of them score all runs, in the order of the ranks.
 */
export class SharedScores implements Pick<Scores, 'add'> {
  private readonly runs: Run[] = []

  add(outputs: Tensors, feeds: Tensors): void {
    if (Object.keys(outputs).length === 0) return
    this.runs.push([outputs, Object.fromEntries(Object.entries(feeds).filter(([name]) => !MODEL_INPUTS.has(name)))])
  }

  /** Scores the runs of every process. */
  async tell(scores: Scores, communicator: Communicator): Promise<void> {
    const described = JSON.stringify(this.runs.map((run) => run.map(describe)))
    const own = joinBytes(this.runs.flat().flatMap((tensors) => Object.values(tensors).map(bytesOf)))
    for (let rank = 0; rank < communicator.size; rank++) {
      const runs = JSON.parse(await broadcastText(communicator, described, rank)) as [Description, Description][]
      const bytes = await broadcastBytes(communicator, own, rank)
      let offset = 0
      const read = (description: Description): Tensors =>
        Object.fromEntries(
          Object.entries(description).map(([name, { dtype, shape, bytes: length }]) => {
            offset += length
            return [name, fromBytes(dtype, shape, bytes.subarray(offset - length, offset))]
          }),
        )
      for (const [outputs, feeds] of runs) scores.add(read(outputs), read(feeds))
    }
  }
}

const describe = (tensors: Tensors): Description =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, data }]) => [name, { dtype, shape, bytes: data.byteLength }]),
  )

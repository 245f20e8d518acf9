/**
 * @file The rows of gpt2_ft.py (its `FT_Dataset`, behind a `DistributedSampler` of one process): which tokens are learned, how the
 * data is filled up to whole batches, and in which order it is seen. Every epoch has the original's rows in the original's order.
 */
import { makeBatch, type Batch } from '../../data/batch.js'
import type { Example } from '../../data/examples.js'
import { InvalidDataError } from '../../errors.js'
import type { Files } from '../../io/files.js'
import { IGNORED_LABEL } from '../../losses/causal-lm.js'
import { MersenneTwister } from './mersenne-twister.js'
import { readTokenRows, type TokenRow } from './stage-files.js'

/** What of a row is learned: the completion (`clm`), or everything behind the first token (`jlm`). */
export type TrainingObjective = 'clm' | 'jlm'

/** How rows become batches. */
export interface TrainingRowOptions {
  /** Rows of a batch. */
  readonly batchSize: number
  /** Longest row; of longer ones the first tokens are kept. */
  readonly sequenceLength: number
  readonly objective: TrainingObjective
  /** Of the order. */
  readonly seed: number
  /** Number of token ids that the model knows. */
  readonly vocabularySize: number
}

/** The seed of the rows with which the last batch is filled up. */
const FILLING_SEED = 911

/** What fills the ends of rows; nothing sees it. */
const PADDING = 0

/** The rows of a file that gpt2_encode.py or `lowrank paper nlg prepare` has written, in batches. */
export class TrainingRows {
  private readonly filling = MersenneTwister.python(FILLING_SEED)

  private constructor(
    private readonly examples: readonly Example[],
    private readonly options: TrainingRowOptions,
  ) {}

  /**
   * Reads all rows: {"context": [ids], "completion": [ids]}, one a line.
   * @throws InvalidDataError naming the row that cannot be learned from, and why
   */
  static async open(files: Files, path: string, options: TrainingRowOptions): Promise<TrainingRows> {
    const rows = await readTokenRows(files, path)
    const examples = rows.map((row, i) => exampleOf(row, `${path}, row ${i + 1}`, options))
    if (!examples.some(({ tokens }) => tokens > 0))
      throw new InvalidDataError(
        `${path}: no row has a token to learn within its first ${options.sequenceLength} tokens; raise --seq_len`,
      )
    return new TrainingRows(examples, options)
  }

  /** Rows of the file. */
  get length(): number {
    return this.examples.length
  }

  /** Rows that `sequenceLength` cuts off before their first token to learn. */
  get withoutLabel(): number {
    return this.examples.filter(({ tokens }) => tokens === 0).length
  }

  /** Batches of an epoch, the last one filled up. */
  get batchesPerEpoch(): number {
    return Math.ceil(this.length / this.options.batchSize)
  }

  /**
   * The batches of an epoch. Rows that fill up the last one are drawn as they are met, so that a pass over the data leaves the
   * next one others.
   * @param epoch counted from 1 in training; that of a data set whose epoch is never set is 0
   */
  *batches(epoch: number): Generator<Batch> {
    const { batchSize, seed } = this.options
    const order = MersenneTwister.torch(seed + epoch).randperm(this.batchesPerEpoch * batchSize)
    for (let start = 0; start < order.length; start += batchSize) {
      const rows = Array.from(order.subarray(start, start + batchSize), (index) => [this.example(index)])
      yield makeBatch(rows, { padTokenId: PADDING })
    }
  }

  private example(index: number): Example {
    return this.examples[index < this.length ? index : this.filling.randint(this.length - 1)]!
  }
}

function exampleOf(
  { context, completion }: TokenRow,
  where: string,
  { sequenceLength, objective, vocabularySize }: TrainingRowOptions,
): Example {
  if (context.length === 0)
    throw new InvalidDataError(
      `${where}: the context has no token, so that nothing predicts the completion's first one; encode it with --add_bos`,
    )
  const all = [...context, ...completion]
  const wrong = all.find((id) => id >= vocabularySize)
  if (wrong !== undefined)
    throw new InvalidDataError(`${where}: token id ${wrong} is not in the model's vocabulary of ${vocabularySize}`)
  const inputIds = all.slice(0, sequenceLength)
  const learned = objective === 'jlm' ? 1 : context.length
  return {
    inputIds,
    attentionMask: inputIds.map(() => 1),
    labels: inputIds.map((id, i) => (i < learned ? IGNORED_LABEL : id)),
    tokens: Math.max(0, inputIds.length - learned),
    truncated: all.length > sequenceLength,
  }
}

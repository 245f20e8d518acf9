/** @file A data set: files of rows, ready to be read as batches from any place, again and again. */
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import { prefetch } from '../util/prefetch.js'
import { Random } from '../util/rng.js'
import type { Batch, PackedRow } from './batch.js'
import { causalLmEncoding, type AnyExample, type CausalLmEncodingOptions, type Draw, type RowEncoding } from './encoding.js'
import type { Example } from './examples.js'
import { bucket, BUCKET_WINDOW, epochOrder, packRows, type Packs, type Position } from './order.js'
import { openRowData, type OpenedRows } from './open-data.js'
import { checkRowData, type RowData } from './row-data.js'
import { at, hasField, placeOf, type Row, type RowSource } from './rows.js'

export interface EmptyRowOptions {
  /**
   * A row without a label that counts (an empty completion, a prompt that fills `maxLength`): `refuse` stops with an
   * error that names it, `skip` leaves it out of its batch.
   */
  readonly unlabelled?: 'refuse' | 'skip'
  readonly listeners?: readonly RowListener[]
}

/** Who is told of rows as they are read, each time. */
export interface RowListener {
  /** Whether it asks for `unread` of the next row: of a dialogue that costs rendering its template once more. */
  readonly asksUnread?: boolean
  onRow?(report: RowReport): void
  /** Told of a row that is left out, after `onRow`. */
  onSkip?(row: Pick<RowReport, 'file' | 'line' | 'unit'>): void
}

/** What is worth knowing of a row that was read. */
export interface RowReport extends Pick<AnyExample, 'truncated' | 'turnEnd' | 'desirable'> {
  readonly file: string
  readonly line: number
  readonly unit?: 'row'
  /** Its fields, and parts of fields (`messages[].name`), that nothing has read; none where no listener asks. */
  readonly unread: readonly string[]
}

export interface OpenOptions extends EmptyRowOptions {
  /** Where the hashes of large files are remembered. */
  readonly cacheFolder?: string | undefined
}

/** Options of rows that train a language model. */
export interface DatasetOptions extends CausalLmEncodingOptions, EmptyRowOptions {}

/** What holds for every row of a batch. */
export interface BatchOptions {
  /** Rows in a batch; the last of an epoch may have fewer. */
  readonly batchSize: number
  /** Another order each epoch, from `seed`; in file order by default. */
  readonly shuffle?: boolean
  readonly seed?: number
  /** Rows of similar length share a batch, within windows of 50 batches. */
  readonly bucket?: boolean
  /** Several examples share a row of up to `maxLength` tokens (the model's positions without it). */
  readonly packing?: boolean
  /** Padding before the tokens, for generation. */
  readonly leftPad?: boolean
}

export interface IterationOptions extends BatchOptions {
  /** Where to begin; at the beginning by default. */
  readonly start?: Position
  /** Epochs to run, the first of them `start.epoch`; one by default. `Infinity` never ends. */
  readonly epochs?: number
}

/** A batch and where the data goes on after it. */
export interface PositionedBatch extends Batch {
  readonly next: Position
}

/**
 * Opens rows for a language model, see {@link openEncodedDataset}.
 * @throws InvalidDataError if a file is of no known kind or damaged, or there is no row; InvalidOptionError if a length does not fit the model
 */
export const openDataset = async (files: Files, data: RowData, options: DatasetOptions): Promise<Dataset<Example>> =>
  openEncodedDataset(files, data, causalLmEncoding(options), options)

/**
 * Opens rows: scans each file once for the places of its rows, which is all of it that stays in memory.
 * @param encoding how the rows become examples and batches
 * @throws InvalidDataError if a file is of no known kind or damaged, or there is no row
 */
export async function openEncodedDataset<E extends AnyExample>(
  files: Files,
  data: RowData,
  encoding: RowEncoding<E>,
  options: OpenOptions = {},
): Promise<Dataset<E>> {
  checkRowData(data, 'data')
  return datasetOf(await openRowData({ files, cacheFolder: options.cacheFolder }, data), encoding, options)
}

/** Rows that are open as examples and batches. */
export const datasetOf = <E extends AnyExample>(
  { sources }: OpenedRows,
  encoding: RowEncoding<E>,
  options: OpenOptions = {},
): Dataset<E> => new Dataset(sources, encoding, options)

/** Who is told what a check of rows finds. */
export interface CheckWatch<E extends AnyExample = AnyExample> {
  /** Whether the run comes to the end of an epoch, whose last batch may have fewer rows. */
  readonly lastBatch: boolean
  /** Told of a row that is fine; without an example it has nothing to learn and is left out. */
  onExample?(example: E | undefined, row: Row, index: number): void
  /** Told of a bad row. @returns whether to go on */
  onProblem(error: InvalidDataError, index: number): boolean
}

/** Rows that are checked between two words about it. */
const CHECKED_AT_ONCE = 32

/** Sees to it that rows which may share a batch have fields of one size. */
class EqualSizes<E extends AnyExample> {
  private known: { readonly size: string; readonly row: Row } | undefined

  constructor(
    private readonly encoding: RowEncoding<E>,
    private readonly options: BatchOptions,
  ) {}

  /** @throws InvalidDataError naming both rows */
  add(example: E, count: number, row: Row): void {
    const { shuffle, batchSize } = this.options
    const size = this.encoding.sizeOf?.(example)
    if (size === undefined || batchSize === 1) return
    // In file order only neighbours meet.
    if (this.known === undefined || (shuffle !== true && count % batchSize === 0)) this.known = { size, row }
    else if (this.known.size !== size)
      throw new InvalidDataError(
        `${at(row)}: its fields have the sizes ${size}, those of ${placeOf(this.known.row)} ${this.known.size}; rows of a batch must be of one size: make them so, or choose a batch size of 1.`,
      )
  }
}

export class Dataset<E extends AnyExample = AnyExample> {
  /** Number of rows. */
  readonly length: number
  /** Bytes of the files; of rows in memory none. */
  readonly size: number
  /** Positions of each row, where they were found already; 0 of one that is left out. */
  private lengths: Uint32Array | undefined
  private foundFingerprint: Promise<string> | undefined
  private packing: { readonly key: string; readonly packs: Promise<Packs> } | undefined

  /** @internal use `openDataset` */
  constructor(
    private readonly sources: readonly RowSource[],
    private readonly encoding: RowEncoding<E>,
    private readonly options: OpenOptions,
  ) {
    this.length = sources.reduce((sum, source) => sum + source.length, 0)
    this.size = sources.reduce((sum, source) => sum + source.size, 0)
  }

  /** What the rows lie in, each once. */
  get files(): readonly string[] {
    return [...new Set(this.sources.map(({ file }) => file))]
  }

  /** Tells whether two data sets are the same: rows, sizes and every byte of the files, in order, which are read once for it. */
  fingerprint(): Promise<string> {
    return (this.foundFingerprint ??= this.findFingerprint())
  }

  private async findFingerprint(): Promise<string> {
    const prints: string[] = []
    for (const source of this.sources) prints.push(`${source.length}:${await source.fingerprint(this.options.cacheFolder)}`)
    return prints.join(',')
  }

  /** The row at `index` over all files, as read. @throws InvalidDataError naming file and line */
  async row(index: number): Promise<Row> {
    let rest = index
    for (const source of this.sources) {
      if (rest < source.length) return source.row(rest)
      rest -= source.length
    }
    throw new RangeError(`row ${index} of ${this.length}`)
  }

  /**
   * The tokens and labels of a row; undefined if it has no label that counts and such rows are skipped.
   * @throws InvalidDataError naming file, line and field
   */
  async example(index: number): Promise<E | undefined> {
    return this.encode(await this.row(index))
  }

  /** The file and the place of the row at `index`, which need not be readable. */
  place(index: number): Pick<Row, 'file' | 'line' | 'unit'> {
    let rest = index
    for (const source of this.sources) {
      if (rest < source.length) return { file: source.file, ...source.place(rest) }
      rest -= source.length
    }
    throw new RangeError(`row ${index} of ${this.length}`)
  }

  private encode(read: Row): E | undefined {
    const { listeners = [], unlabelled } = this.options
    const isNoted = listeners.some(({ asksUnread }) => asksUnread)
    const row: Row = isNoted ? { ...read, use: { read: new Set(), lost: new Set() } } : read
    const example = this.encoding.encode(row)
    const told = report(row, example)
    for (const listener of listeners) listener.onRow?.(told)
    if (example.tokens > 0) return example
    if (unlabelled === 'skip') {
      for (const listener of listeners) listener.onSkip?.(told)
      return undefined
    }
    const reason = this.encoding.emptyReason(example)
    throw new InvalidDataError(`${at(row)}: the row has no token to learn: ${reason}; or leave the row out.`)
  }

  /**
   * The rows that the first batches of an epoch read, in file order; with bucketing those of whole windows, with packing all.
   * @param batches counted from the beginning of epoch 0
   */
  rowsOfBatches(batches: number, options: BatchOptions): Uint32Array {
    const all = options.packing === true || batches * options.batchSize >= this.length
    const { shuffle, seed } = orderOptions(options)
    const order = epochOrder(this.length, { shuffle: shuffle && !all, seed, epoch: 0 })
    if (all) return order
    const unit = options.bucket === true ? BUCKET_WINDOW : 1
    return order.slice(0, Math.ceil(batches / unit) * unit * options.batchSize).sort()
  }

  /**
   * Reads and tokenises rows once, so that none is found bad when hours of work depend on it, and yields how many it has
   * seen, now and then. `watch` is told of every row.
   *
   * @param options how the rows become batches: those that share one must be of one size
   * @throws InvalidDataError if all rows are fine and yet make no batch, or teach nothing; InvalidOptionError for batches that
   * are too small
   */
  async *check(rows: Uint32Array, options: BatchOptions, watch: CheckWatch<E>): AsyncGenerator<number> {
    checkLeastRows(this.encoding, options)
    const whole = rows.length === this.length
    const lengths = options.packing === true && whole ? new Uint32Array(this.length) : undefined
    const sizes = new EqualSizes(this.encoding, options)
    const first: E[] = []
    let seen = 0
    let usable = 0
    let bad = 0
    for (const index of rows) {
      try {
        const row = await this.row(index)
        const example = this.encode(row)
        if (example !== undefined) {
          usable++
          if (lengths !== undefined) lengths[index] = this.encoding.lengthOf(example)
          if (first.length < options.batchSize) first.push(example)
          sizes.add(example, seen, row)
        }
        watch.onExample?.(example, row, index)
      } catch (error) {
        if (!(error instanceof InvalidDataError)) throw error
        bad++
        if (!watch.onProblem(error, index)) return
      }
      if (++seen % CHECKED_AT_ONCE === 0) yield seen
    }
    yield seen
    if (bad > 0) return
    if (usable === 0) throw this.nothingToLearn()
    this.lengths = lengths
    if (options.packing === true || usable < rows.length) return
    // A graph may take batches of one size alone.
    const rest = this.length % options.batchSize
    if (first.length === options.batchSize) this.encoding.batch(first.map((example) => [example]), false) // prettier-ignore
    if (rest > 0 && watch.lastBatch) this.encoding.batch(first.slice(0, rest).map((example) => [example]), false) // prettier-ignore
  }

  private nothingToLearn(): InvalidDataError {
    const names = this.sources.map((source) => source.file).join(', ')
    return new InvalidDataError(
      `no row of ${names} has a token to learn: all labels are masked. Check the shape of the rows and maxLength.`,
    )
  }

  /** Number of batches of an epoch. With packing all rows are tokenised once to know it. */
  async batchesPerEpoch(options: BatchOptions): Promise<number> {
    this.checkBatchOptions(options)
    if (options.packing !== true) return Math.ceil(this.length / options.batchSize)
    return Math.ceil(((await this.packs(options)).starts.length - 1) / options.batchSize)
  }

  /**
   * Batches from `start` on; the next one is made ready while one is used. Nothing before
   * `start` is read, except with bucketing the beginning of its window, and with packing all rows, once, for their lengths.
   * @throws InvalidDataError naming the row that cannot be used, or if a whole epoch has no label
   */
  async *batches(options: IterationOptions): AsyncGenerator<PositionedBatch> {
    this.checkBatchOptions(options)
    yield* prefetch(this.epochs(options))
  }

  private async *epochs(options: IterationOptions): AsyncGenerator<PositionedBatch> {
    const { start = { epoch: 0, batch: 0 }, epochs = 1 } = options
    for (let epoch = start.epoch; epoch < start.epoch + epochs; epoch++) {
      const first = epoch === start.epoch ? start.batch : 0
      let any = first > 0
      let index = first
      for await (const rows of this.groups(epoch, first, options)) {
        index++
        if (rows.length === 0) continue
        any = true
        yield { ...this.encoding.batch(rows, options.leftPad ?? false), next: { epoch, batch: index } }
      }
      if (!any) throw this.nothingToLearn()
    }
  }

  /** The rows of each batch of an epoch, from batch `first` on. A batch may be empty if all its rows are skipped. */
  private async *groups(epoch: number, first: number, options: BatchOptions): AsyncGenerator<PackedRow<E>[]> {
    const { batchSize } = options
    if (options.packing === true) return yield* this.packedGroups(epoch, first, options)
    const draw = { seed: options.seed ?? 0, epoch }
    const order = epochOrder(this.length, { ...orderOptions(options), epoch })
    if (options.bucket === true) return yield* this.bucketGroups(order, epoch, first, options)
    for (let start = first * batchSize; start < order.length; start += batchSize) {
      yield (await this.examples(order.subarray(start, start + batchSize), draw)).map((example) => [example])
    }
  }

  private async *bucketGroups(
    order: Uint32Array,
    epoch: number,
    first: number,
    options: BatchOptions,
  ): AsyncGenerator<PackedRow<E>[]> {
    const { batchSize } = options
    const rows = BUCKET_WINDOW * batchSize
    for (let window = Math.floor(first / BUCKET_WINDOW); window * rows < order.length; window++) {
      const indices = order.subarray(window * rows, (window + 1) * rows)
      const examples = await this.examples(indices, { seed: options.seed ?? 0, epoch })
      const random = options.shuffle === true ? Random.derive(options.seed ?? 0, 'bucket', epoch, window) : undefined
      const batches = bucket(examples, (example) => this.encoding.lengthOf(example), batchSize, random)
      // Skipped rows may have cost batches: the count of a window stays, so that positions do.
      const count = Math.ceil(indices.length / batchSize)
      for (let i = Math.max(0, first - window * BUCKET_WINDOW); i < count; i++)
        yield (batches[i] ?? []).map((example) => [example])
    }
  }

  private async *packedGroups(epoch: number, first: number, options: BatchOptions): AsyncGenerator<PackedRow<E>[]> {
    const { order, starts } = await this.packs(options)
    const rows = epochOrder(starts.length - 1, { ...orderOptions(options), epoch })
    for (let start = first * options.batchSize; start < rows.length; start += options.batchSize) {
      const group: PackedRow<E>[] = []
      for (const row of rows.subarray(start, start + options.batchSize)) {
        group.push(await this.examples(order.subarray(starts[row], starts[row + 1]), { seed: options.seed ?? 0, epoch }))
      }
      yield group
    }
  }

  /**
   * Which examples share a row: the same ones in every epoch, so that all epochs have as many batches and any batch can
   * be had without those before it. In memory 8 bytes a row.
   */
  private packs(options: BatchOptions): Promise<Packs> {
    const { shuffle, seed } = orderOptions(options)
    const key = shuffle ? String(seed) : 'file order'
    if (this.packing?.key !== key) this.packing = { key, packs: this.findPacks({ shuffle, seed }) }
    return this.packing.packs
  }

  private async findPacks(order: { readonly shuffle: boolean; readonly seed: number }): Promise<Packs> {
    return packRows(this.lengths ?? (await this.findLengths()), this.encoding.capacity ?? 0, order)
  }

  private async findLengths(): Promise<Uint32Array> {
    const lengths = new Uint32Array(this.length)
    for (let index = 0; index < this.length; index++) {
      const example = await this.example(index)
      if (example !== undefined) lengths[index] = this.encoding.lengthOf(example)
    }
    return lengths
  }

  private checkBatchOptions(options: IterationOptions): void {
    checkBatchOptions(options)
    checkPacking(this.encoding, options)
    checkLeastRows(this.encoding, options)
  }

  private async examples(indices: Uint32Array, draw: Omit<Draw, 'row'>): Promise<E[]> {
    const examples: E[] = []
    for (const index of indices) {
      const example = await this.example(index)
      if (example !== undefined) examples.push(this.encoding.drawn?.(example, { ...draw, row: index }) ?? example)
    }
    return examples
  }
}

function report(row: Row, { tokens, truncated, turnEnd, desirable }: AnyExample): RowReport {
  const { file, line, unit } = row
  return {
    file,
    line,
    ...(unit !== undefined && { unit }),
    unread: unreadOf(row),
    truncated,
    ...(turnEnd !== undefined && { turnEnd }),
    // Of a row that is left out it tells nothing.
    ...(desirable !== undefined && tokens > 0 && { desirable }),
  }
}

const unreadOf = (row: Row): readonly string[] => {
  const { value, use } = row
  if (use === undefined) return []
  return [...Object.keys(value).filter((field) => hasField(row, field) && !use.read.has(field)), ...use.lost]
}

const orderOptions = (options: BatchOptions): { shuffle: boolean; seed: number } => ({
  shuffle: options.shuffle ?? false,
  seed: options.seed ?? 0,
})

/** @throws InvalidOptionError if rows of the task cannot share one */
export function checkPacking({ capacity }: Pick<RowEncoding<never>, 'capacity'>, { packing }: BatchOptions): void {
  if (packing === true && capacity === undefined)
    throw new InvalidOptionError('packing is for language models: rows of this task cannot share a row of tokens.')
}

/** @throws InvalidOptionError if a batch is too small for what is learned from it */
function checkLeastRows({ least }: Pick<RowEncoding<never>, 'least'>, { batchSize }: BatchOptions): void {
  if (least !== undefined && batchSize < least.rows)
    throw new InvalidOptionError(
      `a batch must have at least ${least.rows} rows, got ${batchSize}: ${least.reason}. Raise batchSize (--batch-size), or evalBatchSize (--eval-batch-size) of a run's evaluations.`,
    )
}

function checkBatchOptions({ batchSize, bucket, packing, leftPad, start }: IterationOptions): void {
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new InvalidOptionError(`batchSize must be a whole number of at least 1, got ${batchSize}.`)
  if (bucket === true && packing === true)
    throw new InvalidOptionError('bucket and packing exclude each other: packed rows are of one length anyway.')
  if (packing === true && leftPad === true)
    throw new InvalidOptionError(
      'packing and leftPad exclude each other: packed rows are for training, left padding for generation.',
    )
  if (start !== undefined && ![start.epoch, start.batch].every((value) => Number.isInteger(value) && value >= 0)) {
    throw new InvalidOptionError(
      `start must hold a whole epoch and batch of at least 0, got epoch ${start.epoch}, batch ${start.batch}.`,
    )
  }
}

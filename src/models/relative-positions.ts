/** @file DeBERTa's relative positions: which row of the table of distances a pair of tokens reads, and how that is looked up. */
import { InvalidModelError } from '../errors.js'
import { multiplyDims } from '../graph/dim/index.js'
import { int, type Value } from '../graph/types.js'
import type { ConfigReader } from './config-reader.js'
import type { ModelBuilder } from './model-builder.js'

/** Distances in numbers. */
export interface RelativePositionConfig {
  /** Rows of the table for either direction: it has twice as many. */
  readonly span: number
  /** Distances from half of them on share rows, in steps that grow with the logarithm; none unless positive. */
  readonly buckets: number
  /** The distance at which the last bucket begins. */
  readonly maxDistance: number
}

/**
 * Reads `position_buckets` and `max_relative_positions`.
 * @throws InvalidModelError for buckets that cannot grow up to the greatest distance
 */
export function readRelativePositions(config: ConfigReader): RelativePositionConfig {
  const buckets = config.integer('position_buckets', -1)
  const given = config.integer('max_relative_positions', -1)
  const maxDistance = given < 1 ? config.integer('max_position_embeddings') : given
  if (buckets > 0 && (buckets < 4 || maxDistance - 1 <= Math.floor(buckets / 2)))
    throw new InvalidModelError(
      `${config.source}: "position_buckets" is ${buckets} with distances up to ${maxDistance}; ` +
        'expected at least 4 buckets, and distances beyond half as many (or no buckets: -1)',
    )
  return { span: buckets > 0 ? buckets : maxDistance, buckets, maxDistance }
}

/**
 * The bucket of a distance (DeBERTa-v2, `make_log_bucket_position`): itself up to half the buckets, then by its logarithm.
 * Rounded to float32 after each operation, as PyTorch computes it: the ceiling hangs on the last bit.
 */
export function logBucket(distance: number, { buckets, maxDistance }: RelativePositionConfig): number {
  const middle = Math.floor(buckets / 2)
  const size = Math.abs(distance)
  if (buckets <= 0 || size <= middle) return distance
  const f = Math.fround
  const log = f(Math.log(f(size / middle)))
  const step = f(f(log / f(Math.log(f((maxDistance - 1) / middle)))) * (middle - 1))
  return Math.sign(distance) * (Math.ceil(step) + middle)
}

/** No row of tokens is so long; beyond, distances read what this one reads. */
const FARTHEST = 1 << 16

/** Row of the table by distance, from the most negative one on, up to where both ends stay the same. */
export function distanceRows(config: RelativePositionConfig): number[] {
  const last = 2 * config.span - 1
  const row = (distance: number): number => Math.min(Math.max(logBucket(distance, config) + config.span, 0), last)
  let far = 1
  while (far < FARTHEST && (row(far) < last || row(-far) > 0)) far++
  return Array.from({ length: 2 * far + 1 }, (_, i) => row(i - far))
}

/**
 * Looks up scores by distance without an index per pair of tokens: the rows of all distances that a text of this length
 * has are gathered once, in order, so that a product with them holds every pair's score along a diagonal; cutting the
 * product's rows one element shorter turns the diagonals upright (the shift of Transformer-XL).
 */
export class RelativePositions {
  private readonly rows = new Map<boolean, Value>()

  constructor(
    private readonly model: ModelBuilder,
    private readonly config: RelativePositionConfig,
  ) {}

  /**
   * scale·x_i·p(i, j) for every pair of tokens, p being the row of `projected` for their distance.
   * @param x [batch, heads, sequence, headDim]
   * @param projected [2*span, heads*headDim]
   * @param fromFirst the distance is i − j, else j − i
   * @returns [batch, heads, sequence, sequence]
   */
  scores(x: Value, projected: Value, fromFirst: boolean, scale: number): Value {
    const { b } = this.model
    const [, heads, , headDim] = x.shape as readonly [string, number, string, number]
    const gathered = b.reshape(b.gather(projected, this.distances(fromFirst), 0), [TWICE, heads, headDim])
    return this.upright(b.matmul(x, b.transpose(gathered, [1, 0, 2]), { transB: true, alpha: scale }))
  }

  /** Row of every distance in the order of columns: column c of row i is the pair (i, i + c − (sequence − 1)). [2*sequence] */
  private distances(fromFirst: boolean): Value {
    const known = this.rows.get(fromFirst)
    if (known !== undefined) return known
    const { b } = this.model
    const table = distanceRows(this.config)
    const far = (table.length - 1) / 2
    const length = b.squeeze(b.dim('sequence'), [0])
    const one = b.scalar(1, 'int64')
    const [start, end, step] = fromFirst
      ? [b.sub(length, one), b.neg(b.add(length, one)), b.scalar(-1, 'int64')]
      : [b.sub(one, length), b.add(length, one), one]
    const distance = b.emit('Range', [start, end, step], {}, { shapes: [[TWICE]] })
    const within = b.add(b.max(b.min(distance, far), -far), far)
    const rows = b.gather(b.int64s(table), within, 0)
    this.rows.set(fromFirst, rows)
    return rows
  }

  private cuts: { readonly rows: Value; readonly columns: Value; readonly shape: Value } | undefined

  /** Sizes of the two cuts, shared by all layers. */
  private sizes(): { readonly rows: Value; readonly columns: Value; readonly shape: Value } {
    const { b } = this.model
    const length = b.dim('sequence')
    const before = b.sub(length, b.int64s([1]))
    return (this.cuts ??= {
      rows: b.concat([b.mul(length, b.add(length, before)), length], 0),
      columns: b.concat([before, length], 0),
      shape: b.concat([b.int64s([0, 0]), length, b.int64s([-1])], 0),
    })
  }

  /** y[i, j] = x[i, sequence − 1 − i + j]: [batch, heads, sequence, 2*sequence] to [batch, heads, sequence, sequence]. */
  private upright(x: Value): Value {
    const { b } = this.model
    const { rows, columns, shape } = this.sizes()
    const lead = x.shape!.slice(0, 2)
    const flat = b.reshape(x, [...lead, multiplyDims('sequence', TWICE)])
    const kept = [
      [...lead, multiplyDims('sequence', DISTANCES)],
      [...lead, 'sequence'],
    ]
    const [body] = b.emitAll('Split', [flat, rows], { axis: int(2) }, { outputs: 2, shapes: kept })
    const shorter = b.emit('Reshape', [body!, shape], {}, { shapes: [[...lead, 'sequence', DISTANCES]] })
    const parts = [
      [...lead, 'sequence', 'sequence-1'],
      [...lead, 'sequence', 'sequence'],
    ]
    return b.emitAll('Split', [shorter, columns], { axis: int(3) }, { outputs: 2, shapes: parts })[1]!
  }
}

/** Dimensions: the distances of a text, −(sequence − 1) to sequence − 1, and one more to make an even number. */
const DISTANCES = 'distances'
const TWICE = '2*sequence'

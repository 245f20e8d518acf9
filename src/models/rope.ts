/**
 * @file Rotary position embeddings (Su et al., 2021) and the ways of stretching them that config.json names.
 *
 * Formulas and roundings follow transformers' `modeling_rope_utils.py`: frequencies and angles are float32 there, and
 * models were trained with those roundings, so ours round at the same places.
 */
import { InvalidModelError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import { int, type Value } from '../graph/types.js'
import { isObject } from '../util/json.js'
import type { ConfigReader } from './config-reader.js'
import type { ModelBuilder } from './model-builder.js'

/** What a model's rotary embedding is. */
export interface Rope {
  /** Leading features of a head that are rotated; even. */
  readonly rotaryDim: number
  /** Angle per position for each pair of features, [rotaryDim / 2]. */
  readonly inverseFrequencies: Float32Array
  /** Factor on cosine and sine (yarn's attention factor). */
  readonly scaling: number
  /** Positions that the model is meant for. */
  readonly maxPositions: number
  /** LongRoPE: the angles of every position of a row that has more than `above` positions. */
  readonly long?: { readonly above: number; readonly inverseFrequencies: Float32Array }
}

/** What an architecture reads differently from the others. */
export interface RopeOptions {
  /** The keys of the rotary embedding, where not `rope_scaling` or `rope_parameters` of the config. */
  readonly parameters?: ConfigReader
  /** Part of a head that is rotated where no key says; 1 by default. */
  readonly defaultPart?: number
  /** Names that an architecture gives to a rope type of the list below. */
  readonly aliases?: Readonly<Record<string, string>>
}

interface RopeInput {
  readonly config: ConfigReader
  /** `rope_parameters` or `rope_scaling`. */
  readonly parameters: ConfigReader
  readonly base: number
  /** Features that the frequencies are spread over: those that are rotated, or one less. */
  readonly dim: number
  readonly maxPositions: number
}

type Stretched = Omit<Rope, 'rotaryDim'>

const { fround } = Math

/** Features of one head that any model could have: a damaged configuration can ask for any number of angles. */
const MAX_HEAD_DIM = 65_536

/** Positions that any model could have. */
const MAX_POSITIONS = 2 ** 26

/** base^(2i/dim) in float32. */
const wavelengths = (base: number, dim: number): number[] =>
  Array.from({ length: Math.ceil(dim / 2) }, (_, i) => fround(Math.pow(base, fround((2 * i) / dim))))

const plain = (base: number, dim: number): number[] => wavelengths(base, dim).map((w) => fround(1 / w))

/** Position interpolation: every frequency divided by the factor. */
function linear({ parameters, base, dim, maxPositions }: RopeInput): Stretched {
  const factor = parameters.number('factor')
  return {
    inverseFrequencies: Float32Array.from(plain(base, dim), (f) => f / factor),
    scaling: 1,
    maxPositions: Math.floor(maxPositions * Math.max(1, factor)),
  }
}

/** Llama 3.1: low frequencies divided by the factor, high ones kept, those between interpolated. */
function llama3({ parameters, base, dim, maxPositions }: RopeInput): Stretched {
  const factor = parameters.number('factor')
  const low = parameters.number('low_freq_factor')
  const high = parameters.number('high_freq_factor')
  const original = parameters.number('original_max_position_embeddings', maxPositions)
  const stretch = (frequency: number): number => {
    const wavelength = fround(fround(2 * Math.PI) / frequency)
    if (wavelength > original / low) return frequency / factor
    if (wavelength < original / high) return frequency
    const smooth = fround(fround(fround(original / wavelength) - low) / (high - low))
    return fround(fround(fround(1 - smooth) * frequency) / factor) + fround(smooth * frequency)
  }
  return { inverseFrequencies: Float32Array.from(plain(base, dim), stretch), scaling: 1, maxPositions }
}

/** YaRN (Peng et al., 2023): interpolation of low frequencies, a ramp to the high ones, and an attention factor. */
function yarn({ config, parameters, base, dim, maxPositions }: RopeInput): Stretched {
  const original = parameters.number(
    'original_max_position_embeddings',
    config.number('original_max_position_embeddings', maxPositions),
  )
  const factor = parameters.number('factor', maxPositions / original)
  const mscale = (weight: number): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1)
  const m = parameters.number('mscale', 0)
  const all = parameters.number('mscale_all_dim', 0)
  const scaling = parameters.number('attention_factor', m !== 0 && all !== 0 ? mscale(m) / mscale(all) : mscale(1))

  // Index of the pair of features that turns `rotations` times within the original length.
  const correction = (rotations: number): number => (dim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(base))
  const truncate = parameters.boolean('truncate', true)
  const rawLow = correction(parameters.number('beta_fast', 32) || 32)
  const rawHigh = correction(parameters.number('beta_slow', 1) || 1)
  const low = Math.max(truncate ? Math.floor(rawLow) : rawLow, 0)
  const end = Math.min(truncate ? Math.ceil(rawHigh) : rawHigh, dim - 1)
  const high = end === low ? end + 0.001 : end
  const inverseFrequencies = Float32Array.from(wavelengths(base, dim), (w, i) => {
    const keep = fround(1 - Math.min(Math.max(fround(fround(i - low) / (high - low)), 0), 1))
    const interpolated = fround(1 / fround(factor * w))
    return fround(interpolated * fround(1 - keep)) + fround(fround(1 / w) * keep)
  })
  return { inverseFrequencies, scaling, maxPositions: Math.max(maxPositions, Math.floor(factor * original)) }
}

/**
 * LongRoPE (Ding et al., 2024): a factor for each frequency, one list for rows of up to the original length and another
 * for longer ones, and an attention factor for both.
 */
function longrope({ config, parameters, base, dim, maxPositions }: RopeInput): Stretched {
  const original = config.integer(
    'original_max_position_embeddings',
    parameters.integer('original_max_position_embeddings', maxPositions),
  )
  const factor = parameters.number('factor', maxPositions / original)
  const recommended = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))
  const stretched = (key: string): Float32Array => {
    const factors = parameters.numbers(key)
    if (factors?.length !== dim / 2)
      throw new InvalidModelError(
        `${parameters.source}: "${key}" must be a list of ${dim / 2} numbers, one for each pair of rotated features, got ${factors === undefined ? 'none' : factors.length}`,
      )
    return Float32Array.from(wavelengths(base, dim), (w, i) => 1 / fround(fround(factors[i]!) * w))
  }
  return {
    inverseFrequencies: stretched('short_factor'),
    long: { above: original, inverseFrequencies: stretched('long_factor') },
    scaling: parameters.number('attention_factor', recommended),
    maxPositions,
  }
}

/**
 * Also dynamic NTK scaling: transformers raises the base only for sequences longer than `max_position_embeddings`,
 * so up to there it is plain. Longer sequences would need other angles for all positions, so they are not offered.
 */
const unstretched = ({ base, dim, maxPositions }: RopeInput): Stretched => ({
  inverseFrequencies: Float32Array.from(plain(base, dim)),
  scaling: 1,
  maxPositions,
})

const variants: Readonly<Record<string, (input: RopeInput) => Stretched>> = {
  default: unstretched,
  dynamic: unstretched,
  linear,
  llama3,
  yarn,
  longrope,
}

/**
 * Reads the rotary embedding of a model: `rope_parameters` (transformers 5) or `rope_theta` with `rope_scaling` (4).
 *
 * @throws InvalidModelError for a rope type that is not built, or parameters per kind of layer
 */
export function readRope(config: ConfigReader, headDim: number, options: RopeOptions = {}): Rope {
  const parameters = options.parameters ?? config.object('rope_scaling') ?? config.object('rope_parameters')
  const where = parameters?.source ?? config.source
  const named = parameters?.string('rope_type', parameters.string('type', 'default')) ?? 'default'
  const type = options.aliases?.[named] ?? named
  const variant = Object.hasOwn(variants, type) ? variants[type] : undefined
  if (variant === undefined)
    throw new InvalidModelError(`${where}: rope type "${type}" is not supported; known are ${Object.keys(variants).join(', ')}`)
  const nested = Object.entries(parameters?.json ?? {}).find(([, value]) => isObject(value))
  if (nested !== undefined)
    throw new InvalidModelError(
      `${where}: rope parameters per kind of layer ("${nested[0]}") are not supported for this architecture`,
    )
  const base = parameters?.has('rope_theta') === true ? parameters.number('rope_theta') : config.number('rope_theta', 10_000)
  const unnested = config.number('partial_rotary_factor', options.defaultPart ?? 1)
  const part = parameters?.number('partial_rotary_factor', unnested) ?? unnested
  const dim = Math.trunc(headDim * part)
  // Features turn in pairs, so of an odd part one more turns, as in transformers.
  const rotaryDim = 2 * Math.ceil(dim / 2)
  if (!(headDim <= MAX_HEAD_DIM))
    throw new InvalidModelError(
      `${where}: heads of ${headDim} features, expected at most ${MAX_HEAD_DIM}; the configuration is damaged`,
    )
  if (dim <= 0 || rotaryDim > headDim)
    throw new InvalidModelError(
      `${where}: rotary embedding needs an even number of features up to the head's ${headDim}, got ${dim}`,
    )
  const maxPositions = config.integer('max_position_embeddings')
  const rope = { rotaryDim, ...variant({ config, parameters: parameters ?? config, base, dim, maxPositions }) }
  if (!(rope.maxPositions >= 1 && rope.maxPositions <= MAX_POSITIONS))
    throw new InvalidModelError(
      `${where}: rotary embedding of ${rope.maxPositions} positions, expected 1 to ${MAX_POSITIONS}; the configuration is damaged`,
    )
  return rope
}

/** Cosine and sine of every angle, each [positions, rotaryDim / 2]. */
export function ropeTables(
  { inverseFrequencies: frequencies, scaling }: Pick<Rope, 'inverseFrequencies' | 'scaling'>,
  positions: number,
): { cos: Float32Array; sin: Float32Array } {
  const half = frequencies.length
  const cos = new Float32Array(positions * half)
  const sin = new Float32Array(positions * half)
  for (let position = 0; position < positions; position++)
    for (let i = 0; i < half; i++) {
      const angle = fround(position * frequencies[i]!)
      cos[position * half + i] = fround(Math.cos(angle)) * scaling
      sin[position * half + i] = fround(Math.sin(angle)) * scaling
    }
  return { cos, sin }
}

/** What a cache must know: rows that outgrow the short angles of LongRoPE are read anew with the long ones. */
export function rereading(ropes: readonly Rope[]): { rereadAbove?: number } {
  const above = ropes.find((rope) => rope.long !== undefined)?.long?.above
  return above === undefined ? {} : { rereadAbove: above }
}

/** Two tables of the same width, one below the other. */
function stack(above: Float32Array, below: Float32Array): Float32Array {
  const joined = new Float32Array(above.length + below.length)
  joined.set(above)
  joined.set(below, above.length)
  return joined
}

/** Rotates heads; the tables are constants shared by all layers. */
export class RotaryEmbedding {
  private readonly cos: Value
  private readonly sin: Value
  /** Rows of the tables, [batch, sequence]. */
  private readonly rows: Value

  /** @param name prefix of the tables' names, for a model with several rotary embeddings */
  constructor(
    private readonly model: ModelBuilder,
    positionIds: Value,
    private readonly rope: Rope,
    private readonly headDim: number,
    name = 'rope',
  ) {
    const { b, options } = model
    const positions = Math.min(rope.maxPositions, options.positions ?? rope.maxPositions)
    const { long } = rope
    let { cos, sin } = ropeTables(rope, long === undefined ? positions : Math.min(positions, long.above))
    this.rows = positionIds
    if (long !== undefined && positions > long.above) {
      const below = ropeTables({ ...rope, inverseFrequencies: long.inverseFrequencies }, positions)
      cos = stack(cos, below.cos)
      sin = stack(sin, below.sin)
      const isLong = b.less(b.scalar(long.above, 'int64'), this.rowLength(positionIds))
      this.rows = b.add(positionIds, b.where(isLong, b.scalar(long.above, 'int64'), b.scalar(0, 'int64')))
    }
    const shape = [cos.length / (rope.rotaryDim / 2), rope.rotaryDim / 2]
    this.cos = b.constant(float32(shape, cos), `${name}_cos`)
    this.sin = b.constant(float32(shape, sin), `${name}_sin`)
  }

  /**
   * Positions of the longest row, which all rows of a batch follow, as in transformers. With a cache the input
   * `row_length` tells: keys are cached rotated, so the parts of a row must all be rotated alike.
   */
  private rowLength(positionIds: Value): Value {
    const { b, graph, options } = this.model
    if (options.mode === 'cached') return graph.addInput('row_length', 'int64', [1])
    return b.add(b.emit('ReduceMax', [positionIds], { keepdims: int(0) }), b.scalar(1, 'int64'))
  }

  /** x [batch, heads, sequence, headDim], the pairs being feature i and i + rotaryDim / 2. */
  rotate(x: Value, heads: number, name?: string): Value {
    const partial = this.rope.rotaryDim < this.headDim
    return this.model.b.emit(
      'RotaryEmbedding',
      [x, this.rows, this.cos, this.sin],
      partial ? { rotary_embedding_dim: int(this.rope.rotaryDim), num_heads: int(heads) } : {},
      { domain: 'com.microsoft', ...(name !== undefined && { name }) },
    )
  }
}

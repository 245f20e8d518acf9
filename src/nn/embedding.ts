/** @file Embeddings with LoRA. */
import { InvalidOptionError } from '../errors.js'
import type { Value } from '../graph/types.js'
import type { ForwardBuilder } from './forward-builder.js'
import { LoraLayer, positiveIntegers, product, type LoraLayerOptions } from './lora-layer.js'
import { transpose } from '../util/transpose.js'
import { constant, normal, Parameter } from './parameter.js'
import type { OptionKeys } from '../util/option-keys.js'

/** First values of the branch: loralib and PEFT both draw B and leave A zero; `paper` draws A and leaves B zero. */
export type EmbeddingInit = 'loralib' | 'paper'

/** Options of an embedding. */
export interface EmbeddingOptions extends Omit<LoraLayerOptions, 'loraDropout'> {
  /** `loralib` by default: A 0, B from N(0, 1). `paper`: A from N(0, 1), B 0. Either way the branch starts silent. */
  readonly initLoraWeights?: EmbeddingInit
}

const embeddingOptionKeys = {
  ...{ r: true, loraAlpha: true, mergeWeights: true, initLoraWeights: true },
} satisfies OptionKeys<EmbeddingOptions>

/**
 * W[x] + s·Aᵀ[x]·Bᵀ on tokens of any shape, int64.
 *
 * State: `weight` [tokens, features], `lora_A` [r, tokens], `lora_B` [features, r]. With r > 0 the weight is frozen.
 */
export class Embedding extends LoraLayer {
  /** The table, [tokens, features]. */
  weight: Parameter

  /**
   * A table of values from N(0, 1), frozen with r > 0.
   * @throws InvalidOptionError for sizes that are no positive integers
   */
  constructor(
    /** Rows of the table. */
    readonly numEmbeddings: number,

    /** Length of a row. */
    readonly embeddingDim: number,
    options: EmbeddingOptions = {},
  ) {
    super(options, embeddingOptionKeys)
    positiveIntegers('Embedding', { numEmbeddings, embeddingDim })
    this.weight = new Parameter([numEmbeddings, embeddingDim], normal, this.r === 0)
    const init = options.initLoraWeights ?? 'loralib'
    if (init !== 'loralib' && init !== 'paper')
      throw new InvalidOptionError(`Embedding: initLoraWeights must be "loralib" or "paper", got "${String(init)}"`)
    if (this.r === 0) return
    this.lora_A = new Parameter([this.r, numEmbeddings], init === 'paper' ? normal : constant(0))
    this.lora_B = new Parameter([embeddingDim, this.r], init === 'paper' ? constant(0) : normal)
  }

  override forward(b: ForwardBuilder, tokens: Value): Value {
    const base = b.gather(b.parameter(this.weight), tokens)
    if (this.lora_A === undefined || this.lora_B === undefined) return base
    const low = b.gather(b.transpose(b.parameter(this.lora_A), [1, 0]), tokens)
    const branch = b.matmul(low, b.transpose(b.parameter(this.lora_B), [1, 0]))
    return b.add(base, b.mul(branch, this.scaling))
  }

  protected override delta(lora_A: Float32Array, lora_B: Float32Array): Float64Array {
    return transpose(
      product(lora_B, lora_A, this.embeddingDim, this.r, this.numEmbeddings),
      this.embeddingDim,
      this.numEmbeddings,
    )
  }
}

/** @file Bidirectional self-attention of encoders: every token hears every token that is no padding. */
import { multiplyDims } from '../graph/dim/index.js'
import type { Dim, Value } from '../graph/types.js'
import { MASKED } from './attention.js'
import type { ModelBuilder } from './model-builder.js'

export interface EncoderAttentionShape {
  readonly heads: number
  readonly headDim: number
  /** Tokens of a row: `sequence`, or a number where every row has as many (the patches of an image). */
  readonly tokens: Dim
  /** Probability of dropping a weight while training; 0 unless given. */
  readonly dropout?: number
}

/** Additive mask of the padding keys, 0 or the most negative float: [batch, 1, 1, sequence]. */
export function paddingMask({ b }: ModelBuilder, attentionMask: Value): Value {
  return b.where(b.cast(b.unsqueeze(attentionMask, [1, 2]), 'bool'), b.scalar(0), MASKED)
}

/**
 * Attention of all layers of an encoder. A mask of floats is added to the scores of each; one of booleans replaces the
 * scores where it is false, so that rows which hear nothing at all send no gradient back through them.
 */
export class EncoderAttention {
  constructor(
    private readonly model: ModelBuilder,
    private readonly shape: EncoderAttentionShape,
    private readonly mask?: Value,
  ) {}

  /** [batch*tokens, heads*headDim] to [batch, heads, tokens, headDim]. */
  headsFirst(x: Value): Value {
    const { b } = this.model
    const { heads, headDim, tokens } = this.shape
    return b.transpose(b.reshape(x, ['batch', tokens, heads, headDim]), [0, 2, 1, 3])
  }

  /**
   * softmax(scale·q·kᵀ + bias + mask)·v of one layer.
   * @param q, k, v [batch, heads, tokens, headDim]
   * @param bias [batch, heads, tokens, tokens], none unless given
   * @returns [batch*tokens, heads*headDim]
   */
  attend(q: Value, k: Value, v: Value, scale: number, bias?: Value): Value {
    const { b } = this.model
    const { heads, headDim, tokens, dropout = 0 } = this.shape
    const products = b.matmul(q, k, { transB: true, alpha: scale })
    const scores = bias === undefined ? products : b.add(products, bias)
    const weights = this.model.dropout(b.softmax(this.masked(scores)), dropout)
    return b.reshape(b.transpose(b.matmul(weights, v), [0, 2, 1, 3]), [multiplyDims('batch', tokens), heads * headDim])
  }
  private masked(scores: Value): Value {
    const { b } = this.model
    if (this.mask === undefined) return scores
    return this.mask.dtype === 'bool' ? b.where(this.mask, scores, MASKED) : b.add(scores, this.mask)
  }
}

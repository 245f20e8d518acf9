/** @file LoRA+ (Hayou et al., 2024): B learns faster than A. */
import { InvalidOptionError } from '../errors.js'

export interface LoraPlusOptions {
  /** Learning rate of B by that of A, at least 1. */
  readonly loraPlusLrRatio: number
  /** Learning rate of an adapted embedding's matrices; 1e-6 by default, as in PEFT. */
  readonly loraPlusLrEmbedding?: number
}

/** A trained tensor, as much as the rule asks of it. */
export interface RatedTensor {
  readonly name: string
  readonly shape: readonly number[]
}

/**
 * Learning rate of every number, in the order of the tensors, for the optimizer's input `learning_rate` [n]. The groups are
 * those of PEFT's `create_loraplus_optimizer`: embeddings have their own rate; B and every vector have the ratio.
 * @throws InvalidOptionError for a ratio below 1
 */
export function loraPlusRates(tensors: readonly RatedTensor[], learningRate: number, options: LoraPlusOptions): Float32Array {
  const { loraPlusLrRatio: ratio, loraPlusLrEmbedding: embedding = 1e-6 } = options
  if (!Number.isFinite(ratio) || ratio < 1) throw new InvalidOptionError(`"loraPlusLrRatio" must be at least 1, got ${ratio}`)
  const lengths = tensors.map(({ shape }) => shape.reduce((product, dim) => product * dim, 1))
  const rates = new Float32Array(lengths.reduce((sum, length) => sum + length, 0))
  let offset = 0
  tensors.forEach(({ name, shape }, i) => {
    const faster = name.includes('.lora_B') || shape.length === 1
    rates.fill(
      name.includes('.lora_embedding_') ? embedding : faster ? learningRate * ratio : learningRate,
      offset,
      offset + lengths[i]!,
    )
    offset += lengths[i]!
  })
  return rates
}

/** @file How likely the model itself finds tokens: before temperature, penalties and whatever else chooses. */
import { largestPlaces } from './largest.js'
import { argmax, checkLogits } from './sampling.js'

/** A token and the logarithm of its probability. */
export interface LikelyToken {
  /** Its id. */
  readonly id: number
  /** Natural logarithm of the probability that the model itself gives it, whatever temperature, penalties and bias say. */
  readonly logprob: number
}

/** A token of a text, and the likeliest in its place. */
export interface TokenLogprob extends LikelyToken {
  /** As many as were asked for, the likeliest first; the token itself may be among them or not. */
  readonly top: readonly LikelyToken[]
}

/**
 * @param logits of the token's place, [vocabulary]
 * @param count of the likeliest tokens that are told
 * @throws RuntimeError if a logit is NaN or infinite
 */
export function tokenLogprob(logits: Float32Array, id: number, count: number): TokenLogprob {
  checkLogits(logits)
  const top = logits[argmax(logits)]!
  let sum = 0
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - top)
  const rest = Math.log(sum)
  const likely = (token: number): LikelyToken => ({ id: token, logprob: logits[token]! - top - rest })
  return { ...likely(id), top: largestPlaces(logits, count).map(likely) }
}

/** What is told of the tokens of a prompt while it is read. */
export class PromptLogprobs {
  /** By token; null is the first, of which nothing is known, and those that were not read. */
  readonly found: (TokenLogprob | null)[]

  /** @param count of the likeliest tokens that are told */
  constructor(
    private readonly prompt: readonly number[],
    private readonly count: number,
  ) {
    this.found = new Array<null>(prompt.length).fill(null)
  }

  /** @param position of the token after which the logits are */
  read(position: number, logits: Float32Array): void {
    const id = this.prompt[position + 1]
    if (position >= 0 && id !== undefined) this.found[position + 1] = tokenLogprob(logits, id, this.count)
  }
}

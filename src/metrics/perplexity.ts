/** @file Perplexity of texts from how likely a model finds their tokens. */
import { InvalidDataError } from '../errors.js'

/**
 * exp of the mean negative log-likelihood of tokens, in nats. Where losses are means over texts, a long text counts as much as a
 * short one unless `tokens` says how many each has.
 *
 * Source: Jelinek et al., "Perplexity: a measure of the difficulty of speech recognition tasks" (1977).
 *
 * @param losses negative log-likelihoods in nats: of tokens, or means over texts
 * @param tokens how many tokens each loss is the mean of; 1 each by default
 * @throws InvalidDataError without losses or tokens, or where the lists differ in length
 * @example
 * perplexity([Math.log(4), Math.log(4)]) // 4
 */
export function perplexity(losses: ArrayLike<number>, tokens?: ArrayLike<number>): number {
  if (losses.length === 0) throw new InvalidDataError('perplexity: there are no losses; give one or more')
  if (tokens !== undefined && tokens.length !== losses.length)
    throw new InvalidDataError(
      `perplexity: ${losses.length} losses, but ${tokens.length} numbers of tokens; give one for each loss`,
    )
  let [sum, count] = [0, 0]
  for (let i = 0; i < losses.length; i++) {
    const weight = tokens?.[i] ?? 1
    sum += losses[i]! * weight
    count += weight
  }
  if (!(count > 0)) throw new InvalidDataError(`perplexity: there are ${count} tokens in all; give one or more`)
  return Math.exp(sum / count)
}

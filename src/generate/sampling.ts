/** @file From logits to the next token, as transformers' logits processors and samplers define it. */
import { RuntimeError } from '../errors.js'
import type { Random } from '../util/rng.js'
import { nothingMayFollow, processLogits, type TextSoFar } from './logits-processors.js'
import type { Sampling, SamplingOptions } from './sampling-options.js'

/** Index of the largest logit, the first of equals. */
export function argmax(logits: Float32Array): number {
  let best = 0
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i
  return best
}

/** The tokens that may be drawn, in the order of their ids. */
export interface Candidates {
  readonly ids: readonly number[]
  /** Of each id; together 1. */
  readonly probabilities: readonly number[]
}

/**
 * What temperature (1 leaves the probabilities as they are), top-k, top-p and min-p leave. All cut at a value, so that equals share a fate whatever their order: with
 * the k-th likeliest stay all that are as likely, as in transformers. Values alone are sorted, never ids by a comparator,
 * which would take longer than a small model itself.
 */
export function distribution(logits: Float32Array, { temperature = 1, topK, topP, minP = 0 }: SamplingOptions): Candidates {
  const cutsK = topK !== undefined && topK < logits.length
  const cutsP = topP !== undefined && topP < 1
  const ascending = cutsK || cutsP ? logits.slice().sort() : logits
  const top = logits[argmax(logits)]!
  const weight = (logit: number): number => Math.exp((logit - top) / temperature)
  let lowest = cutsK ? ascending[ascending.length - topK]! : -Infinity
  if (cutsP) {
    let total = 0
    for (let i = ascending.length - 1; i >= 0 && ascending[i]! >= lowest; i--) total += weight(ascending[i]!)
    // The token that crosses the border still counts, so one is always left.
    let sum = 0
    let i = ascending.length
    while (i > 0 && ascending[i - 1]! >= lowest && sum < topP * total) sum += weight(ascending[--i]!)
    lowest = ascending[i]!
  }
  const ids: number[] = []
  const probabilities: number[] = []
  let kept = 0
  for (let id = 0; id < logits.length; id++) {
    if (logits[id]! < lowest) continue
    const w = weight(logits[id]!)
    // The likeliest has weight 1.
    if (w < minP) continue
    ids.push(id)
    probabilities.push(w)
    kept += w
  }
  return { ids, probabilities: probabilities.map((w) => w / kept) }
}

/** @throws RuntimeError if a logit is NaN or infinite; minus infinity only rules a token out */
export function checkLogits(logits: Float32Array): void {
  const broken = logits.findIndex((logit) => !(logit < Infinity))
  if (broken >= 0)
    throw new RuntimeError(
      `the model gives ${logits[broken]} (logit of token ${broken}): its weights or the adapter are damaged, or 16-bit weights overflow`,
    )
}

/**
 * The logarithm of the softmax, in place.
 * @throws RuntimeError as {@link nextToken}
 */
export function logProbabilities(logits: Float32Array): Float32Array {
  checkLogits(logits)
  const top = logits[argmax(logits)]!
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - top)
  const rest = Math.log(sum)
  for (let id = 0; id < logits.length; id++) logits[id] = logits[id]! - top - rest
  return logits
}

/**
 * The next token: what processes logits, then temperature, top-k, top-p, min-p, in this order.
 * @param logits of the last position; changed
 * @throws RuntimeError if a logit is NaN or infinite; minus infinity only rules a token out
 * @throws InvalidOptionError if the options rule out every token
 */
export function nextToken(logits: Float32Array, before: TextSoFar, options: Sampling, random: Random): number {
  checkLogits(logits)
  processLogits(logits, before, options)
  const likeliest = argmax(logits)
  if (logits[likeliest] === -Infinity) throw nothingMayFollow(before, options, logits.length)
  if (options.temperature === 0) return likeliest
  const { ids, probabilities } = distribution(logits, options)
  let draw = random.uniform()
  for (const [i, probability] of probabilities.entries()) {
    draw -= probability
    if (draw < 0) return ids[i]!
  }
  // Rounding left a rest of about 1e-16: any token that can be drawn at all.
  return ids[probabilities.findLastIndex((probability) => probability > 0)]!
}

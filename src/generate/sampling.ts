/** @file From logits to the next token, as transformers' logits processors and samplers define it. */
import { InvalidOptionError, RuntimeError } from '../errors.js'
import type { Random } from '../util/rng.js'
import { largest } from './largest.js'
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
  readonly ids: Int32Array
  /** Of each id; together 1. */
  readonly probabilities: Float64Array
}

/** Places of a histogram of logits, and how far below the largest they reach, in units of the temperature: e^-32 is 1e-14. */
const PLACES = 1024
const REACH = 32

/**
 * The smallest logit of the likeliest tokens that have a share of the mass together; the one that crosses the border still counts.
 * Their mass is gathered by how far they lie below the largest, and only those where the border is are sorted.
 * @param lowest logits below it have no part
 */
function nucleusBorder(logits: Float32Array, share: number, lowest: number, top: number, temperature: number): number {
  const masses = new Float64Array(PLACES)
  // Monotonous, so that whatever lies in a later place is smaller.
  const placeOf = (logit: number): number => Math.min(PLACES - 1, Math.floor(((top - logit) / temperature) * (PLACES / REACH)))
  let total = 0
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!
    if (logit < lowest || logit === -Infinity) continue
    const mass = Math.exp((logit - top) / temperature)
    masses[placeOf(logit)]! += mass
    total += mass
  }
  const needed = share * total
  let place = 0
  let sum = 0
  while (place < PLACES - 1 && sum + masses[place]! < needed) sum += masses[place++]!
  // Rounding may leave nothing where the border is: then it is in the last place before that has something, which is whole.
  while (masses[place] === 0) sum -= masses[--place]!
  const there = logits.filter((logit) => logit >= lowest && logit > -Infinity && placeOf(logit) === place).sort()
  let i = there.length
  do sum += Math.exp((there[--i]! - top) / temperature)
  while (i > 0 && sum < needed)
  return there[i]!
}

/**
 * What temperature (1 leaves the probabilities as they are), top-k, top-p and min-p leave. All cut at a value, so that equals
 * share a fate whatever their order: with the k-th likeliest stay all that are as likely, as in transformers. Of the values no
 * more are sorted than are needed, and ids never: that would take longer than a small model itself.
 */
export function distribution(logits: Float32Array, { temperature = 1, topK, topP, minP = 0 }: SamplingOptions): Candidates {
  const top = logits[argmax(logits)]!
  const weight = (logit: number): number => Math.exp((logit - top) / temperature)
  let lowest = -Infinity
  if (topK !== undefined && topK < logits.length) {
    const likeliest = largest(logits, topK)
    if (likeliest.length === topK) lowest = likeliest[0]!
  }
  if (topP !== undefined && topP < 1) lowest = nucleusBorder(logits, topP, lowest, top, temperature)
  // Of typed arrays: without a cut these are a vocabulary each.
  const ids = new Int32Array(logits.length)
  const weights = new Float64Array(logits.length)
  let count = 0
  let kept = 0
  for (let id = 0; id < logits.length; id++) {
    if (logits[id]! < lowest) continue
    const w = weight(logits[id]!)
    // The likeliest has weight 1.
    if (w < minP) continue
    ids[count] = id
    weights[count++] = w
    kept += w
  }
  const probabilities = weights.subarray(0, count)
  for (let i = 0; i < count; i++) probabilities[i]! /= kept
  return { ids: ids.subarray(0, count), probabilities }
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
 * @throws InvalidOptionError if the options rule out every token, or make one's logit infinite
 */
export function nextToken(logits: Float32Array, before: TextSoFar, options: Sampling, random: Random): number {
  checkLogits(logits)
  processLogits(logits, before, options)
  const likeliest = argmax(logits)
  if (logits[likeliest] === -Infinity) throw nothingMayFollow(before, options, logits.length)
  if (!(logits[likeliest]! < Infinity))
    throw new InvalidOptionError(
      `repetitionPenalty ${options.repetitionPenalty ?? 1} makes the logit of token ${likeliest} infinite, which is no choice; move it towards 1`,
    )
  if (options.temperature === 0) return likeliest
  const { ids, probabilities } = distribution(logits, options)
  let draw = random.uniform()
  for (let i = 0; i < probabilities.length; i++) {
    draw -= probabilities[i]!
    if (draw < 0) return ids[i]!
  }
  // Rounding left a rest of about 1e-16: any token that can be drawn at all.
  return ids[probabilities.findLastIndex((probability) => probability > 0)]!
}

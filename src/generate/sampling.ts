/** @file From logits to the next token, as transformers' logits processors and samplers define it. */
import { InvalidOptionError, RuntimeError } from '../errors.js'
import type { Random } from '../util/rng.js'

export interface SamplingOptions {
  /** 0 or undefined takes the likeliest token; above 0 samples, flatter the higher it is. */
  readonly temperature?: number
  /** Sample among the k likeliest tokens. */
  readonly topK?: number
  /** Sample among the likeliest tokens that have this probability together (Holtzman et al., 2020). */
  readonly topP?: number
  /** Above 1 makes tokens less likely that the prompt or the text so far holds (Keskar et al., 2019). */
  readonly repetitionPenalty?: number
}

/** @throws InvalidOptionError naming the option that is out of range */
export function checkSampling({ temperature, topK, topP, repetitionPenalty }: SamplingOptions): void {
  if (temperature !== undefined && !(temperature >= 0 && Number.isFinite(temperature)))
    throw new InvalidOptionError(`temperature must be a finite number of at least 0, got ${temperature}`)
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1))
    throw new InvalidOptionError(`topK must be a whole number of at least 1, got ${topK}`)
  if (topP !== undefined && !(topP > 0 && topP <= 1))
    throw new InvalidOptionError(`topP must be above 0 and at most 1, got ${topP}`)
  if (repetitionPenalty !== undefined && !(repetitionPenalty > 0 && Number.isFinite(repetitionPenalty)))
    throw new InvalidOptionError(`repetitionPenalty must be above 0, got ${repetitionPenalty}`)
}

/** Divides positive and multiplies negative logits of tokens that were there before; each token once. Works in place. */
export function penalizeRepetition(logits: Float32Array, seen: Iterable<number>, penalty: number): void {
  for (const id of new Set(seen)) {
    const value = logits[id]
    if (value !== undefined) logits[id] = value > 0 ? value / penalty : value * penalty
  }
}

/** Index of the largest logit, the first of equals. */
export function argmax(logits: Float32Array): number {
  let best = 0
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i
  return best
}

/** The tokens that may be drawn, likeliest first, with probabilities that sum to 1. */
export function distribution(
  logits: Float32Array,
  { temperature = 1, topK, topP }: SamplingOptions,
): { id: number; probability: number }[] {
  let order = Array.from(logits, (_, id) => id)
  order.sort((a, b) => logits[b]! - logits[a]! || a - b)
  if (topK !== undefined) order = order.slice(0, topK)
  const top = logits[order[0]!]!
  const weights = order.map((id) => Math.exp((logits[id]! - top) / temperature))
  const total = weights.reduce((a, b) => a + b, 0)
  let count = order.length
  if (topP !== undefined) {
    // The token that crosses the border still counts, so one is always left.
    let sum = 0
    for (count = 0; count < order.length && sum < topP * total; count++) sum += weights[count]!
  }
  const kept = weights.slice(0, count).reduce((a, b) => a + b, 0)
  return order.slice(0, count).map((id, i) => ({ id, probability: weights[i]! / kept }))
}

/**
 * The next token: repetition penalty, then temperature, top-k, top-p, in this order.
 * @param logits of the last position; changed
 * @param seen prompt and text so far
 * @throws RuntimeError if a logit is NaN
 */
export function nextToken(logits: Float32Array, seen: Iterable<number>, options: SamplingOptions, random: Random): number {
  const broken = logits.findIndex(Number.isNaN)
  if (broken >= 0)
    throw new RuntimeError(
      `the model gives NaN (logit of token ${broken}): its weights or the adapter are damaged, or 16-bit weights overflow`,
    )
  if (options.repetitionPenalty !== undefined && options.repetitionPenalty !== 1)
    penalizeRepetition(logits, seen, options.repetitionPenalty)
  if ((options.temperature ?? 0) === 0) return argmax(logits)
  const candidates = distribution(logits, options)
  let draw = random.uniform()
  for (const { id, probability } of candidates) {
    draw -= probability
    if (draw < 0) return id
  }
  return candidates[candidates.length - 1]!.id
}

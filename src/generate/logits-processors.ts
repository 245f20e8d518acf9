/** @file What is done to logits before the next token is chosen, as transformers' logits processors and OpenAI's penalties do it. */
import { InvalidOptionError } from '../errors.js'
import { ruleOutOthers, type TokenSet } from './constraint.js'
import type { Sampling } from './sampling-options.js'

/** What stands before the next token. */
export interface TextSoFar {
  readonly prompt: readonly number[]
  /** The tokens that were generated. */
  readonly ids: readonly number[]
  /** Tokens that would end the text. */
  readonly ends: ReadonlySet<number>
  /** The only tokens that may follow, where a constraint says which. */
  readonly allowed?: TokenSet | undefined
}

/** The options of generation that change logits. */
export type ProcessorOptions = Pick<Sampling, 'repetitionPenalty' | 'noRepeatNgramSize' | 'minNewTokens'> &
  Partial<Pick<Sampling, 'logitBias' | 'presencePenalty' | 'frequencyPenalty'>>

/** Divides positive and multiplies negative logits of tokens that were there before; each token once. Works in place. */
export function penalizeRepetition(logits: Float32Array, seen: Iterable<number>, penalty: number): void {
  for (const id of new Set(seen)) {
    const value = logits[id]
    if (value !== undefined) logits[id] = value > 0 ? value / penalty : value * penalty
  }
}

/** Adds to the logits of some tokens. Works in place. */
function addBias(logits: Float32Array, bias: Readonly<Record<number, number>>): void {
  for (const [id, value] of Object.entries(bias)) logits[Number(id)]! += value
}

/**
 * Takes from the logits of tokens that were generated: `presence` once, `frequency` for each time (the formula of OpenAI's API).
 * Works in place.
 */
export function penalizeCounts(logits: Float32Array, ids: readonly number[], presence: number, frequency: number): void {
  const counts = new Map<number, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  for (const [id, count] of counts) logits[id]! -= presence + frequency * count
}

/** Rules out every token that would complete an n-gram which `text` has already. Works in place. */
export function banRepeatedNgrams(logits: Float32Array, text: readonly number[], n: number): void {
  const last = text.length - (n - 1)
  for (let start = 0; start < last; start++) {
    let matched = 0
    while (matched < n - 1 && text[start + matched] === text[last + matched]) matched++
    if (matched === n - 1) logits[text[start + n - 1]!] = -Infinity
  }
}

/**
 * Bias and repetition penalty, in transformers' order, OpenAI's penalties, then the n-grams that may not come again, the ends that may
 * not come yet, and what a constraint does not allow.
 * @param logits of the last position, or their log probabilities; changed
 */
export function processLogits(logits: Float32Array, { prompt, ids, ends, allowed }: TextSoFar, options: ProcessorOptions): void {
  const { logitBias, repetitionPenalty, presencePenalty = 0, frequencyPenalty = 0, noRepeatNgramSize, minNewTokens } = options
  if (logitBias !== undefined) addBias(logits, logitBias)
  if (repetitionPenalty !== 1) penalizeRepetition(logits, [...prompt, ...ids], repetitionPenalty)
  if (presencePenalty !== 0 || frequencyPenalty !== 0) penalizeCounts(logits, ids, presencePenalty, frequencyPenalty)
  if (noRepeatNgramSize > 0) banRepeatedNgrams(logits, [...prompt, ...ids], noRepeatNgramSize)
  if (ids.length < minNewTokens) for (const end of ends) logits[end] = -Infinity
  if (allowed !== undefined) ruleOutOthers(logits, allowed)
}

/** What to say where the options have ruled out every token. @param vocabulary how many there are */
export const nothingMayFollow = (
  { prompt, ids, allowed }: Pick<TextSoFar, 'prompt' | 'ids' | 'allowed'>,
  { noRepeatNgramSize, minNewTokens }: ProcessorOptions,
  vocabulary: number,
): InvalidOptionError =>
  new InvalidOptionError(
    `no token may follow the ${prompt.length + ids.length} so far: noRepeatNgramSize ${noRepeatNgramSize} and ` +
      `minNewTokens ${minNewTokens} rule out all ${vocabulary}${allowed === undefined ? '' : ' that the constraint would allow'}; raise the one or lower the other`,
  )

/** @file Tokens hidden from a masked language model, which it is asked for. */
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import type { Random } from '../util/rng.js'

/** Of the chosen tokens, the share that becomes the mask token. */
const MASKED = 0.8
/** Of the others, the share that becomes a token at random: a tenth of the chosen ones. The last tenth stays. */
const REPLACED = 0.5

export interface MaskOptions {
  /** Chance of each token that may be chosen. */
  readonly probability: number
  readonly maskTokenId: number
  /** Tokens that a chosen one may become: 0 to this number, this number not among them. */
  readonly vocabularySize: number
}

/** A row as the model sees it, and what it is asked for. */
export interface MaskedTokenIds {
  readonly ids: readonly number[]
  /** The token that stood there where one was chosen, else -100. */
  readonly labels: readonly number[]
  /** How many were chosen. */
  readonly chosen: number
}

/**
 * Chooses tokens and hides them as transformers' `DataCollatorForLanguageModeling` does (Devlin et al., 2018, section 3.1):
 * of those chosen 80 % become the mask token, 10 % a random one of the vocabulary, and 10 % stay. Where chance chooses none
 * of a row, one is chosen: as in BERT's own data, every row teaches something.
 * @param candidates places that may be chosen, at least one
 */
export function maskTokens(
  ids: readonly number[],
  candidates: readonly number[],
  { probability, maskTokenId, vocabularySize }: MaskOptions,
  random: Random,
): MaskedTokenIds {
  const found = candidates.filter(() => random.uniform() < probability)
  const chosen = found.length > 0 ? found : [candidates[random.integer(candidates.length)]!]
  const hidden = [...ids]
  const labels = new Array<number>(ids.length).fill(IGNORED_LABEL)
  for (const place of chosen) {
    labels[place] = ids[place]!
    if (random.uniform() < MASKED) hidden[place] = maskTokenId
    else if (random.uniform() < REPLACED) hidden[place] = random.integer(vocabularySize)
  }
  return { ids: hidden, labels, chosen: chosen.length }
}

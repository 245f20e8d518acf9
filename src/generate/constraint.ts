/** @file What a grammar says of the next token: an interface, so that any engine may stand behind it. */
import { InvalidOptionError } from '../errors.js'
import { having } from '../util/option-kinds.js'

/**
 * Some tokens of a vocabulary: their ids, or a mask as grammar engines fill it, in which bit `id % 32` of word `id >> 5` is the token's.
 * Tokens beyond the end of a mask are not in it.
 */
export type TokenSet = readonly number[] | Int32Array | Uint32Array

/** What one text may become, step by step. */
export interface ConstraintState {
  /**
   * The tokens that may come next; undefined allows all. A token that is to be able to end the text must be among them. None at all ends
   * the text, as a stop string does. Read before the next call, so that a mask may be filled anew in place.
   */
  allowed(): TokenSet | undefined
  /** Told the token that was taken, unless it ended the text. */
  accept(id: number): void
}

/**
 * Which tokens may follow at each step of a text (constrained decoding): a grammar, a schema, a list of answers. It has a state of its own
 * for every text, so that rows of a batch and several samples go their own ways.
 * @example
 * // Yes or no, and then the end.
 * const answers: Constraint = {
 *   begin: () => {
 *     let said = false
 *     return { allowed: () => (said ? [eos] : [yes, no]), accept: () => void (said = true) }
 *   },
 * }
 */
export interface Constraint {
  /** A text begins. @param prompt the tokens that it follows @param ends the tokens that end it */
  begin(prompt: readonly number[], ends: ReadonlySet<number>): ConstraintState
}

/** As the value of an option. */
export const constraintKind = having('a constraint with the function begin', 'begin')

/** Whether a set has no token. */
export const isEmpty = (allowed: TokenSet): boolean =>
  Array.isArray(allowed) ? allowed.length === 0 : (allowed as Int32Array).every((word) => word === 0)

/**
 * Rules out every token that is not in the set. Works in place.
 * @throws InvalidOptionError for an id that the vocabulary has not
 */
export function ruleOutOthers(logits: Float32Array, allowed: TokenSet): void {
  if (ArrayBuffer.isView(allowed)) {
    const words = allowed as Int32Array
    for (let id = 0; id < logits.length; id++) if (((words[id >> 5] ?? 0) & (1 << (id & 31))) === 0) logits[id] = -Infinity
    return
  }
  const kept = allowed.map((id) => {
    if (Number.isInteger(id) && id >= 0 && id < logits.length) return logits[id]!
    throw new InvalidOptionError(`the constraint allows token ${id}, but the vocabulary has ${logits.length}`)
  })
  logits.fill(-Infinity)
  allowed.forEach((id, i) => (logits[id] = kept[i]!))
}

/** @file Texts that follow a grammar: which tokens may come next, found once for each state. */
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidOptionError } from '../errors.js'
import type { Constraint, ConstraintState, TokenSet } from '../generate/constraint.js'
import { Automaton, type State } from './automaton.js'
import type { Expression } from './expression.js'
import { Vocabulary } from './vocabulary.js'

/** States, and words of masks, that are kept; beyond them a text begins with none. */
const MOST_STATES = 50_000
const MOST_WORDS = 2 ** 24

/** A grammar over the tokens of a tokenizer. What is found out for one text is there for the next. */
export class GrammarConstraint implements Constraint {
  private readonly vocabulary: Vocabulary
  private automaton: Automaton
  private masks = new WeakMap<State, Int32Array>()
  private words = 0

  /** @throws InvalidOptionError if the grammar has no text, or none that the tokenizer can begin, or its texts are not the bytes of its tokens */
  constructor(
    tokenizer: Tokenizer,
    private readonly grammar: Expression,
  ) {
    this.vocabulary = Vocabulary.of(tokenizer)
    this.automaton = new Automaton(grammar)
    this.allowed(this.automaton.start, new Set())
  }

  begin(_prompt: readonly number[], ends: ReadonlySet<number>): ConstraintState {
    if (this.automaton.size > MOST_STATES || this.words > MOST_WORDS) {
      this.automaton = new Automaton(this.grammar)
      this.masks = new WeakMap()
      this.words = 0
    }
    let state = this.automaton.start
    return {
      allowed: () => this.allowed(state, ends),
      accept: (id) => {
        const next = this.vocabulary.step(state, id)
        if (next === undefined) throw new InvalidOptionError(`token ${id} was taken, which the constraint does not allow here`)
        state = next
      },
    }
  }

  private allowed(state: State, ends: ReadonlySet<number>): TokenSet {
    const mask = this.mask(state).slice()
    // An end may be a token of text elsewhere; here it would end the text.
    for (const end of ends) if (end >> 5 < mask.length) mask[end >> 5]! &= ~(1 << (end & 31))
    const goesOn = mask.some((word) => word !== 0)
    if (!state.accepts) {
      if (goesOn) return mask
      throw new InvalidOptionError(
        'no token of the vocabulary can go on as the constraint asks; it needs characters that the tokenizer does not have',
      )
    }
    // Nothing more can come: the text is done, whether or not the model knows how to end it.
    if (!goesOn) return []
    return withTokens(mask, ends)
  }

  private mask(state: State): Int32Array {
    let mask = this.masks.get(state)
    if (mask === undefined) {
      this.masks.set(state, (mask = this.vocabulary.allowed(state)))
      this.words += mask.length
    }
    return mask
  }
}

function withTokens(mask: Int32Array, ids: ReadonlySet<number>): Int32Array {
  const words = Math.max(mask.length, ...[...ids].map((id) => (id >> 5) + 1))
  const wide = words === mask.length ? mask : new Int32Array(words)
  if (wide !== mask) wide.set(mask)
  for (const id of ids) wide[id >> 5]! |= 1 << (id & 31)
  return wide
}

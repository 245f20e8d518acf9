/** @file Texts of a constraint, for tests: tokens drawn at random among those allowed, as a model that knows nothing would. */
import type { Tokenizer } from '../../src/data/tokenizer.js'
import { isEmpty, type Constraint } from '../../src/generate/constraint.js'
import { Random } from '../../src/util/rng.js'

export interface RandomText {
  readonly text: string
  readonly ids: readonly number[]
  /** Whether it ended by itself. */
  readonly isWhole: boolean
}

const closingOf = new WeakMap<Tokenizer, ReadonlySet<number>>()

/** Tokens that close something, or lead on to the next. */
function closing(tokenizer: Tokenizer): ReadonlySet<number> {
  let found = closingOf.get(tokenizer)
  if (found === undefined) {
    const ids = Array.from({ length: tokenizer.size }, (_, id) => id)
    closingOf.set(tokenizer, (found = new Set(ids.filter((id) => /^[\]}",:]+$/.test(tokenizer.tokenText(id))))))
  }
  return found
}

/** Short texts are likelier: of the tokens that close something one is drawn as often as one of all. */
export function randomText(tokenizer: Tokenizer, constraint: Constraint, seed: number, limit = 400): RandomText {
  const random = Random.derive(seed, 'text')
  const ends = new Set(tokenizer.eosTokenIds)
  const state = constraint.begin([], ends)
  const ids: number[] = []
  const drawn = (from: readonly number[]): number => from[Math.floor(random.uniform() * from.length)]!
  const done = (isWhole: boolean): RandomText => ({ text: tokenizer.decode(ids), ids, isWhole })
  while (ids.length < limit) {
    const allowed = state.allowed()
    if (allowed === undefined) throw new Error('all tokens are allowed')
    if (isEmpty(allowed)) return done(true)
    const words = allowed as Int32Array
    const all = Array.from({ length: words.length * 32 }, (_, id) => id).filter((id) => (words[id >> 5]! >> (id & 31)) & 1)
    const short = all.filter((id) => ends.has(id) || closing(tokenizer).has(id))
    const id = drawn(short.length > 0 && random.uniform() < 0.6 ? short : all)
    if (ends.has(id)) return done(true)
    state.accept(id)
    ids.push(id)
  }
  return done(false)
}

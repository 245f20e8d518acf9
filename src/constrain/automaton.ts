/** @file A grammar run over symbols: the states that its texts go through, each made once and kept, as are the ways between them. */
import { InvalidOptionError } from '../errors.js'
import { Reached, Stack, type Expression, type Terminal, type TextSymbol } from './expression.js'

/** Ways that a text may be read in at the same time; a grammar that needs more would take seconds a token. */
const MOST_STACKS = 4096

/** Where a text is in a grammar. */
export class State {
  /** Whether the text may end here. */
  readonly accepts: boolean
  /** By symbol; null where no text goes on so. */
  private readonly next: (State | null | undefined)[] = []
  private readonly tokenWays = new Map<TextSymbol, State | undefined>()
  private readonly ways: readonly Stack[]

  /** @internal Of an {@link Automaton}. */
  constructor(
    private readonly automaton: Automaton,
    readonly id: number,
    stacks: readonly Stack[],
  ) {
    this.accepts = stacks.some(({ top }) => top === undefined)
    this.ways = stacks.filter(({ top }) => top !== undefined)
  }

  /** Where a symbol leads; undefined where none of the grammar's texts goes on so. */
  step(symbol: TextSymbol): State | undefined {
    if (symbol > 255) return this.stepToken(symbol)
    const known = this.next[symbol]
    if (known !== undefined) return known ?? undefined
    const found = this.find(symbol)
    this.next[symbol] = found ?? null
    return found
  }

  /** The whole tokens that may come next, by their symbols. */
  tokens(): readonly TextSymbol[] {
    return [...new Set(this.ways.flatMap(({ top }) => (top as Terminal).token ?? []))]
  }

  private stepToken(symbol: TextSymbol): State | undefined {
    if (!this.tokenWays.has(symbol)) this.tokenWays.set(symbol, this.find(symbol))
    return this.tokenWays.get(symbol)
  }

  private find(symbol: TextSymbol): State | undefined {
    const reached = new Reached()
    for (const { top, rest } of this.ways) (top as Terminal).take(symbol, rest!, reached)
    return this.automaton.stateOf(reached)
  }
}

/** All states of a grammar that texts have come to so far. */
export class Automaton {
  readonly start: State
  private readonly states = new Map<string, State>()

  /** @throws InvalidOptionError if no text is of the grammar */
  constructor(grammar: Expression) {
    const reached = new Reached()
    grammar.enter(new Stack(), reached)
    const start = this.stateOf(reached)
    if (start === undefined)
      throw new InvalidOptionError('the constraint allows no text at all; ask for something that can be written')
    this.start = start
  }

  /** How many there are. */
  get size(): number {
    return this.states.size
  }

  /** @internal The state of these stacks; undefined of none. @throws InvalidOptionError if they are too many */
  stateOf({ stacks }: Reached): State | undefined {
    if (stacks.size === 0) return undefined
    if (stacks.size > MOST_STACKS)
      throw new InvalidOptionError(
        `the constraint can be read in more than ${MOST_STACKS} ways at once; make its alternatives and nested counts fewer`,
      )
    const sorted = [...stacks].sort((a, b) => a.id - b.id)
    const key = sorted.map(({ id }) => id).join()
    let state = this.states.get(key)
    if (state === undefined) this.states.set(key, (state = new State(this, this.states.size, sorted)))
    return state
  }
}

/** @file Parts of a text that a program follows rather than a grammar: what two grammars both allow, or one but not the other. */
import { Automaton, type State } from './automaton.js'
import { never, Terminal, type Expression, type Reached, type Stack, type TextSymbol } from './expression.js'

/** A part of a text, read so far. Machines in the same state are the same object, and each can come to an end. */
export abstract class Machine extends Terminal {
  /** Whether it may end here. */
  abstract readonly accepts: boolean

  /** What it is after a symbol; undefined where that leads to no end. */
  abstract step(symbol: TextSymbol): Machine | undefined

  override enter(rest: Stack, reached: Reached): void {
    if (this.accepts) reached.resume(rest)
    super.enter(rest, reached)
  }

  override take(symbol: TextSymbol, rest: Stack, reached: Reached): void {
    this.step(symbol)?.enter(rest, reached)
  }
}

/** Two grammars of bytes, read side by side. */
class Pair extends Machine {
  readonly accepts: boolean
  private readonly next = new Map<TextSymbol, Pair | undefined>()

  constructor(
    private readonly pairs: Pairs,
    private readonly first: State,
    private readonly second: State | undefined,
  ) {
    super()
    this.accepts = first.accepts && (second?.accepts ?? false) !== pairs.without
  }

  override step(symbol: TextSymbol): Pair | undefined {
    if (!this.next.has(symbol)) {
      const found = this.reach(symbol)
      this.next.set(symbol, found?.isLive === true ? found : undefined)
    }
    return this.next.get(symbol)
  }

  /** Whether some text leads to an end. */
  get isLive(): boolean {
    return this.pairs.ends(this)
  }

  /** @internal After a symbol, whether or not that can end. */
  reach(symbol: TextSymbol): Pair | undefined {
    const first = this.first.step(symbol)
    return first && this.pairs.of(first, this.second?.step(symbol))
  }
}

class Pairs {
  private readonly known = new Map<string, Pair>()
  private readonly verdicts = new Map<Pair, boolean>()

  /** @param without whether what the second reads is left out, in place of what it does not */
  constructor(readonly without: boolean) {}

  of(first: State, second: State | undefined): Pair | undefined {
    if (second === undefined && !this.without) return undefined
    const key = `${first.id}/${second?.id ?? ''}`
    let pair = this.known.get(key)
    if (pair === undefined) this.known.set(key, (pair = new Pair(this, first, second)))
    return pair
  }

  /** All that is reached from a pair is looked at until one accepts; those on the way there end too, and if none does, none of them. */
  ends(start: Pair): boolean {
    const verdict = this.verdicts.get(start)
    if (verdict !== undefined) return verdict
    const from = new Map<Pair, Pair | undefined>([[start, undefined]])
    for (const pair of from.keys()) {
      if (pair.accepts || this.verdicts.get(pair) === true) {
        for (let on: Pair | undefined = pair; on !== undefined; on = from.get(on)) this.verdicts.set(on, true)
        return true
      }
      for (let byte = 0; byte < 256; byte++) {
        const next = pair.reach(byte)
        if (next !== undefined && !from.has(next) && this.verdicts.get(next) !== false) from.set(next, pair)
      }
    }
    for (const pair of from.keys()) this.verdicts.set(pair, false)
    return false
  }
}

function pair(first: Expression, second: Expression, without: boolean): Expression {
  if (first === never || second === never) return without ? first : never
  const start = new Pairs(without).of(new Automaton(first).start, new Automaton(second).start)!
  return start.isLive ? start : never
}

/** What both allow, of bytes alone; {@link never} if that is nothing. */
export const both = (first: Expression, second: Expression): Expression => pair(first, second, false)

/** What the first allows and the second does not, of bytes alone; {@link never} if that is nothing. */
export const except = (first: Expression, second: Expression): Expression => pair(first, second, true)

const encoder = new TextEncoder()

/** Whether a text is of a grammar. */
export function accepts(grammar: Expression, text: string): boolean {
  if (grammar === never) return false
  let state: State | undefined = new Automaton(grammar).start
  for (const byte of encoder.encode(text)) state = state?.step(byte)
  return state?.accepts === true
}

/**
 * @file What texts are made of, as a grammar says it: bytes and whole tokens, one after another, one of several, again and again. A text
 * is followed by stacks of what is still to come, which are built as they are needed, so that grammars may be recursive and counts large.
 */

/** A byte, or from {@link FIRST_TOKEN} on a token that stands for no bytes. */
export type TextSymbol = number

/** The symbol of token 0. */
export const FIRST_TOKEN = 256

/** The stacks that are reached at a place of a text; each begins with what takes the next symbol. */
export class Reached {
  readonly stacks = new Set<Stack>()
  private readonly resumed = new Set<Stack>()

  add(stack: Stack): void {
    this.stacks.add(stack)
  }

  /** Goes on with what a stack begins with; once, however many ways lead there. */
  resume(stack: Stack): void {
    if (stack.top === undefined) this.stacks.add(stack)
    else if (!this.resumed.has(stack)) {
      this.resumed.add(stack)
      stack.top.enter(stack.rest!, this)
    }
  }
}

/** Some of a text. Equal ones need not be the same object, but the fewer there are, the more is found again. */
export abstract class Expression {
  /** Finds what of it may take the next symbol, and goes on with the rest where it may be nothing. */
  abstract enter(rest: Stack, reached: Reached): void

  /** Whether it can come to an end, as far as it is known of rules. */
  abstract ends(known: Known): boolean
}

/** Which expressions can come to an end. A rule can once it is found out that its body can. */
export class Known {
  private readonly found = new Map<Expression, boolean>()

  constructor(private readonly rules: ReadonlySet<Expression>) {}

  ends(expression: Expression): boolean {
    let ends = this.found.get(expression)
    if (ends === undefined) this.found.set(expression, (ends = this.rules.has(expression) || expression.ends(this)))
    return ends
  }
}

/** What takes a symbol. */
export abstract class Terminal extends Expression {
  override enter(rest: Stack, reached: Reached): void {
    reached.add(rest.push(this))
  }

  override ends(): boolean {
    return true
  }

  /** Takes a symbol, if it may be one of its own, and finds what may take the next. */
  abstract take(symbol: TextSymbol, rest: Stack, reached: Reached): void

  /** The symbol of a whole token that it waits for. */
  get token(): TextSymbol | undefined {
    return undefined
  }
}

/** What is still to come, the next thing on top. The same things in the same order are the same object. */
export class Stack {
  private static count = 0
  readonly id = Stack.count++
  private readonly above = new Map<Expression, Stack>()

  /** Without arguments: nothing more is to come. */
  constructor(
    readonly top?: Expression,
    readonly rest?: Stack,
  ) {}

  push(top: Expression): Stack {
    let stack = this.above.get(top)
    if (stack === undefined) this.above.set(top, (stack = new Stack(top, this)))
    return stack
  }
}

class Nothing extends Expression {
  override enter(rest: Stack, reached: Reached): void {
    reached.resume(rest)
  }

  override ends(): boolean {
    return true
  }
}

class SymbolRange extends Terminal {
  constructor(
    private readonly first: TextSymbol,
    private readonly last: TextSymbol,
  ) {
    super()
  }

  override take(symbol: TextSymbol, rest: Stack, reached: Reached): void {
    if (symbol >= this.first && symbol <= this.last) reached.resume(rest)
  }

  override get token(): TextSymbol | undefined {
    return this.first >= FIRST_TOKEN ? this.first : undefined
  }
}

class Then extends Expression {
  constructor(
    private readonly first: Expression,
    private readonly second: Expression,
  ) {
    super()
  }

  override enter(rest: Stack, reached: Reached): void {
    this.first.enter(rest.push(this.second), reached)
  }

  override ends(known: Known): boolean {
    return known.ends(this.first) && known.ends(this.second)
  }
}

class Either extends Expression {
  constructor(readonly options: readonly Expression[]) {
    super()
  }

  override enter(rest: Stack, reached: Reached): void {
    for (const option of this.options) option.enter(rest, reached)
  }

  override ends(known: Known): boolean {
    return this.options.some((option) => known.ends(option))
  }
}

class Repeat extends Expression {
  private less: Expression | undefined

  constructor(
    private readonly body: Expression,
    private readonly min: number,
    private readonly max: number,
  ) {
    super()
  }

  override enter(rest: Stack, reached: Reached): void {
    if (this.min === 0) reached.resume(rest)
    if (this.max > 0) this.body.enter(rest.push(this.oneLess()), reached)
  }

  override ends(known: Known): boolean {
    return this.min === 0 || known.ends(this.body)
  }

  private oneLess(): Expression {
    this.less ??= this.min === 0 && this.max === Infinity ? this : repeat(this.body, Math.max(0, this.min - 1), this.max - 1)
    return this.less
  }
}

export class Rule extends Expression {
  private body: Expression | undefined

  constructor(private readonly make: () => Expression) {
    super()
  }

  override enter(rest: Stack, reached: Reached): void {
    this.made.enter(rest, reached)
  }

  /** Not before the rule is known to end. */
  override ends(): boolean {
    return false
  }

  get made(): Expression {
    this.body ??= this.make()
    return this.body
  }
}

/** No symbol at all. */
export const nothing: Expression = new Nothing()

/** What no text is. */
export const never: Expression = new Either([])

const bytes = new Map<number, Expression>()

/** One byte of a range. */
export function byteRange(first: number, last: number): Expression {
  const key = first * 256 + last
  let range = bytes.get(key)
  if (range === undefined) bytes.set(key, (range = new SymbolRange(first, last)))
  return range
}

/** A token that stands for no bytes, as a whole. */
export const wholeToken = (id: number): Expression => new SymbolRange(FIRST_TOKEN + id, FIRST_TOKEN + id)

/** One after another. */
export const sequence = (...parts: readonly Expression[]): Expression =>
  parts.includes(never)
    ? never
    : parts
        .filter((part) => part !== nothing)
        .reduceRight((later, part) => (later === nothing ? part : new Then(part, later)), nothing)

/** One of several. */
export function either(...options: readonly Expression[]): Expression {
  const flat = new Set(options.flatMap((option) => (option instanceof Either ? option.options : [option])))
  return flat.size === 0 ? never : flat.size === 1 ? [...flat][0]! : new Either([...flat])
}

/** At least `min` and at most `max` times. */
export const repeat = (body: Expression, min = 0, max = Infinity): Expression =>
  max <= 0 || body === nothing
    ? nothing
    : body === never
      ? min === 0
        ? nothing
        : never
      : min === 1 && max === 1
        ? body
        : new Repeat(body, min, max)

/** There or not. */
export const optional = (body: Expression): Expression => either(nothing, body)

/** What is made when it is needed: by this a grammar is recursive. It must begin with a symbol before it comes to itself again. */
export const rule = (make: () => Expression): Rule => new Rule(make)

/** Whether some text of an expression has an end. @param rules those that it may come to, but for rules that surely end */
export function canEnd(expression: Expression, rules: readonly Rule[]): boolean {
  const ending = new Set<Expression>()
  for (;;) {
    const known = new Known(ending)
    if (known.ends(expression)) return true
    const more = rules.filter((each) => !ending.has(each) && known.ends(each.made))
    if (more.length === 0) return false
    for (const each of more) ending.add(each)
  }
}

const encoder = new TextEncoder()

/** Exactly these bytes, or those of a text. */
export const literal = (content: string | Uint8Array): Expression =>
  sequence(...Array.from(typeof content === 'string' ? encoder.encode(content) : content, (byte) => byteRange(byte, byte)))

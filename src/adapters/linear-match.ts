/**
 * @file Matching in time proportional to pattern and text (Thompson, 1968): all ways through the pattern are followed at
 * once, so patterns of strangers cannot make it backtrack. For those without back-references and lookaround; what a group
 * captured is not known.
 */

/** Most states of a pattern; a counted repetition is written out. */
const MAX_STATES = 50_000

type Assertion = 'start' | 'end' | 'boundary' | 'inside'

type State =
  | { readonly kind: 'char'; readonly test: (char: string) => boolean; next: number }
  | { readonly kind: 'split'; next: number; other: number }
  | { readonly kind: 'assert'; readonly what: Assertion; next: number }
  | { readonly kind: 'match' }

/** Leaves the pattern as soon as it turns out not to be expressible. */
class Inexpressible extends Error {}

type Node =
  | { readonly kind: 'char'; readonly test: (char: string) => boolean }
  | { readonly kind: 'assert'; readonly what: Assertion }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number }

const ASSERTIONS: Readonly<Record<string, Assertion>> = {
  '(?<![^])': 'start',
  '(?![^])': 'end',
  '^': 'start',
  $: 'end',
  '\\b': 'boundary',
  '\\B': 'inside',
}

const TOKEN =
  /\(\?<!\[\^\]\)|\(\?!\[\^\]\)|\(\?(?:[:=!]|<[=!]|<\w+>)|\\(?:k<\w+>|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^])|\[(?:\\[^]|[^\]\\])*\]|[^]/y

/** Reads a pattern of JavaScript, as `pythonRegex` writes it. */
class Parser {
  private at = 0
  private readonly tests = new Map<string, (char: string) => boolean>()

  constructor(
    private readonly source: string,
    private readonly flags: string,
  ) {}

  parse(): Node {
    const node = this.choice()
    if (this.at < this.source.length) throw new Inexpressible()
    return node
  }

  private peek(): string {
    TOKEN.lastIndex = this.at
    return TOKEN.exec(this.source)?.[0] ?? ''
  }

  private choice(): Node {
    const parts = [this.sequence()]
    while (this.source[this.at] === '|') {
      this.at++
      parts.push(this.sequence())
    }
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts }
  }

  private sequence(): Node {
    const parts: Node[] = []
    while (this.at < this.source.length && this.source[this.at] !== '|' && this.source[this.at] !== ')')
      parts.push(this.repeated(this.atom()))
    return { kind: 'sequence', parts }
  }

  private atom(): Node {
    const token = this.peek()
    this.at += token.length
    const what = ASSERTIONS[token]
    if (what !== undefined) {
      // Lines within a text are not looked for.
      if ((token === '^' || token === '$') && this.flags.includes('m')) throw new Inexpressible()
      return { kind: 'assert', what }
    }
    if (/^\((?:\?:|\?<\w+>)?$/.test(token)) {
      const inner = this.choice()
      if (this.source[this.at] !== ')') throw new Inexpressible()
      this.at++
      return inner
    }
    // Lookaround and back-references.
    if (token.startsWith('(?') || /^\\(?:[1-9]|k<)/.test(token)) throw new Inexpressible()
    return { kind: 'char', test: this.testOf(token) }
  }

  private repeated(part: Node): Node {
    const quantifier = /^(?:[*+?]|\{(\d+)(,(\d*))?\})\??/.exec(this.source.slice(this.at, this.at + 24))
    if (quantifier === null) return part
    const [text, low, comma, high] = quantifier
    this.at += text.length
    const [min, max] =
      low === undefined
        ? ({ '*': [0, Infinity], '+': [1, Infinity], '?': [0, 1] } as const)[text[0] as '*' | '+' | '?']
        : [Number(low), comma === undefined ? Number(low) : high === '' ? Infinity : Number(high)]
    return { kind: 'repeat', part, min, max }
  }

  /** Whether a character is what a token stands for, remembered by character. */
  private testOf(token: string): (char: string) => boolean {
    const known = this.tests.get(token)
    if (known !== undefined) return known
    const regex = new RegExp(`^${token}$`, this.flags.replace('m', ''))
    const answers = new Map<string, boolean>()
    const test = (char: string): boolean => {
      let answer = answers.get(char)
      if (answer === undefined) answers.set(char, (answer = regex.test(char)))
      return answer
    }
    this.tests.set(token, test)
    return test
  }
}

/** The states of a pattern; the last is the match. */
function statesOf(root: Node): State[] {
  const states: State[] = []
  const add = (state: State): number => {
    if (states.length >= MAX_STATES) throw new Inexpressible()
    return states.push(state) - 1
  }
  /** Writes a node whose continuation is the state that comes next. */
  const write = (node: Node): void => {
    switch (node.kind) {
      case 'char':
      case 'assert':
        add({ ...node, next: states.length + 1 })
        break
      case 'sequence':
        for (const part of node.parts) write(part)
        break
      case 'choice': {
        const ends: { next: number }[] = []
        node.parts.forEach((part, i) => {
          const isLast = i === node.parts.length - 1
          const split = { kind: 'split' as const, next: states.length + 1, other: 0 }
          if (!isLast) add(split)
          write(part)
          if (isLast) return
          const end = { kind: 'split' as const, next: 0, other: -1 }
          add(end)
          ends.push(end)
          split.other = states.length
        })
        for (const end of ends) end.next = states.length
        break
      }
      case 'repeat': {
        for (let i = 0; i < node.min; i++) write(node.part)
        if (node.max === Infinity) {
          const split = { kind: 'split' as const, next: states.length + 1, other: 0 }
          const start = add(split)
          write(node.part)
          add({ kind: 'split', next: start, other: -1 })
          split.other = states.length
          break
        }
        const splits: { other: number }[] = []
        for (let i = node.min; i < node.max; i++) {
          const split = { kind: 'split' as const, next: states.length + 1, other: 0 }
          add(split)
          splits.push(split)
          write(node.part)
        }
        for (const split of splits) split.other = states.length
      }
    }
  }
  write(root)
  add({ kind: 'match' })
  return states
}

const isWord = (char: string | undefined): boolean => char !== undefined && /\w/.test(char)

function holds(what: Assertion, text: string, at: number): boolean {
  if (what === 'start') return at === 0
  if (what === 'end') return at === text.length
  return (isWord(text[at - 1]) !== isWord(text[at])) === (what === 'boundary')
}

/**
 * A matcher for a pattern that begins at the start of the text.
 * @param source a valid pattern of JavaScript, in the constructs that `pythonRegex` lets through
 * @param whole whether the pattern must end where the text does
 * @returns undefined for a pattern with back-references or lookaround, or one that is too long when written out
 */
export function linearMatcher(source: string, flags: string, whole: boolean): ((text: string) => boolean) | undefined {
  let states: readonly State[]
  try {
    states = statesOf(new Parser(source, flags).parse())
  } catch (error) {
    if (error instanceof Inexpressible) return undefined
    throw error
  }
  const seen = new Int32Array(states.length)
  let round = 0
  return (text) => {
    let current: number[] = []
    /** Follows what takes no character. @returns whether the pattern is at its end */
    const follow = (first: number, at: number, into: number[]): boolean => {
      const open = [first]
      while (open.length > 0) {
        const index = open.pop()!
        if (seen[index] === round) continue
        seen[index] = round
        const state = states[index]!
        if (state.kind === 'match') {
          if (!whole || at === text.length) return true
        } else if (state.kind === 'char') into.push(index)
        else if (state.kind === 'split') {
          open.push(state.next)
          if (state.other >= 0) open.push(state.other)
        } else if (holds(state.what, text, at)) open.push(state.next)
      }
      return false
    }
    round++
    if (follow(0, 0, current)) return true
    for (let at = 0; at < text.length && current.length > 0; at++) {
      const next: number[] = []
      round++
      for (const index of current) {
        const state = states[index]!
        if (state.kind === 'char' && state.test(text[at]!) && follow(state.next, at + 1, next)) return true
      }
      current = next
    }
    return false
  }
}

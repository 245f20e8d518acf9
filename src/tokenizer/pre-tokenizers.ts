/** @file Pre-tokenizers of tokenizer.json: where a text may not be joined to tokens. */
import { asByteCharacters } from './bytes.js'
import { byType, type Component } from './json.js'
import { behaviors, EachOf, FixedText, Inverted, Pattern, piecesOf, type Behavior, type Cutter } from './pattern/pattern.js'
import { pointwise, rewriteTraced, sliceTraced, type Traced } from './traced.js'
import { groupsOfScripts, rustWord, setNamed, whiteSpace } from './unicode/code-points.js'

/** A text in pieces, none of them empty. */
export interface Pieces {
  readonly texts: readonly string[]
  /** Whether the first piece begins where the whole text begins. */
  readonly fromStart: boolean
}

/** As {@link Pieces}, of texts that remember where they come from. */
export interface TracedPieces {
  readonly texts: readonly Traced[]
  readonly fromStart: boolean
}

export interface PreTokenizer {
  split(pieces: Pieces): Pieces
  /** The same of texts that remember where they come from. */
  trace(pieces: TracedPieces): TracedPieces
  /** Whether it asks where the whole text begins. */
  readonly asksForStart?: boolean
}

/** @throws InvalidDataError naming a type that is not known, or a field that is wrong */
export function createPreTokenizer(component: Component): PreTokenizer {
  return byType(component, 'pre-tokenizer', makers)
}

const makers: Readonly<Record<string, (component: Component) => PreTokenizer>> = {
  Sequence: (c) => sequence(c.parts('pretokenizers').map(createPreTokenizer)),
  BertPreTokenizer: () =>
    sequence([cutting(new EachOf(whiteSpace), 'Removed'), cutting(new EachOf(setNamed('rust_punctuation')), 'Isolated')]),
  ByteLevel: byteLevel,
  CharDelimiterSplit: (c) => cutting(new FixedText(c.character('delimiter')), 'Removed'),
  Digits: (c) => cutting(new EachOf(setNamed('rust_numeric')), c.flag('individual_digits') ? 'Isolated' : 'Contiguous'),
  FixedLength: fixedLength,
  Metaspace: metaspace,
  Punctuation: (c) => cutting(new EachOf(setNamed('rust_punctuation')), behaviorOf(c, 'Isolated')),
  Split: (c) => {
    const cutter = c.pattern('pattern')
    return cutting(c.flag('invert') ? new Inverted(cutter) : cutter, behaviorOf(c))
  },
  UnicodeScripts: () => each(byScript),
  Whitespace: () => each(words),
  WhitespaceSplit: () => cutting(new EachOf(whiteSpace), 'Removed'),
}

function behaviorOf(c: Component, otherwise?: Behavior): Behavior {
  const name = c.text('behavior', otherwise)
  return (
    behaviors.find((behavior) => behavior === name) ??
    c.refuse(`"behavior" must be one of ${behaviors.join(', ')}, found "${name}".`)
  )
}

const sequence = (parts: readonly PreTokenizer[]): PreTokenizer => ({
  split: (pieces) => parts.reduce((done, part) => part.split(done), pieces),
  trace: (pieces) => parts.reduce((done, part) => part.trace(done), pieces),
  asksForStart: parts.some((part) => part.asksForStart === true),
})

/** Cuts each piece by itself. */
function each(cut: (text: string) => readonly { readonly start: number; readonly end: number }[]): PreTokenizer {
  const splitting =
    <T>(textOf: (piece: T) => string, slice: (piece: T, start: number, end: number) => T) =>
    ({ texts, fromStart }: { readonly texts: readonly T[]; readonly fromStart: boolean }) => {
      const out: T[] = []
      let begins = false
      texts.forEach((text, i) => {
        for (const { start, end } of cut(textOf(text))) {
          if (start === end) continue
          if (i === 0 && start === 0) begins = fromStart
          out.push(slice(text, start, end))
        }
      })
      return { texts: out, fromStart: begins }
    }
  return {
    split: splitting(
      (text: string) => text,
      (text, start, end) => text.slice(start, end),
    ),
    trace: splitting((piece: Traced) => piece.text, sliceTraced),
  }
}

const cutting = (cutter: Cutter, behavior: Behavior): PreTokenizer => each((text) => piecesOf(cutter.cut(text), behavior))

/** Pieces, each made anew: something before it, and each of its characters as it is made by itself. */
const mapped = (
  before: (text: string, isStart: boolean) => string,
  map: (text: string) => string = (text) => text,
): PreTokenizer => ({
  split: ({ texts, fromStart }) => ({
    texts: texts.map((text, i) => before(text, i === 0 && fromStart) + map(text)),
    fromStart,
  }),
  trace: ({ texts, fromStart }) => ({
    texts: texts.map((piece, i) => {
      const { text, starts, ends } = pointwise(piece, map)
      const added = rewriteTraced(piece, [{ start: 0, end: 0, text: before(piece.text, i === 0 && fromStart) }])
      return { text: added.text + text, starts: [...added.starts, ...starts], ends: [...added.ends, ...ends] }
    }),
    fromStart,
  }),
})

const nothing = (): string => ''

/** GPT-2's words. */
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

function byteLevel(c: Component): PreTokenizer {
  const steps: PreTokenizer[] = []
  if (c.flag('add_prefix_space')) steps.push(mapped((text) => (text.startsWith(' ') ? '' : ' ')))
  if (c.flag('use_regex', true)) steps.push(cutting(new Pattern(gpt2), 'Isolated'))
  return sequence([...steps, mapped(nothing, asByteCharacters)])
}

function metaspace(c: Component): PreTokenizer {
  const mark = c.character('replacement')
  let scheme = c.text('prepend_scheme', 'always')
  if (!['always', 'first', 'never'].includes(scheme))
    c.refuse(`"prepend_scheme" must be always, first or never, found "${scheme}".`)
  if (c.has('add_prefix_space') && !c.flag('add_prefix_space')) {
    if (c.has('prepend_scheme') && scheme !== 'never') c.refuse('"add_prefix_space" is false, but "prepend_scheme" is not never.')
    scheme = 'never'
  }
  const marked = mapped(
    (text, isStart) => {
      const wanted = scheme === 'always' || (scheme === 'first' && isStart)
      return wanted && !text.startsWith(' ') && !text.startsWith(mark) ? mark : ''
    },
    (text) => text.split(' ').join(mark),
  )
  const steps = c.flag('split', true) ? [marked, cutting(new FixedText(mark), 'MergedWithNext')] : [marked]
  return { ...sequence(steps), asksForStart: scheme === 'first' }
}

function fixedLength(c: Component): PreTokenizer {
  const length = c.count('length', 5)
  if (length === 0) c.refuse('"length" must be at least 1.')
  return each((text) => {
    const pieces: { start: number; end: number }[] = []
    let [start, count] = [0, 0]
    for (let at = 0; at < text.length;) {
      at += text.codePointAt(at)! > 0xffff ? 2 : 1
      if (++count < length) continue
      pieces.push({ start, end: at })
      ;[start, count] = [at, 0]
    }
    if (start < text.length) pieces.push({ start, end: text.length })
    return pieces
  })
}

/** Runs of a word's characters, and runs of others that are no white space. */
function words(text: string): { start: number; end: number }[] {
  const letters = rustWord()
  const pieces: { start: number; end: number }[] = []
  let before: 'space' | 'word' | 'other' = 'space'
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at)!
    const end = at + (point > 0xffff ? 2 : 1)
    const kind = letters.has(point) ? 'word' : whiteSpace.has(point) ? 'space' : 'other'
    if (kind !== 'space') {
      if (kind === before) pieces.at(-1)!.end = end
      else pieces.push({ start: at, end })
    }
    before = kind
    at = end
  }
  return pieces
}

/** Scripts of characters by number; 0 for those that go with any. */
let scriptOf: ((point: number) => number) | undefined

/** Runs of one script. What goes with any script before the first of one is lost, as in Python's library. */
function byScript(text: string): { start: number; end: number }[] {
  if (scriptOf === undefined) {
    const groups = groupsOfScripts()
    const known = new Map<number, number>()
    scriptOf = (point) => {
      let found = known.get(point)
      if (found === undefined) known.set(point, (found = groups.findIndex((group) => group.has(point)) + 1))
      return found
    }
  }
  const starts: number[] = []
  let last = -1
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at)!
    const script = scriptOf(point)
    if (script !== 0 && script !== last) starts.push(at)
    if (script !== 0) last = script
    at += point > 0xffff ? 2 : 1
  }
  return starts.map((start, i) => ({ start, end: starts[i + 1] ?? text.length }))
}

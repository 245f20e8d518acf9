/** @file Pre-tokenizers of tokenizer.json: where a text may not be joined to tokens. */
import { asByteCharacters } from './bytes.js'
import { byType, type Component } from './json.js'
import { behaviors, EachOf, FixedText, Inverted, Pattern, piecesOf, type Behavior, type Cutter } from './pattern/pattern.js'
import { groupsOfScripts, rustWord, setNamed, whiteSpace } from './unicode/code-points.js'

/** A text in pieces, none of them empty. */
export interface Pieces {
  readonly texts: readonly string[]
  /** Whether the first piece begins where the whole text begins. */
  readonly fromStart: boolean
}

export interface PreTokenizer {
  split(pieces: Pieces): Pieces
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
  asksForStart: parts.some((part) => part.asksForStart === true),
})

/** Cuts each piece by itself. */
function each(cut: (text: string) => readonly { readonly start: number; readonly end: number }[]): PreTokenizer {
  return {
    split: ({ texts, fromStart }) => {
      const out: string[] = []
      let begins = false
      texts.forEach((text, i) => {
        for (const { start, end } of cut(text)) {
          if (start === end) continue
          if (i === 0 && start === 0) begins = fromStart
          out.push(text.slice(start, end))
        }
      })
      return { texts: out, fromStart: begins }
    },
  }
}

const cutting = (cutter: Cutter, behavior: Behavior): PreTokenizer => each((text) => piecesOf(cutter.cut(text), behavior))

/** Pieces, each made anew. */
const mapped = (map: (text: string, isStart: boolean) => string): PreTokenizer => ({
  split: ({ texts, fromStart }) => ({ texts: texts.map((text, i) => map(text, i === 0 && fromStart)), fromStart }),
})

/** GPT-2's words. */
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

function byteLevel(c: Component): PreTokenizer {
  const steps: PreTokenizer[] = []
  if (c.flag('add_prefix_space')) steps.push(mapped((text) => (text.startsWith(' ') ? text : ` ${text}`)))
  if (c.flag('use_regex', true)) steps.push(cutting(new Pattern(gpt2), 'Isolated'))
  return sequence([...steps, mapped(asByteCharacters)])
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
  const marked = mapped((text, isStart) => {
    const replaced = text.replaceAll(' ', () => mark)
    const wanted = scheme === 'always' || (scheme === 'first' && isStart)
    return wanted && !replaced.startsWith(mark) ? mark + replaced : replaced
  })
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

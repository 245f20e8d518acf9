/** @file Segments as words, each text split once: references of one input stand in many segments. */
import { ngrams } from './ngrams.js'
import type { Segment } from './segment.js'
import { choice, toggle } from '../util/option-kinds.js'
import { resolveOptions, type OptionTable } from '../util/option-table.js'
import { tokenizerNames, tokenizers, type TokenizerName } from './tokenize/tokenizers.js'

/** A text as words, and its n-grams once they were asked for. */
export class PreparedText {
  private readonly grams: (readonly string[] | undefined)[] = []

  constructor(readonly tokens: readonly string[]) {}

  /** The n-grams of one order, in their order. */
  ngrams(n: number): readonly string[] {
    return (this.grams[n] ??= ngrams(this.tokens, n))
  }
}

/** A segment whose texts are words. */
export interface PreparedSegment {
  readonly hypothesis: PreparedText
  readonly references: readonly PreparedText[]
}

/** How texts become words. */
export interface TextOptions {
  /** How a text is split; each metric has its own default. */
  readonly tokenizer?: TokenizerName
  /** Whether letters are made small before the text is split; each metric has its own default. */
  readonly lowercase?: boolean
}

/** How texts became words, as a result says it. */
export interface TextSettings {
  /** How texts were split. */
  readonly tokenizer: TokenizerName
  /** Whether letters were made small. */
  readonly lowercase: boolean
}

/** Options with a metric's defaults. @throws InvalidOptionError for one that is unknown or none of its values */
export const settingsOf = (given: TextOptions, metric: string, defaults: TextSettings): TextSettings =>
  resolveOptions(textOptionTable(defaults), given, metric)

/** The options of words, with a metric's defaults. */
export const textOptionTable = ({ tokenizer, lowercase }: TextSettings) =>
  ({
    tokenizer: { is: choice(tokenizerNames), default: tokenizer },
    lowercase: { is: toggle, default: lowercase },
  }) as const satisfies OptionTable<TextOptions>

/** Splits the texts of all segments, equal ones once. */
export function prepare(segments: readonly Segment[], { tokenizer, lowercase }: TextSettings): PreparedSegment[] {
  const split = tokenizers[tokenizer]
  const known = new Map<string, PreparedText>()
  const prepared = (text: string): PreparedText => {
    const before = known.get(text)
    if (before !== undefined) return before
    const made = new PreparedText(split(lowercase ? text.toLowerCase() : text))
    known.set(text, made)
    return made
  }
  return segments.map(({ hypothesis, references }) => ({
    hypothesis: prepared(hypothesis),
    references: references.map(prepared),
  }))
}

/** @file Tokens beside the vocabulary: special ones, and those that were added later; each is found in a text as a whole. */
import { isCount, type Component } from './json.js'
import { PrefixTree } from './models/prefix-tree.js'
import type { TokenModel } from './models/vocabulary.js'
import { rustWord, whiteSpace } from './unicode/code-points.js'

/** As tokenizer.json and `added_tokens_decoder` of tokenizer_config.json write it. */
export interface AddedToken {
  readonly content: string
  /** Found only where no character of a word stands beside it. */
  readonly singleWord: boolean
  /** Takes the white space before it. */
  readonly lstrip: boolean
  /** Takes the white space behind it. */
  readonly rstrip: boolean
  /** Looked for in the normalised text, itself normalised. */
  readonly normalized: boolean
  /** Left out where special tokens are skipped. */
  readonly special: boolean
}

/** Reads one. @throws InvalidDataError naming a field that is wrong */
export function readAddedToken(c: Component): AddedToken {
  const special = c.flag('special', false)
  return {
    content: c.text('content'),
    singleWord: c.flag('single_word', false),
    lstrip: c.flag('lstrip', false),
    rstrip: c.flag('rstrip', false),
    normalized: c.flag('normalized', !special),
    special,
  }
}

/** A stretch of text: a token, or what lies between. */
export interface Section {
  readonly start: number
  readonly end: number
  readonly id: number | undefined
}

export class AddedTokens {
  private readonly byId = new Map<number, AddedToken>()
  private readonly byContent = new Map<string, number>()
  /** Texts as decoding gives them. */
  private readonly texts = new Map<number, string>()
  private readonly specials = new Set<string>()
  private plain: Finder | undefined
  private normal: Finder | undefined

  /** @param keepsSpecials special tokens in a text are text: `split_special_tokens` */
  constructor(
    private readonly model: TokenModel,
    private readonly normalize: (text: string) => string,
    private readonly keepsSpecials: boolean,
  ) {}

  /**
   * Adds tokens in order. One that the vocabulary has keeps its id there; the others are numbered on from the highest id,
   * whatever the file says, as in Python's library.
   */
  add(tokens: readonly AddedToken[]): void {
    let next = Math.max(this.model.size, ...[...this.byId.keys()].map((id) => id + 1))
    for (const token of tokens) {
      if (token.content === '') continue
      const id = this.idOf(token.content) ?? next++
      this.byContent.set(token.content, id)
      this.byId.set(id, token)
      this.texts.set(id, token.normalized ? this.normalize(token.content) : token.content)
      if (token.special) this.specials.add(token.content)
    }
    const finder = (normalized: boolean): Finder | undefined => {
      const wanted = [...this.byId].filter(([, token]) => token.normalized === normalized)
      return wanted.length === 0 ? undefined : new Finder(wanted.map(([id]) => [this.texts.get(id)!, id]))
    }
    this.plain = finder(false)
    this.normal = finder(true)
  }

  /** Number of tokens, together with the vocabulary's. */
  get size(): number {
    return this.model.size + [...this.byContent.keys()].filter((content) => this.model.idOf(content) === undefined).length
  }

  idOf(content: string): number | undefined {
    return this.byContent.get(content) ?? this.model.idOf(content)
  }

  get(id: number): AddedToken | undefined {
    return this.byId.get(id)
  }

  has(content: string): boolean {
    return this.byContent.has(content)
  }

  /** Text of an added token; normalised where it is looked for in normalised text. */
  textOf(id: number): string | undefined {
    return this.texts.get(id)
  }

  isSpecial(text: string): boolean {
    return this.specials.has(text)
  }

  /** Cuts a text at the tokens that are looked for in it as it is, or once normalised. */
  cut(text: string, normalized: boolean): Section[] {
    const finder = normalized ? this.normal : this.plain
    if (finder === undefined || text === '') return text === '' ? [] : [{ start: 0, end: text.length, id: undefined }]
    const sections: Section[] = []
    let done = 0
    for (const found of finder.find(text)) {
      const token = this.byId.get(found.id)!
      if (this.keepsSpecials && this.specials.has(token.content)) continue
      let { start, end } = found
      if (token.singleWord && (wordBefore(text, start) || wordBehind(text, end))) continue
      // White space lies in the basic plane: one unit each.
      if (token.lstrip) while (start > done && whiteSpace.has(text.charCodeAt(start - 1))) start--
      if (token.rstrip) while (end < text.length && whiteSpace.has(text.charCodeAt(end))) end++
      if (done < start) sections.push({ start: done, end: start, id: undefined })
      sections.push({ start, end, id: found.id })
      done = end
    }
    if (done < text.length) sections.push({ start: done, end: text.length, id: undefined })
    return sections
  }
}

function wordBefore(text: string, at: number): boolean {
  if (at === 0) return false
  const low = text.charCodeAt(at - 1)
  const point = (low & 0xfc00) === 0xdc00 && at > 1 ? text.codePointAt(at - 2)! : low
  return rustWord().has(point)
}

const wordBehind = (text: string, at: number): boolean => at < text.length && rustWord().has(text.codePointAt(at)!)

/** The longest of several texts at the leftmost place, then the next behind it. */
class Finder {
  private readonly tree = new PrefixTree()
  private readonly firsts = new Set<number>()

  constructor(texts: readonly (readonly [string, number])[]) {
    for (const [text, id] of texts) {
      if (text === '') continue
      this.tree.add(text, id)
      this.firsts.add(text.charCodeAt(0))
    }
  }

  *find(text: string): Generator<{ start: number; end: number; id: number }> {
    for (let at = 0; at < text.length;) {
      let found: { start: number; end: number; id: number } | undefined
      if (this.firsts.has(text.charCodeAt(at)))
        this.tree.find(text, at, (end, id) => {
          found = { start: at, end, id }
        })
      if (found !== undefined) yield found
      at = found?.end ?? at + 1
    }
  }
}

/** Added tokens of tokenizer.json, in order. */
export const readAddedTokens = (file: Component): AddedToken[] =>
  file.has('added_tokens')
    ? file.parts('added_tokens').map((c) => (isCount(c.raw('id')) ? readAddedToken(c) : c.refuse('"id" must be a whole number.')))
    : []

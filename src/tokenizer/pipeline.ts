/**
 * @file tokenizer.json as Python's tokenizers runs it: added tokens, normalizer, pre-tokenizer, model, post-processor,
 * and the decoder for the way back. Every id is to be the one that Python gives; what we cannot do is refused by name.
 */
import { AddedTokens, readAddedTokens, type AddedToken } from './added-tokens.js'
import { byteOfToken, bytesOfCharacters, wellFormed } from './bytes.js'
import { createDecoder, type Decoder } from './decoders.js'
import { InvalidDataError } from '../errors.js'
import { Component, componentTypes } from './json.js'
import { createModel } from './models/model.js'
import type { TokenModel } from './models/vocabulary.js'
import { createNormalizer, type Normalizer } from './normalizers.js'
import { concatenate, createPostProcessor, type Encoding, type PostProcessor } from './post-processors.js'
import { createPreTokenizer, type PreTokenizer } from './pre-tokenizers.js'
import { tokenPlaces } from './models/token-places.js'
import { sliceTraced, traced, type Traced } from './traced.js'

export interface PipelineOptions {
  /** Special tokens within a text are text, not tokens. */
  readonly splitSpecialTokens?: boolean
}

/** Where a place in a text lies among its tokens. */
export interface Border {
  /** How many tokens lie before it. */
  readonly tokens: number
  /** Whether a token ends there. */
  readonly exact: boolean
}

/** A token, and the characters of the text that it stands for. */
export interface PlacedToken {
  /** The token's number. */
  readonly id: number
  /** First character, in UTF-16 units of the text. */
  readonly start: number
  /** Behind the last character. */
  readonly end: number
  /** Number of its piece: what pre-tokenizers leave together, a word most often. */
  readonly piece: number
}

export class Pipeline {
  private readonly normalizer: Normalizer | undefined
  private preTokenizer: PreTokenizer | undefined
  private readonly model: TokenModel
  private postProcessor: PostProcessor | undefined
  private readonly decoder: Decoder | undefined
  private readonly added: AddedTokens
  /** How tokens say bytes: in GPT-2's characters, or as tokens of their own such as `<0x0A>`. */
  private readonly byteKind: 'characters' | 'tokens' | undefined

  /**
   * @param json tokenizer.json
   * @param place where it was read from, for messages
   * @throws InvalidDataError naming a component that is not supported, or a field that is wrong
   */
  constructor(
    json: unknown,
    private readonly place: string,
    options: PipelineOptions = {},
  ) {
    const file = Component.of(json, place)
    const optional = <T>(key: string, create: (component: Component) => T): T | undefined =>
      file.has(key) ? create(file.part(key)) : undefined
    this.normalizer = optional('normalizer', createNormalizer)
    this.preTokenizer = optional('pre_tokenizer', createPreTokenizer)
    this.model = createModel(file.part('model'))
    this.postProcessor = optional('post_processor', createPostProcessor)
    this.decoder = optional('decoder', createDecoder)
    const decoders = componentTypes(file.raw('decoder'), 'decoders')
    this.byteKind = decoders.includes('ByteLevel') ? 'characters' : decoders.includes('ByteFallback') ? 'tokens' : undefined
    this.added = new AddedTokens(this.model, (text) => this.normalize(text), options.splitSpecialTokens ?? false)
    this.added.add(readAddedTokens(file))
  }

  /** Adds tokens, as `add_tokens` does: those that are there already take the new flags. */
  addTokens(tokens: readonly AddedToken[]): void {
    this.added.add(tokens)
  }

  /** Takes another pre-tokenizer. @throws InvalidDataError naming a type that is not known, or a field that is wrong */
  setPreTokenizer(json: unknown): void {
    this.preTokenizer = createPreTokenizer(Component.of(json, `${this.place}: pre_tokenizer`))
  }

  /** Takes another post-processor. @throws InvalidDataError naming a type that is not known */
  setPostProcessor(json: unknown): void {
    this.postProcessor = createPostProcessor(Component.of(json, `${this.place}: post_processor`))
  }

  /** Number of tokens: the vocabulary's and those added to it. */
  get size(): number {
    return this.added.size
  }

  /** Whether a token was added beside the vocabulary. */
  hasAdded(content: string): boolean {
    return this.added.has(content)
  }

  /** Whether an id is that of a special token. */
  isSpecial(id: number): boolean {
    return this.added.get(id)?.special === true
  }

  /** Whether an id is that of a token of the vocabulary that was not added to it: of what text is made. */
  isText(id: number): boolean {
    return this.added.get(id) === undefined && this.model.tokenOf(id) !== undefined
  }

  idOf(token: string): number | undefined {
    return this.added.idOf(token)
  }

  tokenOf(id: number): string | undefined {
    return this.added.get(id)?.content ?? this.model.tokenOf(id)
  }

  /** The bytes that a token of the vocabulary stands for, where the decoder reads tokens as bytes; undefined where it reads texts. */
  vocabularyBytes(token: string): Uint8Array | undefined {
    if (this.hasAdded(token)) return undefined
    if (this.byteKind === 'characters') {
      const bytes = bytesOfCharacters(token)
      return bytes && Uint8Array.from(bytes)
    }
    const byte = this.byteKind === 'tokens' ? byteOfToken(token) : undefined
    return byte === undefined ? undefined : Uint8Array.of(byte)
  }

  /**
   * Token ids of a text, without special tokens around it.
   * @param limit stop at the end of the piece that reaches so many tokens, as Python's library does when it truncates
   */
  encode(text: string, limit = Infinity): number[] {
    const ids: number[] = []
    const whole = wellFormed(text)
    for (const section of this.added.cut(whole, false)) {
      if (section.id !== undefined) ids.push(section.id)
      else if (this.encodeSection(whole.slice(section.start, section.end), section.start === 0, ids, limit)) break
    }
    return ids
  }

  /**
   * Token ids of a text, and for each of some places in it how many of them the text before the place has in common with
   * it; `exact` where that text is no other tokens. What ends before a place at an added token is not tokenised again, so
   * that the time does not grow with the square of a dialogue's turns.
   */
  encodeWithBorders(text: string, places: readonly number[]): { readonly ids: number[]; readonly borders: readonly Border[] } {
    const whole = wellFormed(text)
    const ids: number[] = []
    const anchors: { readonly start: number; readonly end: number; readonly tokens: number }[] = []
    for (const { start, end, id } of this.added.cut(whole, false)) {
      if (id === undefined) this.encodeSection(whole.slice(start, end), start === 0, ids, Infinity)
      else {
        anchors.push({ start, end, tokens: ids.length })
        ids.push(id)
      }
    }
    const border = (place: number): Border => {
      if (place >= text.length) return { tokens: ids.length, exact: true }
      // One that touches the place may be found otherwise without what follows.
      const { start, tokens } = anchors[firstWhere(anchors, ({ end }) => end >= place) - 1] ?? { start: 0, tokens: 0 }
      const before = this.encode(text.slice(start, place))
      let common = 0
      while (common < before.length && before[common] === ids[tokens + common]) common++
      return { tokens: tokens + common, exact: common === before.length }
    }
    return { ids, borders: places.map(border) }
  }

  /**
   * The tokens of a text with their places in it, as the offsets of Python's library tell them; a character whose bytes lie in
   * several tokens belongs to each.
   * @throws InvalidDataError if its normal form or its tokens cannot be related to its characters
   */
  placeTokens(text: string): PlacedToken[] {
    const whole = wellFormed(text)
    const tokens: PlacedToken[] = []
    let piece = 0
    for (const { start, end, id } of this.added.cut(whole, false)) {
      if (id !== undefined) tokens.push({ id, start, end, piece: piece++ })
      else
        for (const part of this.tracePieces(whole.slice(start, end), start)) {
          for (const token of this.placePiece(part, piece)) tokens.push(token)
          piece++
        }
    }
    return tokens
  }

  /** One or two texts with the special tokens of the post-processor. */
  process(texts: readonly (readonly number[])[], addSpecialTokens = true): Encoding {
    const encodings = texts.map((ids, i) => ({ ids, types: ids.map(() => i) }))
    return concatenate(this.postProcessor?.process(encodings, addSpecialTokens) ?? encodings)
  }

  /** Text of token ids; ids of no token are left out. */
  decode(ids: readonly number[], skipSpecialTokens: boolean): string {
    const tokens: string[] = []
    for (const id of ids) {
      const token = this.added.textOf(id) ?? this.model.tokenOf(id)
      if (token !== undefined && !(skipSpecialTokens && this.added.isSpecial(token))) tokens.push(token)
    }
    return this.decoder === undefined ? tokens.join(' ') : this.decoder(tokens).join('')
  }

  private normalize(text: string): string {
    return this.normalizer?.normalize(text) ?? text
  }

  /** The pieces of a section of text; an added token is one. */
  private tracePieces(text: string, offset: number): (Traced & { readonly id?: number })[] {
    const normalized = this.normalizer?.trace(traced(text, offset)) ?? traced(text, offset)
    if (normalized.text !== this.normalize(text)) this.refusePlaces(text)
    const fromStart = this.fromStart(text, offset === 0)
    return this.added.cut(normalized.text, true).flatMap(({ start, end, id }): (Traced & { readonly id?: number })[] => {
      const section = sliceTraced(normalized, start, end)
      if (id !== undefined) return [{ ...section, id }]
      const whole = { texts: [section], fromStart: fromStart && start === 0 }
      return [...(this.preTokenizer?.trace(whole).texts ?? whole.texts)]
    })
  }

  private placePiece({ text, starts, ends, id }: Traced & { readonly id?: number }, piece: number): PlacedToken[] {
    if (id !== undefined) return [{ id, start: starts[0]!, end: ends.at(-1)!, piece }]
    const ids: number[] = []
    this.model.encode(text, ids)
    const places = tokenPlaces(text, ids, this.model)
    if (places?.length !== ids.length) this.refusePlaces(text)
    return places.map(([start, end], i) => ({ id: ids[i]!, start: starts[start]!, end: ends[end - 1]!, piece }))
  }

  private refusePlaces(text: string): never {
    throw new InvalidDataError(
      `${this.place}: the tokens of ${JSON.stringify(text.slice(0, 60))} cannot be related to its characters, which places in the text need.`,
    )
  }

  private fromStart(text: string, isStart: boolean): boolean {
    return isStart && this.preTokenizer?.asksForStart === true && (this.normalizer?.keepsStart(text) ?? true)
  }

  /**
   * Text without added tokens that are looked for before normalising.
   * @returns whether the limit is reached; added tokens count, but do not end the text
   */
  private encodeSection(text: string, isStart: boolean, ids: number[], limit: number): boolean {
    const normalized = this.normalize(text)
    const fromStart = this.fromStart(text, isStart)
    for (const section of this.added.cut(normalized, true)) {
      if (section.id !== undefined) ids.push(section.id)
      else {
        const piece = { texts: [normalized.slice(section.start, section.end)], fromStart: fromStart && section.start === 0 }
        for (const part of this.preTokenizer?.split(piece).texts ?? piece.texts) {
          this.model.encode(part, ids)
          if (ids.length >= limit) return true
        }
      }
    }
    return false
  }
}

/** Index of the first of ascending items that something holds for, or their number. */
function firstWhere<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let [low, high] = [0, items.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(items[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}

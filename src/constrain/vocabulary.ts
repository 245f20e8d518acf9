/** @file A tokenizer's tokens as bytes, in order, so that all that a grammar allows are found in one walk. */
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidOptionError } from '../errors.js'
import type { State } from './automaton.js'
import { FIRST_TOKEN, literal, sequence, wholeToken, type Expression } from './expression.js'

const known = new WeakMap<Tokenizer, Vocabulary>()
const utf8 = new TextDecoder()

/** A text with what JSON is made of, and what a decoder might write otherwise. */
const SAMPLE = `{"key": [1, -2.5, true, null], "text" : "a b , c . d 's e ! f"}\n`

export class Vocabulary {
  /** By id; undefined of tokens that are no text. */
  private readonly bytes: readonly (Uint8Array | undefined)[]
  /** Ids of tokens with bytes, in the order of these. */
  private readonly order: Int32Array
  /** How many bytes each has in common with the one before. */
  private readonly common: Int32Array

  private constructor(private readonly tokenizer: Tokenizer) {
    this.bytes = Array.from({ length: tokenizer.size }, (_, id) => (tokenizer.isText(id) ? tokenizer.tokenBytes(id) : undefined))
    this.checkDecoding()
    const keys = this.bytes.map((bytes) => (bytes === undefined ? '' : latinOf(bytes)))
    const ids = [...keys.keys()].filter((id) => keys[id] !== '')
    ids.sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a] === keys[b] ? 0 : 1))
    this.order = Int32Array.from(ids)
    this.common = Int32Array.from(ids, (id, i) => (i === 0 ? 0 : commonLength(keys[ids[i - 1]!]!, keys[id]!)))
  }

  /** The vocabulary of a tokenizer, read once. @throws InvalidOptionError if its texts are not the bytes of its tokens */
  static of(tokenizer: Tokenizer): Vocabulary {
    let vocabulary = known.get(tokenizer)
    if (vocabulary === undefined) known.set(tokenizer, (vocabulary = new Vocabulary(tokenizer)))
    return vocabulary
  }

  /** A text as it is to be written: tokens that were added stand for themselves, all else for its bytes. */
  literal(text: string): Expression {
    const ids = this.tokenizer.encode(text, { addSpecialTokens: false })
    if (ids.every((id) => this.bytes[id] !== undefined)) return literal(text)
    // What lies between added tokens is text again: the tokenizer may have put a space before it.
    const parts: Expression[] = []
    let rest = text
    for (const id of ids.filter((each) => this.bytes[each] === undefined)) {
      const name = this.tokenizer.decode([id])
      const at = rest.indexOf(name)
      if (name === '' || at < 0)
        throw new InvalidOptionError(`the tokenizer in ${this.tokenizer.folder} cannot write ${JSON.stringify(text)}`)
      parts.push(literal(rest.slice(0, at)), wholeToken(id))
      rest = rest.slice(at + name.length)
    }
    return sequence(...parts, literal(rest))
  }

  /** Where a token leads; undefined where it is not allowed. */
  step(state: State, id: number): State | undefined {
    const bytes = this.bytes[id]
    if (bytes === undefined) return state.step(FIRST_TOKEN + id)
    let next: State | undefined = state
    for (let i = 0; i < bytes.length && next !== undefined; i++) next = next.step(bytes[i]!)
    return next
  }

  /** All tokens that may come next: bit `id % 32` of word `id >> 5`. */
  allowed(state: State): Int32Array {
    const tokens = state.tokens().map((symbol) => symbol - FIRST_TOKEN)
    const words = new Int32Array(Math.ceil(Math.max(this.bytes.length, ...tokens.map((id) => id + 1)) / 32))
    for (const id of tokens) words[id >> 5]! |= 1 << (id & 31)
    // After each byte of the token at hand.
    const path: State[] = [state]
    let alive = 0
    const { order, common, bytes } = this
    for (let i = 0; i < order.length; i++) {
      // As many bytes as were followed of the one before, and one more: that one leads nowhere.
      if (common[i]! > alive) continue
      const id = order[i]!
      const token = bytes[id]!
      let depth = common[i]!
      for (; depth < token.length; depth++) {
        const next = path[depth]!.step(token[depth]!)
        if (next === undefined) break
        path[depth + 1] = next
      }
      alive = depth
      if (depth === token.length) words[id >> 5]! |= 1 << (id & 31)
    }
    return words
  }

  /** Texts must be the bytes of their tokens, one after another: some decoders space and clean them. */
  private checkDecoding(): void {
    const { tokenizer } = this
    const ids = tokenizer.encode(SAMPLE, { addSpecialTokens: false }).filter((id) => this.bytes[id] !== undefined)
    const written = utf8.decode(Uint8Array.from(ids.flatMap((id) => [...this.bytes[id]!])))
    const twice = tokenizer.decode([...ids, ...ids])
    if (ids.length === 0 || twice.slice(tokenizer.decode(ids).length) !== written)
      throw new InvalidOptionError(
        `the tokenizer in ${tokenizer.folder} writes texts otherwise than its tokens one after another (it is read as ${JSON.stringify(twice.slice(0, 40))}), so that no grammar can be followed; use a model with a byte-level or SentencePiece tokenizer`,
      )
  }
}

const latinOf = (bytes: Uint8Array): string => {
  // The decoder's "latin1" is windows-1252, whose order is another.
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

function commonLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && length < b.length && a.charCodeAt(length) === b.charCodeAt(length)) length++
  return length
}

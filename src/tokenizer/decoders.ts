/** @file Decoders of tokenizer.json: tokens back to text. */
import { byteOfToken, bytesOfCharacters } from './bytes.js'
import { cleanUpPieces } from './clean-up.js'
import { byType, type Component } from './json.js'
import { replaceIn } from './normalizers.js'

/** Tokens to pieces of text, which are then joined. */
export type Decoder = (tokens: readonly string[]) => readonly string[]

/** @throws InvalidDataError naming a type that is not known, or a field that is wrong */
export function createDecoder(component: Component): Decoder {
  return byType(component, 'decoder', makers)
}

const makers: Readonly<Record<string, (component: Component) => Decoder>> = {
  Sequence: (c) => {
    const parts = c.parts('decoders').map(createDecoder)
    return (tokens) => parts.reduce((done, part) => part(done), tokens)
  },
  BPEDecoder: (c) => {
    const suffix = c.text('suffix')
    return (tokens) => tokens.map((token, i) => replaceText(token, suffix, i === tokens.length - 1 ? '' : ' '))
  },
  ByteFallback: () => byteFallback,
  ByteLevel: () => byteLevel,
  CTC: ctc,
  Fuse: () => (tokens) => [tokens.join('')],
  Metaspace: metaspace,
  Replace: (c) => {
    const [cutter, content] = [c.pattern('pattern'), c.text('content')]
    return (tokens) => tokens.map((token) => (token === '' ? token : replaceIn(token, cutter, content)))
  },
  Strip: strip,
  WordPiece: wordPiece,
}

const lossy = new TextDecoder('utf-8', { ignoreBOM: true })
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })
const encoder = new TextEncoder()

/** Every place of a text replaced; an empty one lies between any two characters, as in Rust. */
function replaceText(text: string, from: string, to: string): string {
  if (from !== '') return text.replaceAll(from, () => to)
  return to + [...text].map((char) => char + to).join('')
}

/** GPT-2's characters back to bytes, the bytes of all tokens together to text; a token with other characters stands for itself. */
const byteLevel: Decoder = (tokens) => {
  const bytes: number[] = []
  for (const token of tokens) for (const byte of bytesOfCharacters(token) ?? encoder.encode(token)) bytes.push(byte)
  return [lossy.decode(Uint8Array.from(bytes))]
}

/** `<0x0A>` back to bytes; where those of a run are no text, each of them is U+FFFD. */
const byteFallback: Decoder = (tokens) => {
  const out: string[] = []
  let bytes: number[] = []
  const flush = (): void => {
    if (bytes.length === 0) return
    try {
      out.push(strict.decode(Uint8Array.from(bytes)))
    } catch {
      for (const _ of bytes) out.push('\ufffd')
    }
    bytes = []
  }
  for (const token of tokens) {
    const byte = byteOfToken(token)
    if (byte !== undefined) bytes.push(byte)
    else {
      flush()
      out.push(token)
    }
  }
  flush()
  return out
}

function metaspace(c: Component): Decoder {
  const mark = c.character('replacement')
  const prepends = c.text('prepend_scheme', c.flag('add_prefix_space', true) ? 'always' : 'never') !== 'never'
  return (tokens) => tokens.map((token, i) => token.replaceAll(mark, () => (i === 0 && prepends ? '' : ' ')))
}

function strip(c: Component): Decoder {
  const [content, start, stop] = [c.character('content'), c.count('start'), c.count('stop')]
  return (tokens) =>
    tokens.map((token) => {
      const chars = [...token]
      let from = 0
      while (from < Math.min(start, chars.length) && chars[from] === content) from++
      let to = chars.length
      while (to > 0 && chars.length - to < stop && chars[to - 1] === content) to--
      return chars.slice(from, Math.max(from, to)).join('')
    })
}

function wordPiece(c: Component): Decoder {
  const [prefix, cleans] = [c.text('prefix'), c.flag('cleanup')]
  return (tokens) =>
    tokens.map((token, i) => {
      const joined = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`
      return cleans ? cleanUpPieces(joined) : joined
    })
}

function ctc(c: Component): Decoder {
  const [pad, delimiter, cleans] = [c.text('pad_token'), c.text('word_delimiter_token'), c.flag('cleanup')]
  return (tokens) =>
    tokens
      .filter((token, i) => i === 0 || token !== tokens[i - 1])
      .map((token) => {
        const kept = replaceText(token, pad, '')
        return cleans ? replaceText(cleanUpPieces(kept), delimiter, ' ') : kept
      })
      .filter((token) => token !== '')
}

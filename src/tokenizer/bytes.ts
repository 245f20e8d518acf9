/** @file Bytes of texts in UTF-8, and GPT-2's characters for bytes. */

/** Character for each byte: printable ones stand for themselves, the others for characters from U+0100 on. */
const characterOfByte: readonly string[] = (() => {
  const own = (byte: number): boolean => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(own(byte) ? byte : next++))
})()

const byteOfCharacter = new Map(characterOfByte.map((char, byte) => [char, byte]))

/** The bytes that GPT-2's characters stand for, or undefined if one of them stands for none. */
export function bytesOfCharacters(text: string): number[] | undefined {
  const bytes: number[] = []
  for (const char of text) {
    const byte = byteOfCharacter.get(char)
    if (byte === undefined) return undefined
    bytes.push(byte)
  }
  return bytes
}

/** Calls back with each byte of a code point in UTF-8. */
export function eachByte(point: number, use: (byte: number) => void): void {
  if (point < 0x80) return use(point)
  if (point < 0x800) use(0xc0 | (point >> 6))
  else {
    if (point < 0x10000) use(0xe0 | (point >> 12))
    else {
      use(0xf0 | (point >> 18))
      use(0x80 | ((point >> 12) & 0x3f))
    }
    use(0x80 | ((point >> 6) & 0x3f))
  }
  use(0x80 | (point & 0x3f))
}

/** How many bytes a code point takes in UTF-8. */
export const byteLength = (point: number): number => (point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4)

/** A text with a character for each of its bytes. */
export function asByteCharacters(text: string): string {
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i)!
    if (point < 0x80) out += characterOfByte[point]!
    else
      eachByte(point, (byte) => {
        out += characterOfByte[byte]!
      })
    if (point > 0xffff) i++
  }
  return out
}

/** `<0x0A>` for a byte. */
export const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`

/** The byte that a token such as `<0x0A>` stands for; undefined of any other. Rust reads a sign too. */
export function byteOfToken(token: string): number | undefined {
  const digits = /^<0x(\+[0-9A-Fa-f]|[0-9A-Fa-f]{2})>$/.exec(token)?.[1]
  return digits === undefined ? undefined : parseInt(digits.replace('+', ''), 16)
}

/** Vocabulary ids of a text's bytes, or undefined if one is missing. */
export function byteIds(text: string, idOf: (token: string) => number | undefined): number[] | undefined {
  const ids: number[] = []
  for (const char of text) {
    let complete = true
    eachByte(char.codePointAt(0)!, (byte) => {
      const id = idOf(byteToken(byte))
      if (id === undefined) complete = false
      else ids.push(id)
    })
    if (!complete) return undefined
  }
  return ids
}

/** A text with U+FFFD for lone surrogates, which UTF-8 cannot hold. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, '\ufffd')

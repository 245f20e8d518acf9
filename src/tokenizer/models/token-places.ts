/** @file Which part of a piece each of its tokens stands for: read off the texts of the tokens, for models tell ids alone. */
import { byteToken, eachByte } from '../bytes.js'
import type { TokenModel } from './vocabulary.js'

/** The places [start, end) of tokens in their piece. */
export type Places = readonly (readonly [start: number, end: number])[]

/** The tokens of a character's bytes. */
function byteTokens(point: number): string[] {
  const tokens: string[] = []
  eachByte(point, (byte) => tokens.push(byteToken(byte)))
  return tokens
}

/** As where the piece has the text, but with characters in between that have no token: they are left out before others are joined. */
function endWithGaps(piece: string, text: string, from: number, model: TokenModel): number | undefined {
  let at = from
  for (const character of text) {
    while (!piece.startsWith(character, at)) {
      const skipped = String.fromCodePoint(piece.codePointAt(at) ?? 0)
      if (at >= piece.length || at === from || model.idOf(skipped) !== undefined) return undefined
      at += skipped.length
    }
    at += character.length
  }
  return text === '' ? undefined : at
}

/**
 * The places of the tokens of a piece. The bytes of a character stand for all of it, unknown characters that follow one
 * another share their token or have one each, and characters without any are left out.
 * @returns undefined if the tokens are not found in the piece
 */
export function tokenPlaces(piece: string, ids: readonly number[], model: TokenModel): Places | undefined {
  const { prefix = '', suffix = '', unknown } = model
  const unknownId = unknown?.()
  if (ids.length === 1) return [[0, piece.length]]
  const places: [number, number][] = []
  let at = 0
  const pointEnd = (from: number): number => from + ((piece.codePointAt(from) ?? 0) > 0xffff ? 2 : 1)
  /** Where the token's text ends if the piece has it here. */
  const endOf = (id: number, from: number): number | undefined => {
    let text = model.tokenOf(id)
    if (text === undefined) return undefined
    if (from > 0 && prefix !== '' && text.startsWith(prefix)) text = text.slice(prefix.length)
    if (suffix !== '' && text.endsWith(suffix) && from + text.length - suffix.length === piece.length)
      text = text.slice(0, -suffix.length)
    if (text !== '' && piece.startsWith(text, from)) return from + text.length
    return unknownId === undefined ? endWithGaps(piece, text, from, model) : undefined
  }
  /** Whether a token can begin at a place. */
  const canBegin = (id: number, from: number): boolean =>
    endOf(id, from) !== undefined || byteTokens(piece.codePointAt(from)!)[0] === model.tokenOf(id)
  for (let i = 0; i < ids.length;) {
    const id = ids[i]!
    if (at >= piece.length) return undefined
    if (id === unknownId) {
      let run = 1
      while (ids[i + run] === unknownId) run++
      const next = ids[i + run]
      const borders: number[] = []
      for (let end = at; end < piece.length && (end === at || next === undefined || !canBegin(next, end));) {
        end = pointEnd(end)
        borders.push(end)
      }
      if (run !== 1 && run !== borders.length) return undefined
      if (run === 1) places.push([at, borders.at(-1)!])
      else borders.forEach((end, k) => places.push([k === 0 ? at : borders[k - 1]!, end]))
      at = borders.at(-1)!
      i += run
      continue
    }
    const end = endOf(id, at)
    if (end !== undefined) {
      places.push([at, end])
      at = end
      i++
      continue
    }
    const after = pointEnd(at)
    const bytes = byteTokens(piece.codePointAt(at)!)
    if (bytes.every((token, k) => model.tokenOf(ids[i + k] ?? -1) === token)) {
      for (let k = 0; k < bytes.length; k++) places.push([at, after])
      i += bytes.length
    }
    // Otherwise the character has no token.
    at = after
  }
  return places
}

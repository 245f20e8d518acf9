/** @file The longest token from the left, then the next, as BERT does. */
import type { Component } from '../json.js'
import { remembering, Vocabulary, type TokenModel } from './vocabulary.js'
import { noUnknown } from './word-level.js'

export function wordPiece(component: Component): TokenModel {
  const vocabulary = Vocabulary.read(component)
  const unknown = component.text('unk_token')
  const prefix = component.text('continuing_subword_prefix')
  const most = component.count('max_input_chars_per_word')

  /** Tokens of a piece; undefined if a part of it has none. */
  const tokens = (piece: string): number[] | undefined => {
    const ids: number[] = []
    for (let start = 0; start < piece.length;) {
      const before = start > 0 ? prefix : ''
      let end = Math.min(piece.length, start + vocabulary.longest - before.length)
      let id: number | undefined
      for (; end > start; end--) {
        // Half a character is no end.
        if ((piece.charCodeAt(end) & 0xfc00) === 0xdc00) continue
        id = vocabulary.idOf(before + piece.slice(start, end))
        if (id !== undefined) break
      }
      if (id === undefined) return undefined
      ids.push(id)
      start = end
    }
    return ids
  }

  return {
    size: vocabulary.size,
    idOf: (token) => vocabulary.idOf(token),
    tokenOf: (id) => vocabulary.tokenOf(id),
    prefix,
    encode: remembering((piece) => {
      const tooLong = piece.length > most && [...piece].length > most
      return (tooLong ? undefined : tokens(piece)) ?? [vocabulary.idOf(unknown) ?? noUnknown(component, unknown, piece)]
    }),
  }
}

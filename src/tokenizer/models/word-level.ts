/** @file Each piece one token. */
import type { Component } from '../json.js'
import { Vocabulary, type TokenModel } from './vocabulary.js'

export function wordLevel(component: Component): TokenModel {
  const vocabulary = Vocabulary.read(component)
  const unknown = component.text('unk_token')
  return {
    size: vocabulary.size,
    idOf: (token) => vocabulary.idOf(token),
    tokenOf: (id) => vocabulary.tokenOf(id),
    encode: (piece, into) => {
      into.push(vocabulary.idOf(piece) ?? vocabulary.idOf(unknown) ?? noUnknown(component, unknown, piece))
    },
  }
}

/** A piece is not in the vocabulary, and the token for such pieces is not either. */
export function noUnknown(component: Component, unknown: string | undefined, piece: string): never {
  const shown = JSON.stringify(piece.slice(0, 40))
  return component.refuse(
    unknown === undefined
      ? `${shown} is not in the vocabulary, and no token for unknown pieces is named.`
      : `${shown} is not in the vocabulary, and neither is its token for unknown pieces, ${JSON.stringify(unknown)}.`,
  )
}

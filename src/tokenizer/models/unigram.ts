/** @file SentencePiece's unigram model: of all ways to cut a piece into tokens, the one with the highest sum of scores. */
import { byteIds } from '../bytes.js'
import type { Component } from '../json.js'
import { PrefixTree } from './prefix-tree.js'
import { remembering, type TokenModel } from './vocabulary.js'
import { noUnknown } from './word-level.js'

/** By how much an unknown character is worse than the worst token. */
const UNKNOWN_PENALTY = 10

export function unigram(component: Component): TokenModel {
  const tokens: string[] = []
  const scores: number[] = []
  const ids = new Map<string, number>()
  const tree = new PrefixTree()
  let worst = Infinity
  component.list('vocab').forEach((entry, id) => {
    if (!isScored(entry))
      return component.refuse(`vocab[${id}] must be a token and its score, found ${JSON.stringify(entry)?.slice(0, 60)}.`)
    const [token, score] = entry
    tokens.push(token)
    scores.push(score)
    ids.set(token, id)
    if (token !== '') tree.add(token, id)
    worst = Math.min(worst, score)
  })
  const unknown = component.has('unk_id') ? component.count('unk_id') : undefined
  if (tokens.length === 0) component.refuse('the vocabulary is empty.')
  if (unknown !== undefined && unknown >= tokens.length)
    component.refuse(`"unk_id" is ${unknown}, but the vocabulary has ${tokens.length} tokens.`)
  const fallsBack = component.flag('byte_fallback', false)
  const unknownScore = worst - UNKNOWN_PENALTY
  const idOf = (token: string): number | undefined => ids.get(token)

  /** Ends of the best way's tokens with their ids, from the last to the first. */
  const bestWay = (piece: string): { readonly start: number; readonly end: number; readonly id: number }[] => {
    const best = new Float64Array(piece.length + 1)
    const from = new Int32Array(piece.length + 1).fill(-1)
    const chosen = new Int32Array(piece.length + 1)
    for (let start = 0; start < piece.length;) {
      const next = start + (piece.codePointAt(start)! > 0xffff ? 2 : 1)
      const soFar = best[start]!
      let alone = false
      const offer = (end: number, score: number, id: number): void => {
        if (from[end] !== -1 && score <= best[end]!) return
        best[end] = score
        from[end] = start
        chosen[end] = id
      }
      tree.find(piece, start, (end, id) => {
        offer(end, scores[id]! + soFar, id)
        if (end === next) alone = true
      })
      if (!alone) {
        const score = unknownScore + soFar
        if (from[next] === -1 || score > best[next]!) offer(next, score, unknown ?? noUnknown(component, undefined, piece))
      }
      start = next
    }
    const way: { start: number; end: number; id: number }[] = []
    for (let end = piece.length; end > 0; end = from[end]!) way.push({ start: from[end]!, end, id: chosen[end]! })
    return way
  }

  /** Id of a stretch of text; several where bytes stand for it. */
  const push = (text: string, into: number[]): void => {
    const id = idOf(text)
    const bytes = id === undefined && fallsBack ? byteIds(text, idOf) : undefined
    if (bytes !== undefined) for (const byte of bytes) into.push(byte)
    else into.push(id ?? unknown ?? noUnknown(component, undefined, text))
  }

  const encode = (piece: string): readonly number[] => {
    const ids: number[] = []
    const way = bestWay(piece)
    for (let i = way.length - 1; i >= 0;) {
      const { start, id } = way[i]!
      let { end } = way[i--]!
      // Unknown characters that follow one another are one token.
      if (id === unknown) while (i >= 0 && way[i]!.id === unknown) end = way[i--]!.end
      push(piece.slice(start, end), ids)
    }
    return ids
  }

  return {
    size: tokens.length,
    idOf,
    tokenOf: (id) => tokens[id],
    unknown: () => unknown,
    encode: remembering(encode),
  }
}

const isScored = (value: unknown): value is [string, number] =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && typeof value[1] === 'number'

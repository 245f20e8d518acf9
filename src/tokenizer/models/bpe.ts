/** @file Byte-pair encoding: of all pairs of neighbours that the merges name, the one named first is joined, and again. */
import { byteIds } from '../bytes.js'
import type { Component } from '../json.js'
import { RankQueue } from './rank-queue.js'
import { idsOf, pairOf, seams, type Merge } from './seams.js'
import { KEPT_LENGTH, remembering, Vocabulary, type TokenModel } from './vocabulary.js'
import { noUnknown } from './word-level.js'

interface Merges {
  /** Rank by pair of ids. */
  readonly ranks: ReadonlyMap<number, number>
  /** What the merge of each rank makes. */
  readonly made: readonly number[]
}

export function bpe(component: Component): TokenModel {
  const vocabulary = Vocabulary.read(component)
  const unknown = component.has('unk_token') ? component.text('unk_token') : undefined
  const prefix = component.text('continuing_subword_prefix', '')
  const suffix = component.text('end_of_word_suffix', '')
  const fuses = component.flag('fuse_unk', false)
  const fallsBack = component.flag('byte_fallback', false)
  const wholeFirst = component.flag('ignore_merges', false)
  if (component.has('dropout') && component.raw('dropout') !== 0)
    component.refuse(
      `"dropout" makes other tokens of a text each time; set it to null, found ${JSON.stringify(component.raw('dropout'))}.`,
    )
  const merges = readMerges(component, vocabulary, prefix.length)

  /** Tokens of single characters, before any merge. */
  const characters = (piece: string): number[] => {
    const ids: number[] = []
    let pending: number | undefined
    for (let at = 0; at < piece.length;) {
      const end = at + (piece.codePointAt(at)! > 0xffff ? 2 : 1)
      const text = `${at > 0 ? prefix : ''}${piece.slice(at, end)}${end === piece.length ? suffix : ''}`
      at = end
      const id = vocabulary.idOf(text)
      if (id !== undefined) {
        if (pending !== undefined) ids.push(pending)
        pending = undefined
        ids.push(id)
        continue
      }
      const bytes = fallsBack ? byteIds(text, (token) => vocabulary.idOf(token)) : undefined
      if (bytes !== undefined) {
        ids.push(...bytes)
        continue
      }
      // Without a token for them, unknown characters are left out, as in Python's library.
      if (unknown === undefined) continue
      if (pending !== undefined && fuses) continue
      if (pending !== undefined) ids.push(pending)
      pending = vocabulary.idOf(unknown) ?? noUnknown(component, unknown, piece)
    }
    if (pending !== undefined) ids.push(pending)
    return ids
  }

  const encode = (piece: string): readonly number[] => {
    const whole = wholeFirst ? vocabulary.idOf(piece) : undefined
    return whole === undefined ? mergeAll(characters(piece), merges) : [whole]
  }

  const remembered = remembering(encode)
  // What a character becomes must not depend on what stands beside it.
  const cut =
    prefix === '' && suffix === '' && !wholeFirst
      ? seams(
          () => namedMerges(merges),
          (text) => vocabulary.idOf(text),
        )
      : undefined

  return {
    size: vocabulary.size,
    idOf: (token) => vocabulary.idOf(token),
    tokenOf: (id) => vocabulary.tokenOf(id),
    prefix,
    suffix,
    unknown: () => (unknown === undefined ? undefined : vocabulary.idOf(unknown)),
    encode: (piece, into) => {
      if (cut === undefined || piece.length <= KEPT_LENGTH) remembered(piece, into)
      else for (const part of cut(piece)) remembered(part, into)
    },
  }
}

const namedMerges = ({ ranks, made }: Merges): Merge[] => Array.from(ranks, ([pair, rank]) => [...idsOf(pair), made[rank]!])

/** Merges as `"a b"` or as `["a", "b"]`. */
function readMerges(component: Component, vocabulary: Vocabulary, prefixLength: number): Merges {
  const ranks = new Map<number, number>()
  const made: number[] = []
  component.list('merges').forEach((entry, rank) => {
    const pair = typeof entry === 'string' ? entry.split(' ') : entry
    if (!isPair(pair)) return component.refuse(`merges[${rank}] must be two tokens, found ${JSON.stringify(entry).slice(0, 60)}.`)
    const id = (token: string): number =>
      vocabulary.idOf(token) ??
      component.refuse(`merges[${rank}] needs the token ${JSON.stringify(token)}, which is not in the vocabulary.`)
    const [left, right] = pair
    ranks.set(pairOf(id(left), id(right)), rank)
    made.push(id(left + right.slice(prefixLength)))
  })
  return { ranks, made }
}

const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string')

/**
 * Joins neighbours until no pair is left that the merges name. A queue holds the pairs by rank, then by place, so that a
 * piece of n characters takes n log n steps however long it is.
 */
function mergeAll(ids: number[], { ranks, made }: Merges): readonly number[] {
  const count = ids.length
  if (count < 2) return ids
  const next = Int32Array.from(ids, (_, i) => (i + 1 < count ? i + 1 : -1))
  const before = Int32Array.from(ids, (_, i) => i - 1)
  const gone = new Uint8Array(count)
  const queue = new RankQueue()
  const rankAt = (place: number): number | undefined => ranks.get(pairOf(ids[place]!, ids[next[place]!]!))
  const offer = (place: number): void => {
    const rank = rankAt(place)
    if (rank !== undefined) queue.push(rank, place)
  }
  for (let i = 0; i + 1 < count; i++) offer(i)
  while (queue.pop()) {
    const { rank, place } = queue
    if (gone[place] === 1 || next[place] === -1) continue
    // What stands there now may be another pair; it counts if it makes the same token.
    const now = rankAt(place)
    if (now === undefined || made[now] !== made[rank]) continue
    const right = next[place]!
    ids[place] = made[rank]!
    gone[right] = 1
    next[place] = next[right]!
    if (next[place] !== -1) before[next[place]!] = place
    if (before[place] !== -1) offer(before[place]!)
    if (next[place] !== -1) offer(place)
  }
  return ids.filter((_, i) => gone[i] === 0)
}

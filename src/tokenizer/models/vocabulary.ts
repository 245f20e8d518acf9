/** @file What all models have: a vocabulary. */
import { isCount, type Component } from '../json.js'

export interface TokenModel {
  /** Number of tokens, counted as Python's library does: those added later are numbered from it on. */
  readonly size: number
  idOf(token: string): number | undefined
  tokenOf(id: number): string | undefined
  /** What stands before the text of a token that does not begin its piece, and behind that of one that ends it. */
  readonly prefix?: string
  readonly suffix?: string
  /** The token for what the vocabulary lacks, where there is one. */
  unknown?(): number | undefined
  /** Adds the ids of a piece to a list. @throws InvalidDataError if the piece needs an unknown token that there is none of */
  encode(piece: string, into: number[]): void
}

/** Pieces whose tokens are kept for the next time: at most this many, of at most this length. */
const KEPT_PIECES = 20_000
export const KEPT_LENGTH = 64

/** `encode` of a model, with the tokens of short pieces kept: texts are made of few words. */
export function remembering(encode: (piece: string) => readonly number[]): TokenModel['encode'] {
  const known = new Map<string, readonly number[]>()
  return (piece, into) => {
    const short = piece.length <= KEPT_LENGTH
    let ids = short ? known.get(piece) : undefined
    if (ids === undefined) {
      ids = encode(piece)
      if (short && known.size < KEPT_PIECES) known.set(piece, ids)
    }
    for (const id of ids) into.push(id)
  }
}

export class Vocabulary {
  private readonly byId = new Map<number, string>()
  /** Longest token in UTF-16 units. */
  readonly longest: number

  constructor(private readonly byToken: ReadonlyMap<string, number>) {
    let longest = 0
    for (const [token, id] of byToken) {
      this.byId.set(id, token)
      longest = Math.max(longest, token.length)
    }
    this.longest = longest
  }

  /** Reads `vocab` as an object of ids. @throws InvalidDataError if an id is no whole number */
  static read(component: Component): Vocabulary {
    const vocab = component.part('vocab')
    const entries = Object.entries(component.raw('vocab') as Record<string, unknown>).map(([token, id]): [string, number] =>
      isCount(id) && id < 2 ** 26
        ? [token, id]
        : vocab.refuse(`id of ${JSON.stringify(token)} must be a whole number below 2^26.`),
    )
    return new Vocabulary(new Map(entries))
  }

  get size(): number {
    return this.byToken.size
  }

  idOf(token: string): number | undefined {
    return this.byToken.get(token)
  }

  tokenOf(id: number): string | undefined {
    return this.byId.get(id)
  }
}

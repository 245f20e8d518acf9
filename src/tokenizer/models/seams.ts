/**
 * @file Where a long piece can be cut without changing its tokens: between two characters that no merge ever joins.
 *
 * A tokenizer without a pre-tokenizer (Llama's) takes a whole text for one piece. Its merges hardly ever cross from one word to
 * the next, so nearly every word can be encoded by itself, and words come back.
 */

/** The two tokens that a merge joins, and what it makes. */
export type Merge = readonly [left: number, right: number, made: number]

/** Above every id. */
const IDS = 2 ** 26

/** A pair of ids as one number, for maps and sets. */
export const pairOf = (left: number, right: number): number => left * IDS + right

/** The pair that a number stands for. */
export const idsOf = (pair: number): readonly [left: number, right: number] => [Math.floor(pair / IDS), pair % IDS]

/** Ids of characters that may come to stand beside each other in one token, as pairs. */
function joined(merges: readonly Merge[]): ReadonlySet<number> {
  const waysOf = new Map<number, (readonly [number, number])[]>()
  for (const [left, right, made] of merges) {
    const ways = waysOf.get(made)
    if (ways === undefined) waysOf.set(made, [[left, right]])
    else ways.push([left, right])
  }
  /** The characters that a token may begin (0) or end (1) with: itself where no merge makes it. */
  const ends = (side: 0 | 1): ((id: number) => ReadonlySet<number>) => {
    const known = new Map<number, ReadonlySet<number>>()
    return function of(id: number): ReadonlySet<number> {
      const found = known.get(id)
      if (found !== undefined) return found
      const result = new Set([id])
      // Before the parts are asked: a token that is its own part, as only an empty one can be, adds nothing.
      known.set(id, result)
      for (const way of waysOf.get(id) ?? []) for (const end of of(way[side])) result.add(end)
      return result
    }
  }
  const [first, last] = [ends(0), ends(1)]
  const pairs = new Set<number>()
  for (const [left, right] of merges) for (const a of last(left)) for (const b of first(right)) pairs.add(pairOf(a, b))
  return pairs
}

/**
 * Cuts pieces where that changes nothing.
 * @param merges asked for when the first piece is to be cut
 * @param idOf the id of a character; beside one without an id nothing is cut, for several may become one unknown token
 */
export function seams(
  merges: () => readonly Merge[],
  idOf: (character: string) => number | undefined,
): (piece: string) => string[] {
  // Only long pieces need it, and few texts have any.
  let together: ReadonlySet<number> | undefined
  return (piece) => {
    together ??= joined(merges())
    const parts: string[] = []
    let start = 0
    let before: number | undefined
    for (let at = 0; at < piece.length;) {
      const end = at + (piece.codePointAt(at)! > 0xffff ? 2 : 1)
      const id = idOf(piece.slice(at, end))
      if (before !== undefined && id !== undefined && !together.has(pairOf(before, id))) {
        parts.push(piece.slice(start, at))
        start = at
      }
      before = id
      at = end
    }
    if (start < piece.length) parts.push(piece.slice(start))
    return parts
  }
}

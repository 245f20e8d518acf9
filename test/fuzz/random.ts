/** @file Seeded random numbers of the fuzzer: every case is told by its seed and number alone. */

/** Choices of one case. */
export interface Random {
  /** An integer in [0, end). */
  below(end: number): number
  pick<T>(list: readonly T[]): T
}

/** Mulberry32 over a seed and the number of a case. */
export function randomOf(seed: number, number: number): Random {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (end: number): number => Math.floor(next() * end)
  return { below, pick: (list) => list[below(list.length)]! }
}

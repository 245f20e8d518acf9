/** @file Answers as stretches of positions: exact matches and overlap. */

/**
 * The likeliest answer: first and last position with the largest sum of scores, the last not before the first.
 * @param start scores of the first position: [positions]
 * @param end scores of the last position: [positions]
 * @example
 * bestSpan([0, 5, 1], [0, 1, 4]) // [1, 2]
 */
export function bestSpan(start: ArrayLike<number>, end: ArrayLike<number>): [number, number] {
  let best: [number, number] = [0, 0]
  let score = -Infinity
  let first = 0
  for (let last = 0; last < end.length; last++) {
    if (start[last]! > start[first]!) first = last
    if (start[first]! + end[last]! > score) {
      score = start[first]! + end[last]!
      best = [first, last]
    }
  }
  return best
}

/**
 * F1 of the positions of two stretches, both ends included: SQuAD's token overlap by position.
 * @example
 * spanOverlap([2, 4], [3, 6]) // 4/7
 */
export function spanOverlap([a, b]: readonly [number, number], [c, d]: readonly [number, number]): number {
  const common = Math.max(0, Math.min(b, d) - Math.max(a, c) + 1)
  const total = Math.max(0, b - a + 1) + Math.max(0, d - c + 1)
  return total === 0 ? 0 : (2 * common) / total
}

/** @file N-grams of words as texts: words hold no space, so that one stands between them. */

/** The n-grams of a text in their order. @param n words in each */
export function ngrams(tokens: readonly string[], n: number): readonly string[] {
  if (n === 1) return tokens
  const grams: string[] = []
  for (let i = 0; i + n <= tokens.length; i++) grams.push(tokens.slice(i, i + n).join(' '))
  return grams
}

/** How often each is there. */
export function countsOf(grams: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const gram of grams) counts.set(gram, (counts.get(gram) ?? 0) + 1)
  return counts
}

/**
 * How many of a hypothesis's n-grams some reference has: of each as many as it has itself, but no more than the reference
 * that has most of them (Papineni et al., 2002, "modified n-gram precision").
 */
export function clippedCounts(hypothesis: readonly string[], references: readonly (readonly string[])[]): Map<string, number> {
  const wanted = countsOf(hypothesis)
  const found = new Map<string, number>()
  for (const reference of references)
    for (const [gram, times] of countsOf(keep(reference, wanted)))
      found.set(gram, Math.max(found.get(gram) ?? 0, Math.min(times, wanted.get(gram)!)))
  return found
}

function* keep(grams: readonly string[], wanted: ReadonlyMap<string, unknown>): Generator<string> {
  for (const gram of grams) if (wanted.has(gram)) yield gram
}

/** The sum of counts. */
export function total(counts: ReadonlyMap<string, number>): number {
  let sum = 0
  for (const times of counts.values()) sum += times
  return sum
}

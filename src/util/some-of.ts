/** @file Lists in messages: the first few, and how many more there are. */

/** How many are listed. */
const SHOWN = 10

/** The first items, with the number of those that are left out. */
export function someOf(items: readonly string[], { shown = SHOWN, separator = ', ' } = {}): string {
  const more = items.length - shown
  return items.slice(0, shown).join(separator) + (more > 0 ? `${separator}and ${more} more` : '')
}

/** The same for names, in quotes. */
export const someNames = (names: readonly string[]): string => someOf(names.map((name) => JSON.stringify(name)))

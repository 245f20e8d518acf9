/** @file Requests that wait: keys take turns, and those of one key go in the order in which they came. */

/** What can wait. */
export interface Waiting {
  /** Whose it is. */
  readonly key: string
}

/** A line for each key. */
export class WaitingLine<T extends Waiting> {
  /** In the order of their turns; none is empty. */
  private readonly lines = new Map<string, T[]>()

  /** How many wait. */
  get size(): number {
    return [...this.lines.values()].reduce((sum, line) => sum + line.length, 0)
  }

  /** All that wait, the keys in the order of their turns. */
  *[Symbol.iterator](): Generator<T> {
    for (const line of this.lines.values()) yield* line
  }

  /** Puts one at the end of its line. */
  add(item: T): void {
    const line = this.lines.get(item.key)
    if (line === undefined) this.lines.set(item.key, [item])
    else line.push(item)
  }

  /** Takes one out, wherever it stands; its key keeps its turn. @returns whether it was there */
  remove(item: T): boolean {
    const line = this.lines.get(item.key)
    const at = line?.indexOf(item) ?? -1
    if (at < 0) return false
    line!.splice(at, 1)
    if (line!.length === 0) this.lines.delete(item.key)
    return true
  }

  /** Takes the first that may go out of its line, whose key then has the last turn of all. */
  take(mayGo: (item: T) => boolean): T | undefined {
    for (const item of this) {
      if (!mayGo(item)) continue
      this.remove(item)
      const rest = this.lines.get(item.key)
      if (rest !== undefined) {
        this.lines.delete(item.key)
        this.lines.set(item.key, rest)
      }
      return item
    }
    return undefined
  }
}

/** @file Tokens by their beginnings: which of them a text has at a place. */

/** Marks an unused place of the table. */
const FREE = -1

/**
 * A tree of UTF-16 units in one hash table with open addressing: half a million nodes take a few typed arrays instead of
 * half a million maps.
 */
export class PrefixTree {
  private size = 1 << 12
  private parents = new Int32Array(this.size).fill(FREE)
  private units = new Uint16Array(this.size)
  private children = new Int32Array(this.size)
  /** Value of the token that ends at a node; -1 for none. */
  private values: number[] = [-1]

  /** A later value of the same token takes the place of the earlier. */
  add(token: string, value: number): void {
    let node = 0
    for (let i = 0; i < token.length; i++) node = this.childOrNew(node, token.charCodeAt(i))
    this.values[node] = value
  }

  /** Calls back with the end and the value of every token that `text` has at `start`, the shortest first. */
  find(text: string, start: number, use: (end: number, value: number) => void): void {
    let node = 0
    for (let at = start; at < text.length;) {
      const slot = this.slot(node, text.charCodeAt(at))
      if (this.parents[slot] === FREE) return
      node = this.children[slot]!
      at++
      const value = this.values[node]!
      if (value >= 0) use(at, value)
    }
  }

  private childOrNew(node: number, unit: number): number {
    let slot = this.slot(node, unit)
    if (this.parents[slot] !== FREE) return this.children[slot]!
    if (this.values.length * 2 > this.size) {
      this.grow()
      slot = this.slot(node, unit)
    }
    this.parents[slot] = node
    this.units[slot] = unit
    this.children[slot] = this.values.length
    this.values.push(-1)
    return this.children[slot]!
  }

  /** Where the child of a node is, or may be put. */
  private slot(node: number, unit: number): number {
    const mask = this.size - 1
    let slot = (Math.imul(node, 0x9e3779b1) ^ Math.imul(unit + 1, 0x85ebca6b)) >>> 0
    slot = (slot ^ (slot >>> 15)) & mask
    while (this.parents[slot] !== FREE && (this.parents[slot] !== node || this.units[slot] !== unit)) slot = (slot + 1) & mask
    return slot
  }

  private grow(): void {
    const { parents, units, children } = this
    this.size *= 2
    this.parents = new Int32Array(this.size).fill(FREE)
    this.units = new Uint16Array(this.size)
    this.children = new Int32Array(this.size)
    parents.forEach((parent, i) => {
      if (parent === FREE) return
      const slot = this.slot(parent, units[i]!)
      this.parents[slot] = parent
      this.units[slot] = units[i]!
      this.children[slot] = children[i]!
    })
  }
}

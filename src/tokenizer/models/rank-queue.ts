/** @file A queue of places, the lowest rank first, then the leftmost. */

/** Places in a piece of text are below this: V8's strings are no longer. */
const PLACES = 2 ** 30

/** A binary heap of numbers that hold rank and place; no object is made for an entry. */
export class RankQueue {
  /** Of the entry taken last. */
  rank = 0
  place = 0
  private readonly heap: number[] = []

  push(rank: number, place: number): void {
    const { heap } = this
    const entry = rank * PLACES + place
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]! <= entry) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = entry
  }

  /** Takes the first entry into `rank` and `place`; false if there is none. */
  pop(): boolean {
    const { heap } = this
    const first = heap[0]
    if (first === undefined) return false
    const last = heap.pop()!
    if (heap.length > 0) this.sink(last)
    this.rank = Math.floor(first / PLACES)
    this.place = first % PLACES
    return true
  }

  /** Puts an entry where the first one was, and down to its level. */
  private sink(entry: number): void {
    const { heap } = this
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= entry) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = entry
  }
}

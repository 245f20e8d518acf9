/** @file The first row of each content, told by a hash: rows that are like an earlier one are found in about 30 bytes a row. */
/** A hash of 64 bits, as two numbers of 32. */
export type Hash = readonly [high: number, low: number]

const scratch = new Float64Array(1)
const words = new Uint32Array(scratch.buffer)

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

/**
 * The hash of lists of numbers; where one list ends counts too. Two lanes of MurmurHash3's 32-bit round (Appleby, 2011), the
 * second with constants of xxHash: made for accidents, not against attackers.
 */
export function hashOf(lists: readonly ArrayLike<number>[]): Hash {
  let [high, low, length] = [0, 0, 0]
  const add = (word: number): void => {
    high = (Math.imul(rotate(high ^ Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593), 13), 5) + 0xe6546b64) | 0
    low = Math.imul(rotate((low + Math.imul(word ^ 0x27d4eb2f, 0x85ebca77)) | 0, 17), 0x9e3779b1)
    length++
  }
  for (const list of lists) {
    add(list.length)
    for (let i = 0; i < list.length; i++) {
      const value = list[i]!
      if ((value | 0) === value) add(value)
      else {
        scratch[0] = value
        add(words[0]!)
        add(words[1]!)
      }
    }
  }
  return [mixed(high ^ length), mixed(low ^ length)]
}

/** Every bit of the result depends on every bit given. */
function mixed(value: number): number {
  let x = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** An open-addressed table of hashes in flat arrays: a row costs 12 bytes, or twice as many while the table is half empty. */
export class FirstRows {
  private size = 0
  private keys = new Uint32Array(2 * 1024)
  /** Row and 1; 0 is free. */
  private rows = new Uint32Array(1024)

  /** The first row with this content, which is the given one if there was none before. */
  add(hash: Hash, row: number): number {
    if (2 * (this.size + 1) > this.rows.length) this.grow()
    const slot = this.slotOf(hash)
    const known = this.rows[slot]!
    if (known > 0) return known - 1
    this.put(slot, hash, row + 1)
    this.size++
    return row
  }

  /** The first row with this content, if there is one. */
  find(hash: Hash): number | undefined {
    const known = this.rows[this.slotOf(hash)]!
    return known > 0 ? known - 1 : undefined
  }

  private slotOf([high, low]: Hash): number {
    const mask = this.rows.length - 1
    let slot = low & mask
    while (this.rows[slot]! > 0 && (this.keys[2 * slot] !== high || this.keys[2 * slot + 1] !== low)) slot = (slot + 1) & mask
    return slot
  }

  private put(slot: number, [high, low]: Hash, value: number): void {
    this.keys[2 * slot] = high
    this.keys[2 * slot + 1] = low
    this.rows[slot] = value
  }

  private grow(): void {
    const { keys, rows } = this
    this.keys = new Uint32Array(2 * keys.length)
    this.rows = new Uint32Array(2 * rows.length)
    rows.forEach((value, slot) => {
      if (value === 0) return
      const hash: Hash = [keys[2 * slot]!, keys[2 * slot + 1]!]
      this.put(this.slotOf(hash), hash, value)
    })
  }
}

/**
 * @file The random numbers that decide which rows the original scripts see: MT19937 (Matsumoto and Nishimura, 1998), as Python's
 * `random.Random` and torch's generator of the CPU seed it and read it.
 */

const WORDS = 624
const MIDDLE = 397

/** A stream of MT19937. */
export class MersenneTwister {
  private readonly words = new Uint32Array(WORDS)
  private next = WORDS

  private constructor(seed: number) {
    this.words[0] = seed
    for (let i = 1; i < WORDS; i++) {
      const last = this.words[i - 1]!
      this.words[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i
    }
  }

  /** As `torch.Generator().manual_seed(seed)` begins: of a seed its lowest 32 bits count. */
  static torch(seed: number): MersenneTwister {
    return new MersenneTwister(seed >>> 0)
  }

  /** As Python's `random.Random(seed)` begins, with a seed of 32 bits: the key of one word of `init_by_array`. */
  static python(seed: number): MersenneTwister {
    const random = new MersenneTwister(19650218)
    const { words } = random
    let i = 1
    const step = (factor: number, added: number): void => {
      const last = words[i - 1]!
      words[i] = (words[i]! ^ Math.imul(last ^ (last >>> 30), factor)) + added
      if (++i < WORDS) return
      words[0] = words[WORDS - 1]!
      i = 1
    }
    for (let k = 0; k < WORDS; k++) step(1664525, seed)
    for (let k = 1; k < WORDS; k++) step(1566083941, -i)
    words[0] = 0x80000000
    return random
  }

  /** The next 32 bits. */
  uint32(): number {
    if (this.next === WORDS) this.refill()
    let y = this.words[this.next++]!
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }

  private refill(): void {
    const { words } = this
    for (let k = 0; k < WORDS; k++) {
      const y = (words[k]! & 0x80000000) | (words[(k + 1) % WORDS]! & 0x7fffffff)
      words[k] = words[(k + MIDDLE) % WORDS]! ^ (y >>> 1) ^ ((y & 1) === 1 ? 0x9908b0df : 0)
    }
    this.next = 0
  }

  /** A whole number from 0 to `last`, as `Random.randint(0, last)` draws it. @param last below 2^32 − 1 */
  randint(last: number): number {
    const count = last + 1
    const bits = 32 - Math.clz32(count)
    let drawn: number
    do drawn = this.uint32() >>> (32 - bits)
    while (drawn >= count)
    return drawn
  }

  /** 0 … count − 1 in an order of its own, as `torch.randperm(count, generator=…)` gives it. */
  randperm(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, i) => i)
    for (let i = 0; i < count - 1; i++) {
      const j = i + (this.uint32() % (count - i))
      const here = order[i]!
      order[i] = order[j]!
      order[j] = here
    }
    return order
  }
}

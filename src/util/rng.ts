/**
 * @file Seeded random numbers: the same seed gives the same numbers on every machine, and a stream can be saved and continued.
 *
 * xoshiro128** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2018): period 2^128 - 1, 32-bit
 * words only, so plain JavaScript numbers suffice. Its state is filled by splitmix32, so seeds that differ in one bit give
 * unrelated streams. Not for cryptography.
 */
import { InvalidOptionError } from '../errors.js'

/** A stream frozen between two draws; plain JSON. */
export interface RandomState {
  /** The four 32-bit words of xoshiro128**. */
  readonly words: readonly [number, number, number, number]
  /** The second number of the last Box-Muller pair, while it has not been drawn yet. */
  readonly spareNormal: number | null
}

/** A stream of random numbers. */
export class Random {
  private a: number
  private b: number
  private c: number
  private d: number
  private spareNormal: number | null = null

  /** @param seed any safe integer. @throws InvalidOptionError for anything else */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed))
      throw new InvalidOptionError(`The seed must be an integer of at most 53 bits, but is ${seed}.`)
    const next = splitmix32(mix32(seed >>> 0) ^ mix32(~Math.floor(seed / 2 ** 32)))
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next()
    // The all-zero state is xoshiro's only fixed point.
    if ((this.a | this.b | this.c | this.d) === 0) this.a = 1
  }

  /**
   * A stream of its own for each list of labels: drawing more from one never shifts another, so adding a module or a
   * feature changes no other module's numbers. `derive(7, 'lora_A', name)`.
   */
  static derive(seed: number, ...labels: readonly (string | number)[]): Random {
    if (!Number.isSafeInteger(seed))
      throw new InvalidOptionError(`The seed must be an integer of at most 53 bits, but is ${seed}.`)
    // Two independent 32-bit hashes, cut to the 53 bits a seed may have. JSON keeps ['a', 'b'] apart from ['ab'] and 1 from '1'.
    const text = JSON.stringify([seed, ...labels])
    return new Random(hash32(text, 0x9e3779b9) * 2 ** 21 + (hash32(text, 0x85ebca6b) >>> 11))
  }

  /** Continues a saved stream. @throws InvalidOptionError if the state is not one that `state` gave */
  static fromState(state: RandomState): Random {
    const words = state.words
    const valid = words.length === 4 && words.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32)
    if (!valid || words.every((word) => word === 0)) {
      throw new InvalidOptionError('A saved random state must hold four 32-bit words that are not all zero.')
    }
    const random = new Random(0)
    ;[random.a, random.b, random.c, random.d] = words
    random.spareNormal = state.spareNormal
    return random
  }

  /** The stream as it is now, for `Random.fromState`. */
  get state(): RandomState {
    return { words: [this.a, this.b, this.c, this.d], spareNormal: this.spareNormal }
  }

  /** A uniform integer in [0, 2^32). */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.b, 5), 7), 9) >>> 0
    const t = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b = (this.b ^ this.c) >>> 0
    this.a = (this.a ^ this.d) >>> 0
    this.c = (this.c ^ t) >>> 0
    this.d = rotateLeft(this.d, 11) >>> 0
    return result
  }

  /** A uniform number in [low, high), with all 53 bits of a double: [0, 1) by default. */
  uniform(low = 0, high = 1): number {
    const unit = ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53
    return low + (high - low) * unit
  }

  /** A normal number (Box and Muller, 1958): mean 0 and standard deviation 1 by default. */
  normal(mean = 0, standardDeviation = 1): number {
    if (this.spareNormal !== null) {
      const spare = this.spareNormal
      this.spareNormal = null
      return mean + standardDeviation * spare
    }
    // 1 - u lies in (0, 1], so the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    const angle = 2 * Math.PI * this.uniform()
    this.spareNormal = radius * Math.sin(angle)
    return mean + standardDeviation * radius * Math.cos(angle)
  }

  /** A uniform integer in [0, n), without modulo bias. @throws InvalidOptionError unless n is an integer in 1..2^32 */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) {
      throw new InvalidOptionError(`integer(n) needs n from 1 to 2^32, but n is ${n}.`)
    }
    const limit = 2 ** 32 - (2 ** 32 % n)
    for (;;) {
      const draw = this.uint32()
      if (draw < limit) return draw % n
    }
  }

  /** Shuffles in place (Fisher and Yates) and returns the same array. Typed arrays as well. */
  shuffle<T extends { length: number; [index: number]: unknown }>(array: T): T {
    for (let i = array.length - 1; i > 0; i--) {
      const j = this.integer(i + 1)
      const held = array[i]
      array[i] = array[j]
      array[j] = held
    }
    return array
  }
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits))
}

/** The finaliser of MurmurHash3: every input bit reaches every output bit. */
function mix32(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

function splitmix32(seed: number): () => number {
  let counter = seed | 0
  return () => {
    counter = (counter + 0x9e3779b9) | 0
    return mix32(counter)
  }
}

/** FNV-1a over UTF-16 units, then mixed. */
function hash32(text: string, basis: number): number {
  let hash = (0x811c9dc5 ^ basis) | 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mix32(hash)
}

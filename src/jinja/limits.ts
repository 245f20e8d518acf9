/** @file What one rendering may cost: a stranger's template must not stop the program, nor fill its memory. */
import { TemplateError } from './errors.js'

/** Work of one rendering: a statement, an expression, an item or 32 characters looked at are one each; a dialogue of a thousand turns takes about 100,000. */
const MAX_STEPS = 2_000_000
const CHARACTERS_A_STEP = 32
/** Longest text and longest list, far above any model's context and far below what JavaScript can hold. */
const MAX_TEXT = 2 ** 26
const MAX_ITEMS = 2 ** 22
/** Expressions within expressions, calls within calls, values within values: what JavaScript's own stack bears. Python gives up at about 300 calls. */
const MAX_DEPTH = 400
/** Longest integer, in bits; Python itself prints none above 4,300 digits. */
const MAX_BITS = 2 ** 15

/** Counts what a rendering costs and ends it where that is too much. */
export class Meter {
  private steps = 0
  private depth = 0

  /** Charges work. @throws TemplateError beyond the limit */
  step(count = 1): void {
    this.steps += count
    if (!(this.steps <= MAX_STEPS)) throw new TemplateError(`it takes more than ${MAX_STEPS} steps`)
  }

  /** Charges a look at every character of a text. */
  read(length: number): void {
    this.step(1 + length / CHARACTERS_A_STEP)
  }

  /** A text of this length is about to be made. */
  text(length: number): void {
    if (!(length <= MAX_TEXT)) throw new TemplateError(`it makes a text of more than ${MAX_TEXT} characters`)
  }

  /** A text is about to be written out character by character. */
  write(length: number): void {
    this.text(length)
    this.read(length)
  }

  /** A list of this length is about to be made. */
  items(length: number): void {
    if (!(length <= MAX_ITEMS)) throw new TemplateError(`it makes a list of more than ${MAX_ITEMS} items`)
    this.step(1 + length)
  }

  /** An integer of this many bits is about to be made. */
  bits(count: number): void {
    if (!(count <= MAX_BITS)) throw new TemplateError(`it makes an integer of more than ${MAX_BITS} bits`)
  }

  /** Runs something one level deeper. */
  deeper<T>(run: () => T): T {
    this.enter()
    try {
      return run()
    } finally {
      this.leave()
    }
  }

  enter(): void {
    if (++this.depth > MAX_DEPTH) throw new TemplateError(`it nests more than ${MAX_DEPTH} levels deep`)
  }

  leave(): void {
    this.depth--
  }
}

/** Brackets within brackets, tags within tags: Python's own compiler bears about 100. */
export const MAX_NESTING = 200
/** Longest `range`: the limit of Jinja's own sandbox. */
export const MAX_RANGE = 100_000

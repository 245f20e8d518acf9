/** @file What one rendering may cost: a stranger's template must not stop the program, nor fill its memory. */
import { TemplateError } from './errors.js'

/** Work of one rendering: a statement, an expression or an item is one; a dialogue of a thousand turns takes about 100,000. */
const MAX_STEPS = 2_000_000
/** What one step pays for, so that a step of each kind takes about the same time. */
const A_STEP = {
  /** Characters that JavaScript itself compares or searches as a block. */
  passed: 2048,
  /** Characters that it copies to new memory. */
  copied: 1024,
  /** Characters that a pattern or a method of JavaScript looks at. */
  read: 32,
  /** Characters or items that code of ours goes through one by one. */
  walked: 4,
  /** Bits of operands of integers' arithmetic. */
  bits: 128,
} as const
/** Longest text that V8 finds by its characters; longer ones of one length it has to compare with one another. */
const HASHED = 16383
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

  /** What was charged so far. */
  get charged(): number {
    return this.steps
  }

  /** Charges work. @throws TemplateError beyond the limit */
  step(count = 1): void {
    this.steps += count
    if (!(this.steps <= MAX_STEPS)) throw new TemplateError(`it takes more than ${MAX_STEPS} steps`)
  }

  /** Charges a look at every character of a text. */
  read(length: number): void {
    this.step(1 + length / A_STEP.read)
  }

  /** Charges passing over a text as a whole, as when it is compared. */
  pass(length: number): void {
    this.step(length / A_STEP.passed)
  }

  /** Charges going through characters or items one by one. */
  walk(count: number): void {
    this.step(count / A_STEP.walked)
  }

  /** A text of this length is about to be looked up. */
  key(length: number): void {
    if (length > HASHED) this.walk(length)
    else this.pass(length)
  }

  /** Charges arithmetic with integers of so many bits together. */
  calculate(bits: number): void {
    this.step(bits / A_STEP.bits)
  }

  /** A text of this length is about to be made. */
  text(length: number): void {
    if (!(length <= MAX_TEXT)) throw new TemplateError(`it makes a text of more than ${MAX_TEXT} characters`)
  }

  /** A text of this length is about to be copied, or put together of others: now, or when it is first looked into. */
  copy(length: number): void {
    this.text(length)
    this.step(length / A_STEP.copied)
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

/** @file How fast requests end, to tell those that are refused when to come again. */

/** Ends that are looked at. */
const RECENT = 64

/** Seconds that nobody is told to wait longer than. */
const LONGEST = 60

export class Pace {
  private readonly ends: number[] = []

  /** @param now milliseconds */
  constructor(private readonly now: () => number) {}

  /** A request has ended. */
  count(): void {
    this.ends.push(this.now())
    if (this.ends.length > RECENT) this.ends.shift()
  }

  /** Whole seconds, from 1 to 60, in which so many requests should end, as fast as the last ones did. */
  secondsFor(requests: number): number {
    const [first] = this.ends
    const each = first === undefined ? 0 : (this.now() - first) / this.ends.length / 1000
    return Math.min(LONGEST, Math.max(1, Math.ceil(each * requests)))
  }
}

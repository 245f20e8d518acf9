/** @file Where the records of a file begin, in two arrays that grow: millions of them take no objects. */

/** Where records begin. */
export class Places {
  private readonly starts = new GrowingArray(Float64Array)
  private readonly lines = new GrowingArray(Uint32Array)

  add(start: number, line: number): void {
    this.starts.push(start)
    this.lines.push(line)
  }

  get lastLine(): number {
    return this.lines.last
  }

  toArrays(): [Float64Array, Uint32Array] {
    return [this.starts.toArray(), this.lines.toArray()]
  }
}

class GrowingArray<T extends Float64Array | Uint32Array> {
  private values: T
  private length = 0

  constructor(private readonly make: new (length: number) => T) {
    this.values = new make(1024)
  }

  get last(): number {
    return this.values[this.length - 1] ?? 0
  }

  push(value: number): void {
    if (this.length === this.values.length) {
      const larger = new this.make(this.length * 2)
      larger.set(this.values)
      this.values = larger
    }
    this.values[this.length++] = value
  }

  toArray(): T {
    return this.values.slice(0, this.length) as T
  }
}

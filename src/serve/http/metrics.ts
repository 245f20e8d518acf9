/** @file Counters, gauges and histograms in Prometheus' text format, version 0.0.4. */

/** Labels and their values. */
export type Labels = Readonly<Record<string, string>>

const escaped = (value: string): string => value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')

const series = (name: string, labels: Labels): string => {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escaped(value)}"`)
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`
}

/** Something that is counted, and what it is. */
interface Metric {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  lines(): Iterable<string>
}

/** A number that only grows, for each combination of labels. */
export class Counter implements Metric {
  readonly type = 'counter'
  private readonly values = new Map<string, number>()

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  add(labels: Labels, amount = 1): void {
    const key = series(this.name, labels)
    this.values.set(key, (this.values.get(key) ?? 0) + amount)
  }

  *lines(): Iterable<string> {
    for (const [key, value] of this.values) yield `${key} ${value}`
  }
}

/** A number that is read when it is asked for. */
export class Gauge implements Metric {
  readonly type = 'gauge'

  /** @param read the value of each combination of labels */
  constructor(
    readonly name: string,
    readonly help: string,
    private readonly read: () => Iterable<readonly [labels: Labels, value: number]>,
  ) {}

  *lines(): Iterable<string> {
    for (const [labels, value] of this.read()) yield `${series(this.name, labels)} ${value}`
  }
}

/** How often values were at most as large as each of some bounds. */
export class Histogram implements Metric {
  readonly type = 'histogram'
  private readonly counts: number[]
  private sum = 0
  private total = 0

  /** @param bounds in ascending order */
  constructor(
    readonly name: string,
    readonly help: string,
    private readonly bounds: readonly number[],
  ) {
    this.counts = bounds.map(() => 0)
  }

  observe(value: number): void {
    this.sum += value
    this.total++
    this.bounds.forEach((bound, i) => {
      if (value <= bound) this.counts[i]!++
    })
  }

  *lines(): Iterable<string> {
    for (const [i, bound] of this.bounds.entries()) yield `${this.name}_bucket{le="${bound}"} ${this.counts[i]}`
    yield `${this.name}_bucket{le="+Inf"} ${this.total}`
    yield `${this.name}_sum ${this.sum}`
    yield `${this.name}_count ${this.total}`
  }
}

/** All of them as text. */
export const exposition = (metrics: readonly Metric[]): string =>
  metrics
    .flatMap((metric) => [`# HELP ${metric.name} ${metric.help}`, `# TYPE ${metric.name} ${metric.type}`, ...metric.lines()])
    .join('\n') + '\n'

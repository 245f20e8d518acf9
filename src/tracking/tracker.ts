/** @file What a tracker is: something that is told the numbers and texts of a run as they come, and its end. */

/** Numbers and texts of a run's settings. */
export type RunSettings = Readonly<Record<string, string | number | boolean>>

/** What a tracker is told when a run begins. */
export interface TrackedRun {
  /** What the run is called there. */
  readonly name: string
  readonly settings: RunSettings
  /** Steps done before: a run that continues tells those after it anew. */
  readonly resumedAt: number
}

/** How a run ended. */
export type TrackedEnd = 'finished' | 'aborted' | 'failed'

/** Numbers of one step, by their tags: `train/loss`. */
export type Scalars = Readonly<Record<string, number>>

/**
 * A place that shows runs. Nothing here waits for it and nothing throws: what it cannot take is told by `warnings`, once.
 * Times are milliseconds since 1970.
 */
export interface Tracker {
  begin(run: TrackedRun, time: number): void
  scalars(step: number, values: Scalars, time: number): void
  text(step: number, tag: string, text: string, time: number): void
  /** Resolves when everything was taken, or given up; within a few seconds. */
  end(how: TrackedEnd, time: number): Promise<void>
  /** What there is to say of the tracker since the last call. */
  warnings(): readonly string[]
}

/** @file What a run makes of an option, beside its value. */
import type { OptionGroup } from '../util/option-groups.js'

/** Columns of the tables of options of a run. */
export interface RunColumns {
  /** Where lists of options have it. */
  readonly group: OptionGroup
  /**
   * What another value changes:
   * - `numbers`: what the run computes, and so which run it is: its fingerprint has the value
   * - `entry`: that too, but its fingerprint tells it by an entry of its own, see `runFingerprint`
   * - `course`: when the run evaluates, saves or ends; it may be another when it continues, but is one for all processes
   * - `nothing` of these
   */
  readonly changes: 'numbers' | 'entry' | 'course' | 'nothing'
  /** Whether the model card lists the value, in the order of the table. */
  readonly card: boolean
}

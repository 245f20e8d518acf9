/** @file Which adapters of a set a row of a batch has: one, several added up, or none. */
import { InvalidOptionError } from '../errors.js'

/** An adapter of a set, and how much its change counts. */
export interface ScaledAdapter {
  /** Its name in the set. */
  readonly name: string
  /**
   * Any finite number, 1 by default, beside the set's own scale of it; 0 is as if it were not named. What it replaces as a whole (saved
   * modules, biases, tokens) has no scale.
   */
  readonly scale?: number
}

/** The adapters of a row: a name, several whose changes are added up, or null for the base model. */
export type RowAdapters = string | readonly ScaledAdapter[] | null

/** Whether something says which adapters a row has; names are looked up by the set. */
export const isRowAdapters = (value: unknown): value is RowAdapters =>
  value === null ||
  typeof value === 'string' ||
  (Array.isArray(value) &&
    value.every((each: unknown) => {
      const { name, scale } = (each ?? {}) as { readonly name?: unknown; readonly scale?: unknown }
      return typeof name === 'string' && (scale === undefined || Number.isFinite(scale))
    }))

/**
 * Each adapter of a row with its scale, by name: sums do not depend on the order in which they are asked for, not even by rounding.
 * @throws InvalidOptionError for one that is named twice
 */
export function scaledAdapters(row: RowAdapters): Required<ScaledAdapter>[] {
  const listed = row === null ? [] : typeof row === 'string' ? [{ name: row }] : row
  const names = listed.map(({ name }) => name).sort()
  const twice = names.find((name, i) => names[i + 1] === name)
  if (twice !== undefined)
    throw new InvalidOptionError(`the adapter "${twice}" is named twice; give it a scale to make it count more`)
  return names.flatMap((name) => {
    const { scale = 1 } = listed.find((each: ScaledAdapter) => each.name === name) as ScaledAdapter
    return scale === 0 ? [] : [{ name, scale }]
  })
}

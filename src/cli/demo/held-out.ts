/** @file Which rows are never trained on: those of these seeds. */
import type { Domain } from './rows.js'

export const HELD_OUT: Readonly<Record<Domain, { readonly rows: number; readonly seed: number }>> = {
  general: { rows: 200, seed: 1_000_001 },
  trains: { rows: 60, seed: 1_000_002 },
}

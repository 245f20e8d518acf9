/** @file The files that the demo learns from and is measured by. */
import type { Files } from '../../io/files.js'
import { HELD_OUT } from './held-out.js'
import { generateRows, toJsonl, type DemoRow } from './rows.js'

const TRAIN_ROWS = 6000

/** Of the demo's first run: its rows, its adapter, its order. */
export const DEMO_SEED = 1

/**
 * Writes train.jsonl and eval.jsonl. The rows of evaluation come from a seed of their own; a prompt that both have is taken out of
 * training.
 * @returns the rows of evaluation
 */
export async function writeDemoRows(files: Files, folder: string, seed: number): Promise<readonly DemoRow[]> {
  const heldOut = generateRows('trains', HELD_OUT.trains.rows, HELD_OUT.trains.seed)
  const known = new Set(heldOut.map((row) => row.prompt))
  const rows = generateRows('trains', TRAIN_ROWS, seed).filter((row) => !known.has(row.prompt))
  await files.write(`${folder}/train.jsonl`, toJsonl(rows))
  await files.write(`${folder}/eval.jsonl`, toJsonl(heldOut))
  return heldOut
}

/** @file Options of the run that is killed, and of the one that is not. */
import type { TrainOptions } from '../../src/train/options.js'

export const killOptions = (folder: string, steps: number): TrainOptions => ({
  data: `${folder}/rows.jsonl`,
  evalData: `${folder}/eval.jsonl`,
  ...{ steps, batchSize: 2, gradAccum: 2, learningRate: 1e-3, seed: 5, evalEvery: 3, checkpointEvery: 1, saveTotalLimit: 2 },
})

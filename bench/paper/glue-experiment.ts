/** @file Which runs the GLUE experiments are made of: table 2 at this size. */
import { glueTasks, type GlueOutcome, type GlueRun } from './glue-run.js'
import type { Method } from './methods.js'
import { FIRST_PROBE, type RunStore } from './run-store.js'

export const glueMethods: readonly Method[] = [
  { name: 'all weights', kind: 'full' },
  { name: 'biases (BitFit)', kind: 'bitfit' },
  { name: 'LoRA, r = 8 on Wq, Wv', kind: 'lora', r: 8, targets: ['query', 'value'] },
]

/** Tried on SST-2 with half the steps and a seed that the table does not have; the best is taken for all tasks. */
const RATES: Readonly<Record<Method['kind'], readonly number[]>> = {
  full: [3e-4, 1e-3],
  bitfit: [3e-3, 1e-2],
  lora: [2e-3, 6e-3],
}

const STEPS = 200

/** Every method on every task. */
export async function glueBeside(store: RunStore, model: string, seeds: number): Promise<void> {
  for (const method of glueMethods) {
    const losses = new Map<number, number>()
    for (const learningRate of RATES[method.kind]) {
      const probe: GlueRun = { experiment: 'glue', task: 'SST-2', method, learningRate, seed: FIRST_PROBE, steps: STEPS / 2 }
      losses.set(learningRate, (await store.outcome<GlueOutcome>(probe, model)).score)
    }
    const [learningRate] = [...losses].reduce((a, b) => (b[1] > a[1] ? b : a))
    for (const task of glueTasks)
      for (let seed = 0; seed < seeds; seed++)
        await store.outcome<GlueOutcome>({ experiment: 'glue', task, method, learningRate, seed, steps: STEPS }, model)
  }
}

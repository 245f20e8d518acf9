/** @file Scores that several processes counted apart, against those of all rows counted in one. */
import { expect, it } from 'vitest'
import { inProcesses } from '../../test/support/processes.js'
import { float32, int64 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import type { Scores } from './objective.js'
import { classScores, regressionScores } from './objectives/scores.js'
import { SharedScores } from './shared-scores.js'

type Run = Parameters<Scores['add']>

const regression: Run[] = [[1, 2, 0.5], [4], [-3, 7]].map((values, k) => [
  { logits: float32([values.length, 1], Float32Array.from(values)) },
  {
    labels: float32(
      [values.length],
      Float32Array.from(values, (v, i) => v * v - i - k),
    ),
    input_ids: int64([values.length, 1], values.map(() => 1)), // prettier-ignore
  },
])

const classes: Run[] = [
  [0, 1, 1],
  [1, 0, 0],
  [1, 1, 0],
].map((labels, k) => [
  {
    logits: float32(
      [3, 2],
      Float32Array.from({ length: 6 }, (_, i) => Math.sin(i * 5 + k)),
    ),
  },
  { labels: int64([3], labels) },
])

it.each([
  ['a correlation', regressionScores, regression],
  ['a confusion matrix', () => classScores(2), classes],
])('%s is that of all runs, wherever they ran', async (_name, make, runs) => {
  const alone = make()
  for (const run of runs) alone.add(...run)
  // The last process has none.
  const results = await inProcesses(3, async (communicator) => {
    const shared = new SharedScores()
    const fed: Record<string, HostTensor>[] = []
    runs.forEach((run, i) => i % 2 === communicator.rank && shared.add(...run))
    const scores = make()
    await shared.tell(
      { add: (out, feeds) => (fed.push({ ...feeds }), scores.add(out, feeds)), result: scores.result },
      communicator,
    )
    expect(fed.every((feeds) => Object.keys(feeds).join() === 'labels')).toBe(true)
    return scores.result()
  })
  for (const result of results)
    for (const [name, value] of Object.entries(alone.result())) expect(result[name]).toBeCloseTo(value, 12)
})

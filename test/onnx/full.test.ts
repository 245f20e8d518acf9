/** @file Every weight of an .onnx file trained: checkpoints, and the trained file in the run's folder. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { evaluate, fullTrainee, loadModel, train, type TrainOptions } from '../../src/index.js'

const temporary = mkdtempSync(join(tmpdir(), 'lowrank-full-onnx-'))
afterAll(() => rmSync(temporary, { recursive: true }))

const data = join(temporary, 'rows.jsonl')
writeFileSync(
  data,
  Array.from({ length: 6 }, (_, row) =>
    JSON.stringify({ input_ids: Array.from({ length: 5 + (row % 3) }, (_, i) => 3 + ((7 * row + 5 * i) % 60)) }),
  ).join('\n'),
)
const file = 'test/fixtures/onnx/exports/llama-dynamo/model.onnx'

async function run(options: Omit<TrainOptions, 'data'>): Promise<Awaited<ReturnType<typeof fullTrainee>>> {
  const trainee = await fullTrainee(await loadModel(file, { threads: 1 }))
  for await (const event of train(trainee, { data, batchSize: 3, learningRate: 1e-3, ...options })) void event
  return trainee
}

describe('an .onnx file trained whole', () => {
  it('is saved with its run, and again after it was resumed', async () => {
    const out = join(temporary, 'run')
    await run({ out, steps: 2, checkpointEvery: 1 })
    const trainee = await run({ out, steps: 4, checkpointEvery: 1, resume: true })
    const saved = await loadModel(join(out, 'model.onnx'), { threads: 1 })
    const loss = (await evaluate(saved, { data })).loss
    expect(loss).toBeCloseTo((await evaluate(trainee, { data })).loss, 5)
    expect(loss).toBeLessThan((await evaluate(await loadModel(file, { threads: 1 }), { data })).loss)
  })
})

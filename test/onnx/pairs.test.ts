/**
 * @file One model as safetensors and as exports of it: the same adapters, losses and trained tensors.
 * `test/oracle/write-onnx-exports.py` made the exports from the golden models.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { evaluate, loadAdapter, loadModel, merge, train, type Adapter, type Model } from '../../src/index.js'
import { decodeModel } from '../../src/onnx/decode.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { tensor } from '../../src/graph/constants.js'
import { relativeError } from '../models/golden.js'

const golden = 'test/fixtures/golden/peft'
const exports = 'test/fixtures/onnx/exports'
/** Golden case, and the export of its model. */
const pairs = [
  ['llama', 'llama-torchscript'],
  ['llama', 'llama-dynamo'],
  ['llama-embedding', 'llama-torchscript'],
  ['llama-dora', 'llama-dynamo'],
  ['gpt2', 'gpt2-torchscript'],
  ['roberta', 'roberta-torchscript'],
] as const

const temporary = mkdtempSync(join(tmpdir(), 'lowrank-pairs-'))
afterAll(() => rmSync(temporary, { recursive: true }))

const rows = Array.from({ length: 6 }, (_, row) => ({
  input_ids: Array.from({ length: 5 + (row % 3) }, (_, i) => 3 + ((7 * row + 5 * i) % 60)),
  ...{ label: row % 2 },
}))

function dataFor(model: Model): string {
  const path = join(temporary, `${model.task.name}.jsonl`)
  const lines = rows.map(({ input_ids, label }) => ({ input_ids, ...(model.task.name !== 'causal-lm' && { label }) }))
  writeFileSync(path, lines.map((row) => JSON.stringify(row)).join('\n'))
  return path
}

async function losses(adapter: Adapter, data: string): Promise<number[]> {
  const result: number[] = []
  for await (const event of train(adapter, { data, steps: 4, batchSize: 3, learningRate: 5e-3, shuffle: false, seed: 1 }))
    if (event.event === 'step') result.push(event.loss)
  return result
}

/** Logits of a file for the rows, padded. */
async function logitsOf(path: string): Promise<Float32Array> {
  const graph = decodeModel(new Uint8Array(readFileSync(path)), { source: path, folder: join(path, '..') })
  const session = await nodeRuntime({ threads: 1 }).createSession(graph)
  const width = Math.max(...rows.map(({ input_ids }) => input_ids.length))
  const padded = (fill: (row: readonly number[], i: number) => number): number[] =>
    rows.flatMap(({ input_ids }) => Array.from({ length: width }, (_, i) => fill(input_ids, i)))
  const shape = [rows.length, width]
  const feeds = {
    input_ids: tensor('int64', shape, padded((row, i) => row[i] ?? 1)),
    attention_mask: tensor('int64', shape, padded((row, i) => Number(i < row.length))),
  } // prettier-ignore
  const results = await session.run(feeds)
  await session.release()
  return results['logits']!.data as Float32Array
}

describe('an export and the model that it was made from', () => {
  it.each(pairs)('%s on %s', async (name, exported) => {
    const options = { threads: 1 }
    const folder = await loadModel(`${golden}/${name}/model`, options)
    const file = await loadModel(`${exports}/${exported}/model.onnx`, options)
    const data = dataFor(folder)
    expect(file.task).toEqual(folder.task)
    expect(file.vocabularySize).toBe(folder.vocabularySize)
    expect(file.maxPositions).toBe(folder.maxPositions)
    expect(file.defaultTargetModules).toEqual(folder.defaultTargetModules)

    const source = `${golden}/${name}/adapter`
    const [there, here] = [await loadAdapter(folder, source), await loadAdapter(file, source)]
    const before = await evaluate(there, { data })
    expect((await evaluate(here, { data })).loss / before.loss).toBeCloseTo(1, 5)

    const [expected, found] = [await losses(there, data), await losses(here, data)]
    found.forEach((loss, i) => expect(Math.abs(loss / expected[i]! - 1), `step ${i}`).toBeLessThan(1e-4))
    expect([...here.tensors.keys()].sort()).toEqual([...there.tensors.keys()].sort())
    for (const [key, { data: values }] of there.tensors)
      expect(relativeError(here.tensors.get(key)!.data as Float32Array, values as Float32Array), key).toBeLessThan(1e-3)

    // What was trained on the file is an adapter of the folder, and the other way round.
    const [byFile, byFolder] = [join(temporary, `${name}-${exported}-file`), join(temporary, `${name}-${exported}-folder`)]
    await here.save(byFile)
    await there.save(byFolder)
    const onFolder = await evaluate(await loadAdapter(folder, byFile), { data })
    const onFile = await evaluate(await loadAdapter(file, byFolder), { data })
    expect(onFolder.loss / onFile.loss).toBeCloseTo(1, 4)
    expect(onFolder.loss).toBeLessThan(before.loss)

    // Merged, it is an ordinary file that gives the adapter's loss.
    const out = join(temporary, `${name}-${exported}`)
    const { out: path, maxAbsDelta } = await merge(here).save(out)
    expect(maxAbsDelta).toBeGreaterThan(0)
    expect(path).toBe(`${out}/model.onnx`)
    const merged = await loadModel(path, options)
    expect(merged.task).toEqual(file.task)
    expect((await evaluate(merged, { data })).loss / (await evaluate(here, { data })).loss).toBeCloseTo(1, 5)
    const unmerged = await logitsOf(`${exports}/${exported}/model.onnx`)
    expect(relativeError(await logitsOf(path), unmerged)).toBeGreaterThan(1e-3)
  })
})

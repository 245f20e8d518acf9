/** @file The examples of docs/loralib.md run. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { forward, loadModel } from '../src/index.js'
import * as nn from '../src/nn/index.js'
import { nodeEnvironment } from '../src/node-environment.js'
import { encodeModel } from '../src/onnx/index.js'
import { blocksOf, runHere } from './support/document.js'
import { temporaryFolder } from './support/training.js'

const page = 'docs/loralib.md'
const folder = temporaryFolder()

it('every block of docs/loralib.md runs, one after the other', async () => {
  const blocks = blocksOf('ts', page)
  expect(blocks.length).toBeGreaterThan(8)
  const logged: unknown[][] = []
  const given = {
    nn,
    nodeEnvironment: () => nodeEnvironment({ threads: 1 }),
    folder,
    console: { log: (...line: unknown[]) => logged.push(line) },
  }
  type Results = { output: { shape: number[] }; block: nn.Module; asInPeft: nn.Conv2d }
  const { output, block, asInPeft } = await runHere<Results>(blocks.join('\n'), given, '{ output, block, asInPeft }')
  expect(output.shape).toEqual([4, 1])
  expect(logged.map(([step]) => step)).toEqual([1, 2, 3, 4, 5])
  expect(Number(logged[4]![1])).toBeLessThan(Number(logged[0]![1]))
  expect(block.namedParameters().map(([path]) => path)).toContain('up.lora_A')
  expect(asInPeft.lora_A!.shape).toEqual([2, 4, 3, 3])
})

it('the block that writes a network as an .onnx file runs, and the file gives what the network gives', async () => {
  const [code] = blocksOf('js', page)
  const merged = nn.initialize(new nn.Sequential(new nn.Linear(8, 4), new nn.Tanh(), new nn.Linear(4, 2)))
  const writeFile = (name: string, bytes: Uint8Array): void => writeFileSync(join(folder, name), bytes)
  await runHere(code!, { nn, encodeModel, writeFile, merged })
  const x = { dtype: 'float32' as const, shape: [3, 8], data: Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)) }
  const model = await loadModel(join(folder, 'merged.onnx'), { threads: 1 })
  expect([...model.modules.keys()]).toEqual(['0', '2'])
  const [found] = Object.values(await forward(model, { input_0: x }))
  const expected = await new nn.Predictor(merged, nodeEnvironment({ threads: 1 }).runtime).run(x)
  Array.from(found!.data as Float32Array).forEach((v, i) => expect(v).toBeCloseTo((expected.data as Float32Array)[i]!, 5))
})

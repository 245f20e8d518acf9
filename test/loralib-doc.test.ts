/** @file The examples of docs/loralib.md run. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'
import { forward, loadModel } from '../src/index.js'
import * as nn from '../src/nn/index.js'
import { nodeEnvironment } from '../src/node-environment.js'
import { encodeModel } from '../src/onnx/index.js'

it('every block of docs/loralib.md runs, one after the other', async () => {
  const text = readFileSync('docs/loralib.md', 'utf8')
  const blocks = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!)
  expect(blocks.length).toBeGreaterThan(8)
  const source = blocks.join('\n').replace(/^import .*\n/m, '')
  const { outputText } = ts.transpileModule(
    `export const run = async () => {\n${source}\nreturn { output, block, asInPeft }\n}`,
    {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    },
  )
  const folder = mkdtempSync(join(tmpdir(), 'lowrank-doc-'))
  const logged: unknown[][] = []
  try {
    const body = outputText.replace('export const run =', 'const run =')
    const run = new Function('nn', 'nodeEnvironment', 'folder', 'console', `${body}\nreturn run()`) as (
      ...args: unknown[]
    ) => Promise<{ output: { shape: number[] }; block: nn.Module; asInPeft: nn.Conv2d }>
    const { output, block, asInPeft } = await run(nn, () => nodeEnvironment({ threads: 1 }), folder, {
      log: (...line: unknown[]) => logged.push(line),
    })
    expect(output.shape).toEqual([4, 1])
    expect(logged.map(([step]) => step)).toEqual([1, 2, 3, 4, 5])
    expect(Number(logged[4]![1])).toBeLessThan(Number(logged[0]![1]))
    expect(block.namedParameters().map(([path]) => path)).toContain('up.lora_A')
    expect(asInPeft.lora_A!.shape).toEqual([2, 4, 3, 3])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('the block that writes a network as an .onnx file runs, and the file gives what the network gives', async () => {
  const [, code] = /```js\n([\s\S]*?)```/.exec(readFileSync('docs/loralib.md', 'utf8'))!
  const folder = mkdtempSync(join(tmpdir(), 'lowrank-nn-'))
  try {
    const merged = nn.initialize(new nn.Sequential(new nn.Linear(8, 4), new nn.Tanh(), new nn.Linear(4, 2)))
    const write = (name: string, bytes: Uint8Array): void => writeFileSync(join(folder, name), bytes)
    const body = code!.replace(/^import .*\n/gm, '')
    const run = new Function('nn', 'encodeModel', 'writeFile', 'merged', `return (async () => {${body}})()`) as (...args: unknown[]) => Promise<void> // prettier-ignore
    await run(nn, encodeModel, write, merged)
    const x = { dtype: 'float32' as const, shape: [3, 8], data: Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)) }
    const model = await loadModel(join(folder, 'merged.onnx'), { threads: 1 })
    expect([...model.modules.keys()]).toEqual(['0', '2'])
    const [found] = Object.values(await forward(model, { input_0: x }))
    const expected = await new nn.Predictor(merged, nodeEnvironment({ threads: 1 }).runtime).run(x)
    Array.from(found!.data as Float32Array).forEach((v, i) => expect(v).toBeCloseTo((expected.data as Float32Array)[i]!, 5))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

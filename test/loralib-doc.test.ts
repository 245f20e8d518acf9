/** @file The examples of docs/loralib.md run. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'
import * as nn from '../src/nn/index.js'
import { nodeEnvironment } from '../src/node-environment.js'

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

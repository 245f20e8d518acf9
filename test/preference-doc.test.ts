/** @file The example of docs/preference.md runs, and its command does what it says. */
import { readFileSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'
import { addLora, loadModel, train } from '../src/index.js'
import { golden, runCli } from './cli/run-cli.js'
import { temporaryFolder } from './support/training.js'

const folder = temporaryFolder()
const base = join(golden, 'llama/model')

it('the block of docs/preference.md runs', async () => {
  const [block, ...more] = [...readFileSync('docs/preference.md', 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)]
  expect(more).toHaveLength(0)
  const source = `const run = async () => {\n${block![1]!.replace(/^import .*\n/gm, '')}\n}`
  const target = ts.ScriptTarget.ES2022
  const { outputText } = ts.transpileModule(source, { compilerOptions: { target, module: ts.ModuleKind.ESNext } })
  const logged: number[][] = []
  const given = { addLora, loadModel, train, writeFile, folder, base, console: { log: (...line: number[]) => logged.push(line) } }
  const run = new Function(...Object.keys(given), `${outputText}\nreturn run()`) as (...args: unknown[]) => Promise<void>
  await run(...Object.values(given))
  expect(logged).toHaveLength(10)
  const [first, last] = [logged[0]!, logged[9]!]
  expect(first[1]).toBeCloseTo(Math.log(2), 5)
  expect(last[1]).toBeLessThan(first[1]!)
  expect(last[2]).toBe(1)
  expect(last[3]).toBeGreaterThan(0)
})

it('the command line trains and evaluates preferences', async () => {
  const { rows } = JSON.parse(readFileSync('test/fixtures/preferences.json', 'utf8')) as { rows: unknown[] }
  const data = join(folder, 'rows.jsonl')
  writeFileSync(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const out = join(folder, 'out')
  const flags = ['--model', base, '--data', data, '--objective', 'dpo', '--beta', '0.3', '--json']
  const trained = await runCli(['train', ...flags, '--out', out, '--steps', '6', '--lr', '0.01', '--loss-type', 'sigmoid'])
  expect(trained.code, trained.stderr).toBe(0)
  const steps = trained.json().filter(({ event }) => event === 'step')
  expect(steps[0]).toMatchObject({ loss: expect.closeTo(Math.log(2), 4), rewardMargin: expect.closeTo(0, 4) })
  const evaluated = await runCli(['eval', ...flags, '--adapter', out])
  expect(evaluated.code, evaluated.stderr).toBe(0)
  const [result] = evaluated.json()
  expect(result!['loss']).toBeLessThan(Math.log(2))
  expect(result!['rewardMargin']).toBeGreaterThan(0)
  const refused = await runCli(['train', ...flags, '--out', join(folder, 'no'), '--label-smoothing', '0.7'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('--label-smoothing must be at least 0 and below 0.5, got 0.7')
})

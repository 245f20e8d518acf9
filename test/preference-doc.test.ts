/** @file docs/preference.md: its walk-through word for word, as a reader types it; and its command does what the page says of it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DEMO_SEED, writeDemoRows } from '../src/cli/demo/write-rows.js'
import { nodeFiles } from '../src/io/node-files.js'
import { golden, runCli } from './cli/run-cli.js'
import { blocksOf, expectWalk } from './support/document.js'
import { Reader } from './support/reader.js'
import { temporaryFolder } from './support/training.js'

const section = ['docs/preference.md', 'A walk-through'] as const

describe.skipIf(process.platform === 'win32')('the walk-through of docs/preference.md', () => {
  const reader = new Reader()

  it('runs word for word', async () => {
    // The demo is run by the test of docs/guide.md.
    await writeDemoRows(nodeFiles(), reader.file('out/demo'), DEMO_SEED)
    const outputs = await reader.types(blocksOf('bash', ...section), { 'npm run demo': ':' })
    expectWalk(outputs, ...section, { form: true })
  }, 300_000)

  it('compiles and runs: more announcements name their platform', async () => {
    const output = await reader.program('preferences', blocksOf('ts', ...section).join('\n'))
    const [before, after] = [...output.matchAll(/^(?:before|after): (\d+) of 60$/gm)].map(([, right]) => Number(right))
    expect(after!, output).toBeGreaterThan(before!)
    const steps = [...output.matchAll(/^(\d+) (\S+) (\S+) (\S+)$/gm)].map((line) => line.slice(1).map(Number))
    expect(steps.map(([step]) => step)).toEqual([5, 10, 15, 20, 25])
    expect(steps.at(-1)![1]).toBeLessThan(Math.log(2))
    expect(steps.at(-1)![3]).toBeGreaterThan(0)
  }, 300_000)
})

it('the command line trains and evaluates preferences', async () => {
  const folder = temporaryFolder()
  const base = join(golden, 'llama/model')
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
  expect(refused.stderr).toContain('--label-smoothing of objective "dpo" must be below 0.5, got 0.7')
})

/** @file `lowrank train` and `eval` with --objective kto, on rows of a table. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { golden, runCli, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const base = join(golden, 'llama/model')

it('trains and evaluates judged completions, and names its flags where it refuses', async () => {
  const { rows } = JSON.parse(readFileSync('test/fixtures/kto.json', 'utf8')) as { rows: readonly object[] }
  const data = join(folder, 'judged.jsonl')
  writeFileSync(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const out = join(folder, 'out')
  const flags = ['--model', base, '--data', data, '--objective', 'kto', '--beta', '0.3', '--undesirable-weight', '1.5']
  const trained = await runCli(['train', ...flags, '--out', out, '--steps', '4', '--batch-size', '7', '--lr', '0.01', '--json'])
  expect(trained.code, trained.stderr).toBe(0)
  const steps = trained.json().filter(({ event }) => event === 'step')
  expect(steps[0]).toMatchObject({ kl: expect.closeTo(0, 4), rewardMargin: expect.closeTo(0, 4) })
  expect(readFileSync(join(out, 'README.md'), 'utf8')).toContain('| undesirableWeight | `1.5` |')
  const evaluated = await runCli(['eval', ...flags, '--adapter', out, '--json'])
  expect(evaluated.code, evaluated.stderr).toBe(0)
  expect(evaluated.json()[0]!['rewardMargin']).toBeGreaterThan(0)
  const refused = await runCli(['train', ...flags, '--out', join(folder, 'no'), '--loss-type', 'ipo'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('of objective "kto" must be "kto" or "apo_zero_unpaired", got "ipo"')
})

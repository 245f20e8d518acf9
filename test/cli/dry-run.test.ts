/** @file lowrank train --dry-run: one plan, nothing written, its peak memory against that of a run. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runProcess, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const model = 'demo/base'
const rows = join(folder, 'rows.jsonl')
const ids = (length: number): number[] => Array.from({ length }, (_, i) => 3 + (i % 200))
writeFileSync(rows, Array.from({ length: 8 }, () => JSON.stringify({ input_ids: ids(96) })).join('\n'))
const args = (out: string, ...more: string[]): string[] =>
  ['train', '--model', model, '--data', rows, '--out', join(folder, out), '--threads', '1', ...more] // prettier-ignore

describe('lowrank train --dry-run', () => {
  it('prints one plan and writes nothing', async () => {
    const { code, stderr, json } = await runProcess(args('never', '--batch-size', '4', '--dry-run', '--json'))
    expect([code, stderr]).toEqual([0, ''])
    const [plan, ...more] = json() as Record<string, number | string>[]
    expect(more).toEqual([])
    expect(plan!['event']).toBe('plan')
    const parts = ['weightsBytes', 'activationBytes', 'optimizerBytes', 'runtimeBytes'].map((key) => plan![key] as number)
    for (const bytes of parts) expect(bytes).toBeGreaterThan(0)
    expect(Math.abs(parts.reduce((a, b) => a + b) - (plan!['peakMemoryBytes'] as number))).toBeLessThan(4)
    expect(plan).toMatchObject({ steps: 2, tokensPerStep: 4 * 96 })
    expect((plan!['totalParameters'] as number) - (plan!['trainableParameters'] as number)).toBe(1394080)
    expect(plan!['secondsPerStep']).toBeGreaterThan(0)
    expect(existsSync(join(folder, 'never'))).toBe(false)
  })

  it('predicts the peak memory of a run', async () => {
    const flags = ['--batch-size', '4', '--steps', '3', '--target-modules', 'all-linear', '--json']
    const [plan] = (await runProcess(args('never', ...flags, '--dry-run'))).json()
    const events = (await runProcess(args('run', ...flags))).json()
    const measured = events.find(({ event }) => event === 'done')!['peakMemoryBytes'] as number
    const ratio = (plan!['peakMemoryBytes'] as number) / measured
    expect(ratio).toBeGreaterThan(0.85)
    expect(ratio).toBeLessThan(1.15)
  })

  it('tells people the same in words', async () => {
    const { code, stdout } = await runProcess(args('never', '--dry-run'))
    expect(code).toBe(0)
    expect(stdout).toMatch(/^peak memory +\d.* MB: weights .*activations .*\ntime per step .* tokens .*\nparameters /)
  })

  it('refuses what training refuses', async () => {
    const { code, stderr } = await runProcess(args('never', '--dry-run', '--early-stopping', '2'))
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: --early-stopping needs --eval-data/)
  })
})

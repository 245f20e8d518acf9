/**
 * @file lowrank merge, combine and extract with several adapters: sums against the single adapters, and nothing written over
 * unasked.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LOCK_FILE } from '../../src/io/folder-lock.js'
import { takeLock } from '../../src/io/node-lock.js'
import { readAll } from './golden-rows.js'
import { golden, runCli, temporaryFolder } from './run-cli.js'

const model = join(golden, 'llama', 'model')
const [poet, lawyer] = [join(golden, 'llama', 'adapter-trained'), join(golden, 'llama', 'adapter')]
const bytes = (folder: string): Buffer => readFileSync(join(folder, 'model.safetensors'))

describe('merge with weights', () => {
  it('adds adapters by weight: 0.5 and 0.5 of one are the one, and 1 and 1 is the sum', async () => {
    const out = temporaryFolder()
    const merge = (name: string, ...more: string[]) =>
      runCli(['merge', '--model', model, '--out', join(out, name), '--json', ...more])
    const results = [
      await merge('plain', '--adapter', poet),
      await merge('halves', '--adapter', poet, '--adapter', poet, '--weights', '0.5,0.5'),
      await merge('sum', '--adapter', poet, '--adapter', lawyer),
      await merge('weighted', '--adapter', poet, '--adapter', lawyer, '--weights', '1,1'),
      await merge('ties', '--adapter', poet, '--adapter', lawyer, '--combination', 'ties_svd', '--density', '0.5'),
    ]
    expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, '']))
    const deltas = results.map((result) => result.json()[0]!['maxAbsDelta'] as number)
    expect(deltas[1]).toBeCloseTo(deltas[0]!, 6)
    expect(deltas[3]).toBeCloseTo(deltas[2]!, 6)
    expect(deltas[4]).not.toBeCloseTo(deltas[3]!, 6)
    expect(bytes(join(out, 'ties')).length).toBe(bytes(join(out, 'plain')).length)
  })

  it('names wrong weights', async () => {
    const out = join(temporaryFolder(), 'x')
    const two = ['merge', '--model', model, '--adapter', poet, '--adapter', lawyer, '--out', out]
    const cases: [string[], number, string][] = [
      [['--weights', '1'], 2, '--weights has 1 numbers for 2 adapters'],
      [['--weights', '1,x'], 2, '--weights must be numbers with commas between them, got "1,x"'],
      [['--combination', 'ties'], 1, '"ties" needs density'],
      [['--combination', 'sum'], 2, 'sum'],
    ]
    for (const [flags, code, message] of cases) {
      const result = await runCli([...two, ...flags])
      expect([result.code, result.stderr]).toEqual([code, expect.stringContaining(message)])
    }
    expect(existsSync(out)).toBe(false)
  })
})

describe('combine', () => {
  it('writes an adapter that merges to the weighted sum', async () => {
    const out = temporaryFolder()
    const weighted = ['--model', model, '--adapter', poet, '--adapter', lawyer, '--weights', '0.75,-0.5', '--json']
    const both = join(out, 'both')
    const made = await runCli(['combine', ...weighted, '--out', both])
    expect([made.code, made.stderr]).toEqual([0, ''])
    const [told] = made.json() as { out: string; adapters: number; layers: { module: string; r: number }[] }[]
    expect(told).toMatchObject({ out: both, adapters: 2 })
    expect(told!.layers.map(({ r }) => r)).toEqual([8, 8, 8, 8])
    await runCli(['merge', '--model', model, '--adapter', both, '--out', join(out, 'one')])
    await runCli(['merge', ...weighted, '--out', join(out, 'two')])
    const [one, two] = [
      await readAll(join(out, 'one', 'model.safetensors')),
      await readAll(join(out, 'two', 'model.safetensors')),
    ]
    for (const [name, values] of one)
      expect(Math.max(...values.map((value, i) => Math.abs(value - two.get(name)![i]!))), name).toBeLessThan(1e-6)
  })

  it('adds with weight 1 unless told otherwise, and tells people what it wrote', async () => {
    const out = join(temporaryFolder(), 'sum')
    const result = await runCli(['combine', '--model', model, '--adapter', poet, '--adapter', lawyer, '--combination', 'svd', '--combined-rank', '3', '--out', out]) // prettier-ignore
    expect([result.code, result.stderr]).toEqual([0, ''])
    expect(result.stdout).toMatch(/^combined 2 adapters into .*; 4 layers, ranks 3 to 3\n$/)
    const dora = join(golden, 'llama-dora', 'adapter')
    const refused = await runCli(['combine', '--model', model, '--adapter', poet, '--adapter', dora, '--out', `${out}2`])
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('adapter 1 is DoRA')])
    expect(existsSync(`${out}2`)).toBe(false)
  })
})

describe('extract', () => {
  it('finds the adapter again that a model was merged with', async () => {
    const out = join(temporaryFolder(), 'found')
    const tuned = join(golden, 'llama', 'merged')
    const result = await runCli(['extract', '--model', model, '--tuned', tuned, '--out', out, '--energy', '0.9999', '--json'])
    expect([result.code, result.stderr]).toEqual([0, ''])
    const { layers, left } = result.json()[0] as { layers: { r: number; energy: number }[]; left: string[] }
    expect(layers.length).toBeGreaterThan(0)
    for (const { energy } of layers) expect(energy).toBeGreaterThanOrEqual(0.9999)
    expect(left).toEqual([])
    expect(existsSync(join(out, 'adapter_model.safetensors'))).toBe(true)
    const people = await runCli(['extract', '--model', model, '--tuned', tuned, '--out', `${out}4`, '--r', '4'])
    expect(people.stdout).toMatch(/^extracted \d+ layers into .*; ranks 4 to 4, at least [\d.]+ % of each change\n$/)
    const wrong = await runCli(['extract', '--model', model, '--tuned', tuned, '--out', `${out}5`])
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('give either r or energy')])
  })
})

describe('what is finished is not written over unasked', () => {
  const both = ['--model', model, '--adapter', poet, '--adapter', lawyer]
  const adapterFiles = ['adapter_config.json', 'adapter_model.safetensors']
  const refusal = (out: string): string =>
    `error: "${out}" holds a finished adapter (${adapterFiles.join(', ')}). Choose another output folder, or replace it with --overwrite.\n`

  it('by combine and extract', async () => {
    const out = temporaryFolder()
    const tuned = join(out, 'tuned')
    await runCli(['merge', '--model', model, '--adapter', poet, '--out', tuned])
    for (const command of [
      ['combine', ...both],
      ['extract', '--model', model, '--tuned', tuned, '--r', '2'],
    ]) {
      const to = join(out, command[0]!)
      cpSync(lawyer, to, { recursive: true })
      const before = readFileSync(join(to, 'adapter_model.safetensors'))
      const refused = await runCli([...command, '--out', to])
      expect([refused.code, refused.stderr]).toEqual([1, refusal(to)])
      expect(readFileSync(join(to, 'adapter_model.safetensors')).equals(before)).toBe(true)
      writeFileSync(join(to, 'adapter_model.bin'), 'of the earlier one')
      expect(await runCli([...command, '--out', to, '--overwrite'])).toMatchObject({ code: 0, stderr: '' })
      expect(readFileSync(join(to, 'adapter_model.safetensors')).equals(before)).toBe(false)
      // PEFT would not look at it, other programs would.
      expect(readdirSync(to).sort()).toEqual(adapterFiles)
    }
    const base = await runCli(['combine', ...both, '--out', model, '--overwrite'])
    expect(base.stderr).toContain('is the folder of the base model, which is never changed')
    const theirs = await runCli(['combine', ...both, '--out', tuned])
    expect(theirs.stderr).toContain(`"${tuned}" is the folder of a model (config.json, model.safetensors)`)
    const run = join(out, 'run')
    mkdirSync(join(run, 'checkpoint-3'), { recursive: true })
    const unfinished = await runCli(['combine', ...both, '--out', run])
    expect(unfinished.stderr).toContain(`"${run}" holds checkpoints of an earlier run (checkpoint-3).`)
  })

  it('nor while a run writes there', async () => {
    const to = join(temporaryFolder(), 'busy')
    mkdirSync(to)
    const release = await takeLock(join(to, LOCK_FILE))
    for (const command of [
      ['combine', ...both, '--out', to],
      ['convert', '--from', poet, '--to', to],
    ]) {
      const { code, stderr } = await runCli([...command, '--overwrite'])
      expect([code, stderr]).toEqual([1, expect.stringContaining(`process ${process.pid}`)])
    }
    await release()
    expect(readdirSync(to)).toEqual([])
  })
})

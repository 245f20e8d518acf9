import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
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
    const people = await runCli(['extract', '--model', model, '--tuned', tuned, '--out', out, '--r', '4'])
    expect(people.stdout).toMatch(/^extracted \d+ layers into .*; ranks 4 to 4, at least [\d.]+ % of each change\n$/)
    const wrong = await runCli(['extract', '--model', model, '--tuned', tuned, '--out', out])
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('give either r or energy')])
  })
})

/** @file The command line on golden cases: losses, steps, saved adapters and merged weights of PyTorch and PEFT. */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenRows, readAll, readCase } from './golden-rows.js'
import { golden, runCli, temporaryFolder } from './run-cli.js'

const cases = [
  'gpt2',
  'gpt2-all-linear',
  'llama',
  'llama-all-linear',
  'llama-rslora',
  'llama-patterns',
  'mistral',
  'qwen2',
  'qwen3',
  'gemma2',
  'gemma3',
  'phi3',
  'gpt_neox',
]

const relative = (found: number, expected: number): number => Math.abs(found - expected) / Math.abs(expected)

describe.each(cases)('the command line on golden case %s', (name) => {
  const folder = temporaryFolder()
  const rows = join(folder, 'rows.jsonl')
  const model = join(golden, name, 'model')
  const expected = readCase(name)
  beforeAll(async () => writeFileSync(rows, await goldenRows(name)))

  it('eval gives the losses of PyTorch, whatever the batch', async () => {
    for (const [extra, loss] of [
      [[], expected.base_loss],
      [['--adapter', join(golden, name, 'adapter'), '--batch-size', '2'], expected.loss],
    ] as const) {
      const result = await runCli(['eval', '--model', model, '--data', rows, '--json', ...extra])
      expect(result.stderr).toBe('')
      const [line, ...more] = result.json() as { loss: number; perplexity: number; tokens: number }[]
      expect(more).toEqual([])
      expect(relative(line!.loss, loss)).toBeLessThan(1e-4)
      expect(line!.perplexity).toBeCloseTo(Math.exp(line!.loss), 6)
    }
  })

  it('train --json follows the losses and gradient norms of 20 AdamW steps, and saves what PEFT saves', async () => {
    const out = join(folder, 'out')
    const { lr, weight_decay } = expected.training
    const result = await runCli([
      ...['train', '--model', model, '--adapter', join(golden, name, 'adapter'), '--data', rows, '--out', out, '--json'],
      ...[
        '--lr',
        String(lr),
        '--weight-decay',
        String(weight_decay),
        '--max-grad-norm',
        '1',
        '--batch-size',
        '3',
        '--steps',
        '20',
        '--no-shuffle',
      ],
    ])
    expect(result.stderr).toBe('')
    expect(result.code).toBe(0)
    const events = result.json() as { event: string; loss: number; gradNorm: number }[]
    const steps = events.filter((e) => e.event === 'step')
    expect(steps).toHaveLength(20)
    steps.forEach((step, i) => {
      expect(relative(step.loss, expected.training.losses_before_each_step[i]!)).toBeLessThan(1e-3)
      expect(relative(step.gradNorm, expected.training.grad_norms[i]!)).toBeLessThan(5e-3)
    })
    expect(events.at(-1)).toMatchObject({ event: 'done', steps: 20, loss: steps.at(-1)!.loss })
    expect(readdirSync(out).sort()).toEqual([
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'log.jsonl',
      'report.html',
      'run.json',
    ])
    const trained = await readAll(join(out, 'adapter_model.safetensors'))
    const theirs = await readAll(join(golden, name, 'adapter-trained', 'adapter_model.safetensors'))
    expect([...trained.keys()].sort()).toEqual([...theirs.keys()].sort())
    for (const [tensor, values] of trained) {
      const other = theirs.get(tensor)!
      const distance = Math.hypot(...values.map((value, i) => value - other[i]!))
      expect(distance / Math.hypot(...other), tensor).toBeLessThan(1e-2)
    }
  })

  it('merge gives the weights of merge_and_unload', async () => {
    const out = join(folder, 'merged')
    const result = await runCli([
      'merge',
      '--model',
      model,
      '--adapter',
      join(golden, name, 'adapter-trained'),
      '--out',
      out,
      '--json',
    ])
    expect(result.stderr).toBe('')
    const [line] = result.json() as { out: string; mergedModules: number; maxAbsDelta: number }[]
    expect(line!.out).toBe(out)
    const ours = await readAll(join(out, 'model.safetensors'))
    const theirs = await readAll(join(golden, name, 'merged', 'model.safetensors'))
    const base = await readAll(join(model, 'model.safetensors'))
    let changed = 0
    let largest = 0
    for (const [tensor, values] of ours) {
      const other = theirs.get(tensor) ?? theirs.get(`transformer.${tensor}`)
      expect(other, tensor).toBeDefined()
      const source = base.get(tensor)!
      let error = 0
      let delta = 0
      values.forEach((value, i) => {
        error = Math.max(error, Math.abs(value - other![i]!))
        delta = Math.max(delta, Math.abs(value - source[i]!))
      })
      expect(error, tensor).toBeLessThan(1e-6)
      if (delta > 0) changed++
      largest = Math.max(largest, delta)
    }
    expect(line!.mergedModules).toBe(changed)
    expect(line!.maxAbsDelta).toBeCloseTo(largest, 5)
  })
})

/** @file Presets: what they set, what goes before them, and that a run with one is the run with its numbers. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loraFieldTable } from '../../src/adapters/lora-fields.js'
import { runCli } from '../../src/cli/app.js'
import {
  addLora,
  InvalidOptionError,
  loadModel,
  presetOptions,
  presets,
  train,
  type TrainEvent,
  type TrainOptions,
} from '../../src/index.js'
import { baseSchemes } from '../../src/quantize/base-schemes.js'
import { resolveTrainOptions, trainOptionTable } from '../../src/train/option-table.js'
import { presetNames } from '../../src/train/preset-names.js'
import { presetModel } from '../../src/train/preset-model.js'
import { presetSettings } from '../../src/train/presets.js'
import { openData } from '../../src/train/run-data.js'
import { adapterTrainee } from '../../src/train/trainee.js'
import type { AnyTable } from '../../src/util/option-table.js'

const folder = mkdtempSync(join(tmpdir(), 'lowrank-presets-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const data = join(folder, 'rows.jsonl')
writeFileSync(data, Array.from({ length: 4 }, (_, i) => `{"prompt":"row ${i}: ","completion":"text"}\n`).join(''))

/** The command line in this process. */
async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', '']
  const code = await runCli(args, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: { NO_COLOR: '1' },
    version: '0',
    interrupted: new AbortController().signal,
  })
  return { code, stdout, stderr }
}

const common = ['train', '--model', 'demo/base', '--data', data, '--threads', '1', '--steps', '2', '--json']
const losses = (stdout: string): unknown[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; loss: number })
    .filter(({ event }) => event === 'step')
    .map(({ loss }) => loss)

describe.each(presetNames)('%s', (name) => {
  it('has values that the options take, each with a reason', () => {
    const { load, lora, train: settings } = presets[name]
    const rows = { ...trainOptionTable, ...loraFieldTable } as unknown as AnyTable
    for (const [option, { value, why }] of Object.entries({ ...lora, ...settings })) {
      const row = rows[option]!
      expect('is' in row && row.is.fits(value), option).toBe(true)
      expect(why, option).not.toBe('')
    }
    if (load.base !== undefined) expect(baseSchemes).toContain(load.base.value)
    expect(lora.targetModules?.value).toBe('all-linear')
    expect(() => resolveTrainOptions({ ...presetOptions(name).train, data: 'd' })).not.toThrow()
    expect(() => resolveTrainOptions({ ...presetOptions(name).train, data: 'd', evalData: 'v' })).not.toThrow()
  })

  it('goes behind what is given', () => {
    const { lora, train: options } = presetOptions(name)
    const resolved = resolveTrainOptions({ preset: name, data: 'd', learningRate: 1 })
    expect(resolved).toMatchObject({ ...options, learningRate: 1, preset: name })
    for (const option of Object.keys({ ...lora, ...options }))
      expect(presetSettings(name, { [option]: 1 }).map((each) => each.option)).not.toContain(option)
  })
})

describe('settings that not every run gets', () => {
  const of = (name: (typeof presetNames)[number], given: object): string[] =>
    presetSettings(name, given as never).map(({ option }) => option)

  it('early stopping is of runs that evaluate, and may be declined', () => {
    expect(of('quality', {})).not.toContain('earlyStopping')
    expect(of('quality', { evalData: 'v' })).toContain('earlyStopping')
    expect(of('quality', { valSplit: 0.1 })).toContain('earlyStopping')
    expect(of('quality', { evalData: 'v', keepBest: false })).not.toContain('earlyStopping')
    expect(resolveTrainOptions({ ...presetOptions('quality').train, data: 'd', evalData: 'v' }).earlyStopping).toBe(3)
  })

  it('early stopping is of rows that lie in the folder of data too, told and done', async () => {
    const both = join(folder, 'both')
    mkdirSync(both)
    for (const name of ['train', 'valid']) writeFileSync(join(both, `${name}.jsonl`), readFileSync(data))
    const cli = ['train', '--model', 'demo/base', '--data', both, '--threads', '1', '--steps', '1', '--preset', 'quality']
    const told = await run(...cli, '--out', join(folder, 'stops'), '--max-length', '16')
    expect(told.stderr).toContain('  --early-stopping 3  ')
    expect((JSON.parse(readFileSync(join(folder, 'stops', 'run.json'), 'utf8')) as { settings: object }).settings).toMatchObject({
      earlyStopping: 3,
    })
    const model = await loadModel('demo/base', { threads: 1 })
    const trainee = adapterTrainee(await addLora(model, { r: 2 }))
    const opened = async (more: Partial<TrainOptions>) =>
      (await openData(trainee, resolveTrainOptions({ preset: 'quality', data: both, ...more }))).options.earlyStopping
    expect(await opened({})).toBe(3)
    expect(await opened({ keepBest: false })).toBeUndefined()
    expect(await opened({ earlyStopping: 7 })).toBe(7)
    expect(await opened({ preset: 'quick' })).toBeUndefined()
    await model.dispose()
  })

  it('packing is of models and rows that can', async () => {
    const packs = (given: object, packs: boolean): boolean =>
      presetSettings('long-context', given as never, { packs }).some(({ option }) => option === 'packing')
    expect([packs({}, true), packs({}, false), packs({ objective: 'dpo' }, true)]).toEqual([true, false, false])
    await using classifier = await loadModel('test/fixtures/predict/classes', { threads: 1 })
    expect(resolveTrainOptions({ preset: 'long-context', data: 'd' }, 'train', presetModel(classifier)).packing).toBe(false)
    const labelled = join(folder, 'labelled.jsonl')
    writeFileSync(labelled, '{"text":"a","label":0}\n{"text":"b","label":1}\n')
    const flags = ['--data', labelled, '--out', join(folder, 'long'), '--steps', '1', '--threads', '1']
    const trained = await run('train', '--model', 'test/fixtures/predict/classes', ...flags, '--preset', 'long-context')
    expect(trained.code).toBe(0)
    expect(trained.stderr).not.toContain('--packing')
  })

  it('none contradicts an option that is given', () => {
    const packed = { ...presetOptions('quick').train, packing: true, data: 'd' }
    expect(resolveTrainOptions(packed)).toMatchObject({ packing: true, groupByLength: false })
    const grouped = { ...presetOptions('long-context').train, groupByLength: true, data: 'd' }
    expect(resolveTrainOptions(grouped)).toMatchObject({ packing: false, groupByLength: true })
    expect(of('long-context', { groupByLength: true })).not.toContain('packing')
    expect(of('quick', { packing: true })).not.toContain('groupByLength')
    expect(of('quality', { steps: 5 })).not.toContain('epochs')
    expect(of('long-context', { objective: 'dpo' })).not.toContain('packing')
    for (const name of ['long-context', 'small-memory'] as const)
      expect(resolveTrainOptions({ preset: name, data: 'd', objective: 'kto' })).toMatchObject({ batchSize: 8, gradAccum: 1 })
  })
})

it('refuses a name that no preset has', () => {
  expect(() => presetOptions('best' as never)).toThrow(InvalidOptionError)
  expect(() => resolveTrainOptions({ data: 'd', preset: 'best' as never })).toThrow(/preset must be one of quick, quality/)
})

describe('lowrank train --preset', () => {
  it('says what it sets and why, trains as the same flags do, and is named by card, report and log', async () => {
    const out = join(folder, 'preset')
    const preset = await run(...common, '--out', out, '--preset', 'quality', '--r', '4')
    expect(preset.code).toBe(0)
    expect(preset.stderr).toContain(`preset quality: ${presets.quality.about}\n`)
    expect(preset.stderr).toContain(`  --target-modules all-linear  ${presets.quality.lora.targetModules!.why}\n`)
    expect(preset.stderr).toContain('  --use-rslora  ')
    expect(preset.stderr).not.toMatch(/--r 32|--epochs|--early-stopping/)
    const flags = ['--target-modules', 'all-linear', '--r', '4', '--alpha', '16', '--use-rslora', '--lr', '2e-4']
    const more = ['--schedule', 'cosine', '--warmup', '0.03', '--batch-size', '8']
    const plain = await run(...common, '--out', join(folder, 'flags'), ...flags, ...more)
    expect([plain.code, plain.stderr]).toEqual([0, ''])
    expect(losses(preset.stdout)).toEqual(losses(plain.stdout))
    const card = readFileSync(join(out, 'README.md'), 'utf8')
    expect(card).toMatch(/preset.*quality/)
    expect(card).toMatch(/schedule.*cosine/)
    const report = readFileSync(join(out, 'report.html'), 'utf8')
    expect(report).toMatch(/preset<\/th><td>quality</)
    expect(report).toMatch(/useRslora<\/th><td>true</)
  })

  it('is continued by its numbers, whether a preset or flags give them', async () => {
    const out = join(folder, 'resumed')
    const short = [...common.slice(0, -3), '--out', out, '--checkpoint-every', '1', '--json']
    expect((await run(...short, '--steps', '1', '--preset', 'quick')).code).toBe(0)
    const other = await run(...short, '--steps', '1', '--preset', 'quality', '--resume')
    expect(other.code).toBe(1)
    const lora = ['--target-modules', 'all-linear', '--r', '8', '--alpha', '16', '--lr', '3e-4', '--schedule', 'linear']
    const same = await run(
      ...short,
      '--steps',
      '1',
      ...lora,
      '--warmup',
      '0.03',
      '--batch-size',
      '8',
      '--group-by-length',
      '--resume',
    )
    expect([same.code, same.stderr]).toEqual([0, ''])
  })
})

it('trains with the options spread', async () => {
  const { load, lora, train: options } = presetOptions('small-memory')
  const adapter = await addLora(await loadModel('demo/base', { ...load, threads: 1 }), { ...lora, r: 2 })
  const events: TrainEvent[] = []
  for await (const event of train(adapter, { ...options, gradAccum: 2, steps: 1, data })) events.push(event)
  expect(events.at(-1)).toMatchObject({ event: 'done', steps: 1 })
  await adapter.dispose()
})

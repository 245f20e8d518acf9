/**
 * @file Every command by its exit code and its two streams: help, wrong usage, mistakes of users, and each command on a tiny
 * model.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { once } from 'node:events'
import { beforeAll, describe, expect, it } from 'vitest'
import { fakeHub } from '../hub/fake-hub.js'
import { goldenRows, readAll } from './golden-rows.js'
import { finish, golden, runCli, runProcess, startCli, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const model = join(golden, 'llama', 'model')
const adapter = join(golden, 'llama', 'adapter')
const rows = join(folder, 'rows.jsonl')
beforeAll(async () => writeFileSync(rows, await goldenRows('llama')))

const trainArgs = (out: string, ...more: string[]): string[] => [
  'train',
  '--model',
  model,
  '--data',
  rows,
  '--out',
  join(folder, out),
  ...more,
]

describe('help', () => {
  it('documents every command and every flag', async () => {
    const all = await runCli(['--help'])
    expect(all.code).toBe(0)
    for (const command of ['train', 'eval', 'generate', 'merge', 'inspect', 'convert']) {
      expect(all.stdout).toContain(`\n  ${command} `)
      const help = await runCli([command, '--help'])
      expect(help.code).toBe(0)
      expect(help.stderr).toBe('')
      expect(help.stdout).toContain(`Usage: lowrank ${command}`)
      for (const flag of ['--device', '--threads', '--seed', '--json']) expect(help.stdout).toContain(flag)
    }
    expect(all.stdout).not.toMatch(/bench/)
  })

  it('prints the version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    expect((await runProcess(['--version'])).stdout).toBe(`${version}\n`)
  })
})

describe('wrong usage ends with 2 and one hint', () => {
  it.each([
    [[], /a command is missing/],
    [['trian'], /unknown command "trian". Did you mean "train"\?/],
    [['train', '--modle', 'x'], /unknown flag "--modle". Did you mean "--model"\?/],
    [['train', '-m', 'x'], /unknown flag "-m"/],
    [['eval', '--model', 'x'], /lowrank eval needs --data FILE…/],
    [['eval', '--model', '--data', 'x'], /--model needs a value/],
    [
      ['eval', '--model', 'x', '--data', 'y', '--batch-size', 'many'],
      /--batch-size must be a whole number of at least 1, got "many"/,
    ],
    [
      ['train', '--schedule', 'cosin'],
      /--schedule must be one of constant, linear, cosine, inverse_sqrt, piecewise, got "cosin"/,
    ],
    [['inspect', 'a', 'b'], /unexpected argument "b"/],
    [['inspect'], /lowrank inspect needs PATH/],
  ])('%j', async (args, message) => {
    const result = await runCli(args)
    expect(result.code).toBe(2)
    expect(result.stdout).toBe('')
    expect(result.stderr).toMatch(message)
    expect(result.stderr).toMatch(/See lowrank .*--help\.\n$/)
    expect(result.stderr).not.toMatch(/\n\s+at /)
  })
})

describe("a user's mistake ends with 1 and one message without a stack", () => {
  it.each([
    [
      ['eval', '--model', './nowhere', '--data', 'x.jsonl'],
      /^error: "\.\/nowhere" does not exist; expected a folder, a file or a hub id/,
    ],
    [['eval', '--model', 'some/where', '--data', 'x.jsonl'], /HF_HUB_OFFLINE is set.*pass a local folder/],
    [['eval', '--model', model, '--data', 'nowhere.jsonl'], /nowhere\.jsonl/],
    [['eval', '--model', model, '--adapter', model, '--data', rows], /adapter_config\.json/],
    [
      ['train', '--model', model, '--data', rows, '--out', join(folder, 'x'), '--r', '0'],
      /"r" must be an integer above 0, got 0/,
    ],
    [
      ['train', '--model', model, '--data', rows, '--out', join(folder, 'x'), '--r', '33'],
      /rank 33 does not fit .*choose r from 1 to/,
    ],
    [
      ['train', '--model', model, '--data', rows, '--out', join(folder, 'x'), '--target-modules', 'q_porj'],
      /matches no layer.*did you mean q_proj/,
    ],
    [
      ['train', '--model', model, '--data', rows, '--out', join(folder, 'x'), '--init', 'corda'],
      /--init "corda" is not supported yet/,
    ],
    [
      ['train', '--model', model, '--adapter', adapter, '--r', '16', '--data', rows, '--out', join(folder, 'x')],
      /--r 16 contradicts --adapter, whose r is 4/,
    ],
    [
      ['generate', '--model', model, '--prompt', 'x', '--beams', '2', '--temperature', '1'],
      /temperature samples, and a beam search/,
    ],
    [['merge', '--model', model, '--adapter', adapter, '--out', model], /source|itself|same folder/i],
    [['inspect', rows], /of no kind that can be inspected/],
  ])('%j', async (args, message) => {
    const result = await runCli([...args, '--json'])
    expect(result.stderr).toMatch(message)
    expect(result.code).toBe(1)
    expect(result.stdout).toBe('')
    expect(result.stderr).toMatch(/^error: /)
    expect(result.stderr).not.toMatch(/\n\s+at /)
    expect(existsSync(join(folder, 'x', 'adapter_model.safetensors'))).toBe(false)
  })

  it('names file and line of a broken row', async () => {
    const broken = join(folder, 'broken.jsonl')
    writeFileSync(broken, `${readFileSync(rows, 'utf8').split('\n')[0]}\n{"input_ids": [1,\n`)
    const result = await runCli(['eval', '--model', model, '--data', broken])
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/broken\.jsonl.*2/)
  })
})

describe('train', () => {
  it('reads a config file; flags go before it', async () => {
    const config = join(folder, 'run.yaml')
    writeFileSync(
      config,
      `model: ${model}\ndata: [${rows}]\nout: ${join(folder, 'configured')}\nsteps: 3\nlr: 0.01\nno-shuffle: true\ntarget-modules: [q_proj]\nrank-pattern: { layers.1.self_attn.q_proj: 2 }\n`,
    )
    const result = await runCli(['train', '--config', config, '--steps', '2', '--json'])
    expect(result.stderr).toBe('')
    const steps = result.json().filter((e) => e['event'] === 'step')
    expect(steps).toHaveLength(2)
    expect(steps[0]).toMatchObject({ learningRate: 0.01 })
    const found = (await runCli(['inspect', join(folder, 'configured'), '--json'])).json()[0] as {
      modules: { name: string; r: number; alpha: number }[]
    }
    expect(found.modules.map(({ name, r, alpha }) => [name, r, alpha])).toEqual([
      ['model.layers.0.self_attn.q_proj', 8, 16],
      ['model.layers.1.self_attn.q_proj', 2, 16],
    ])
  })

  it('refuses a config file with an unknown key, a wrong value or broken YAML', async () => {
    const config = join(folder, 'wrong.yaml')
    const run = async (text: string): Promise<string> => {
      writeFileSync(config, text)
      const result = await runCli(['train', '--config', config])
      expect(result.code).toBe(2)
      return result.stderr
    }
    expect(await run('learning-rate: 1\nbatchsize: 3\n')).toMatch(/wrong\.yaml: lowrank train has no flag "learning-rate"/)
    expect(await run('batchsize: 3\n')).toMatch(/no flag "batchsize". Did you mean "batch-size"\?/)
    expect(await run('lr: fast\n')).toMatch(/lr in .*wrong\.yaml must be a number of at least 0, got "fast"/)
    expect(await run('lr: [1\n')).toMatch(/is not valid YAML: .*line \d/)
    const missing = await runCli(['train', '--config', join(folder, 'none.yaml')])
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/config file .* cannot be read/)])
  })

  it('prints the events of the contract with --json and nothing else', async () => {
    const result = await runCli(
      trainArgs('events', '--eval-data', rows, '--eval-every', '2', '--checkpoint-every', '2', '--steps', '4', '--json'),
    )
    expect(result.stderr).toBe('')
    const events = result.json()
    expect(events.map((e) => e['event'])).toEqual([
      'start',
      'step',
      'step',
      'eval',
      'checkpoint',
      'step',
      'step',
      'eval',
      'checkpoint',
      'done',
    ])
    const number = expect.any(Number) as number
    expect(events[1]).toEqual({
      event: 'step',
      step: 1,
      epoch: 0,
      loss: number,
      gradNorm: number,
      learningRate: number,
      tokens: number,
      tokensPerSecond: number,
    })
    expect(events[3]).toMatchObject({ event: 'eval', step: 2, loss: number, perplexity: number, tokens: number })
    expect(events.at(-1)).toMatchObject({
      steps: 4,
      loss: number,
      trainableParameters: number,
      totalParameters: number,
      peakMemoryBytes: number,
    })
    const log = readFileSync(join(folder, 'events', 'log.jsonl'), 'utf8')
    expect(log).toBe(result.stdout)
    expect(readFileSync(join(folder, 'events', 'report.html'), 'utf8')).toContain('"evalSteps":[2,4]')
  })

  it('shows people lines on stderr and the result on stdout, without colours off a terminal', async () => {
    const result = await runCli(trainArgs('people', '--steps', '3'))
    expect(result.code).toBe(0)
    expect(result.stderr).toMatch(/3 rows, 3 steps; training [\d,]+ of [\d,]+ parameters/)
    expect(result.stderr).toMatch(/step 3\/3 {2}loss \d\.\d+ {2}[\d,]+ tokens\/s {2}ETA 0:00/)
    expect(result.stdout).toMatch(
      /^done: 3 steps in \d+:\d\d, loss [\d.]+, peak memory .*MB\nadapter in .*people, report in .*report\.html\n$/,
    )
    expect(result.stdout + result.stderr).not.toContain('\u001b')
  })

  it('ends after the step on Ctrl-C with a checkpoint, and continues from it', async () => {
    const args = trainArgs('interrupted', '--no-shuffle', '--json', '--lr', '0.001')
    const child = startCli([...args, '--steps', '1000000'])
    const ended = finish(child)
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    const result = await ended
    expect(result.code).toBe(130)
    expect(result.stderr).toMatch(/interrupted after step \d+ of 1000000.*--resume to continue/)
    const done = result.json().at(-1) as { event: string; steps: number; loss: number }
    expect(done.event).toBe('done')
    expect(readdirSync(join(folder, 'interrupted')).some((name) => name.includes('checkpoint'))).toBe(true)
    const resumed = await runCli([...args, '--steps', String(done.steps + 2), '--resume'])
    expect(resumed.stderr).toBe('')
    const steps = resumed.json().filter((e) => e['event'] === 'step')
    expect(steps.map((e) => e['step'])).toEqual([done.steps + 1, done.steps + 2])
    expect(steps[0]!['loss'] as number).toBeLessThanOrEqual(done.loss)
  })

  it('says so when there is nothing to resume', async () => {
    const result = await runCli(trainArgs('fresh', '--steps', '1', '--resume', '--json'))
    expect([result.code, result.stderr]).toEqual([
      0,
      expect.stringMatching(/^warning: .*fresh holds no checkpoint to resume; starting from the beginning\n$/),
    ])
  })

  it('fetches a hub id and remembers it as the base model', async () => {
    const hub = await fakeHub(
      'someone/tiny',
      Object.fromEntries(
        readdirSync(model, { withFileTypes: true })
          // What a quantised run keeps beside the weights is no part of the model.
          .filter((entry) => entry.isFile())
          .map(({ name }) => [name, readFileSync(join(model, name))]),
      ),
    )
    try {
      const env = { HF_HUB_OFFLINE: '', HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(folder, 'cache') }
      const out = join(folder, 'from-hub')
      const result = await runCli(
        ['train', '--model', 'someone/tiny', '--data', rows, '--out', out, '--steps', '1', '--json'],
        env,
      )
      expect(result.stderr).toBe('')
      const config = JSON.parse(readFileSync(join(out, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
      expect(config['base_model_name_or_path']).toBe('someone/tiny')
    } finally {
      await hub.close()
    }
  })
})

describe('merge', () => {
  it('adds several adapters up', async () => {
    const [once, twice] = [join(folder, 'once'), join(folder, 'twice')]
    await runCli(['merge', '--model', model, '--adapter', adapter, '--out', once])
    const result = await runCli(['merge', '--model', model, '--adapter', adapter, adapter, '--out', twice, '--json'])
    expect(result.json()).toMatchObject([{ out: twice, mergedModules: 4 }])
    const name = 'model.layers.0.self_attn.q_proj.weight'
    const [base, one, two] = await Promise.all(
      [model, once, twice].map(async (path) => (await readAll(join(path, 'model.safetensors'))).get(name)!),
    )
    for (let i = 0; i < base!.length; i++) expect(two![i]! - base![i]!).toBeCloseTo(2 * (one![i]! - base![i]!), 5)
  })

  it('and export replace a finished model only if told so', async () => {
    const out = join(folder, 'finished')
    await runCli(['merge', '--model', model, '--adapter', adapter, '--out', out])
    const before = readFileSync(join(out, 'model.safetensors'))
    for (const command of ['merge', 'export']) {
      const again = [command, '--model', model, '--adapter', adapter, '--out', out]
      expect(await runCli(again)).toMatchObject({
        code: 1,
        stderr: `error: "${out}" holds a finished model (config.json) that an earlier merge or export wrote. Choose another output folder, or replace it with --overwrite.\n`,
      })
      expect(readFileSync(join(out, 'model.safetensors'))).toEqual(before)
      expect(await runCli([...again, '--overwrite'])).toMatchObject({ code: 0, stderr: '' })
    }
    expect(readdirSync(out)).toContain('onnx')
    expect(readdirSync(out)).not.toContain('model.safetensors')
  })
})

describe('inspect', () => {
  it('lists the modules of a model with shapes and parameter counts', async () => {
    const [found] = (await runCli(['inspect', join(golden, 'gpt2', 'model'), '--json'])).json()
    expect(found).toMatchObject({ kind: 'model', architecture: 'gpt2', defaultTargetModules: ['c_attn'] })
    const config = JSON.parse(readFileSync(join(golden, 'gpt2', 'model', 'config.json'), 'utf8')) as { n_embd: number }
    expect(found!['modules']).toContainEqual({
      name: 'transformer.h.0.attn.c_attn',
      kind: 'Conv1D',
      shape: [config.n_embd, 3 * config.n_embd],
      parameters: 3 * config.n_embd ** 2,
    })
  })

  it('tells rank, alpha, targets and size of an adapter', async () => {
    const folder = join(golden, 'llama-patterns', 'adapter')
    const config = JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
    const [found] = (await runCli(['inspect', folder, '--json'])).json()
    expect(found).toMatchObject({
      kind: 'adapter',
      r: config['r'],
      alpha: config['lora_alpha'],
      rankPattern: config['rank_pattern'],
      targetModules: config['target_modules'],
    })
    expect(found!['bytes']).toBe(readFileSync(join(folder, 'adapter_model.safetensors')).length)
    const modules = found!['modules'] as { r: number; alpha: number; scale: number; parameters: number }[]
    expect(modules.reduce((sum, m) => sum + m.parameters, 0)).toBe(found!['parameters'])
    expect(new Set(modules.map((m) => m.r)).size).toBeGreaterThan(1)
  })

  it('shows a file and an adapter to people', async () => {
    const file = await runCli(['inspect', join(model, 'model.safetensors')])
    expect(file.stdout).toMatch(/model\.layers\.0\.self_attn\.q_proj +matrix +32 × 32 +1,024\n/)
    const people = await runCli(['inspect', adapter])
    expect(people.stdout).toMatch(/rank +4\nalpha +8\n/)
  })

  it('refuses a folder that is neither', async () => {
    mkdirSync(join(folder, 'empty'))
    const result = await runCli(['inspect', join(folder, 'empty')])
    expect([result.code, result.stderr]).toEqual([
      1,
      expect.stringMatching(/holds neither config\.json .* nor adapter_config\.json/),
    ])
  })
})

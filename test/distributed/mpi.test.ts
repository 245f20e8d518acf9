/** @file `lowrank train` under Open MPI's mpirun: real processes. Left out where there is no mpirun. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { loadAdapter } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { underMpi } from '../../src/distributed/node-mpi.js'
import { goldenRows, readCase } from '../cli/golden-rows.js'
import { finish, golden, program, runCli, surroundings, temporaryFolder } from '../cli/run-cli.js'
import { testEnvironment } from '../support/environment.js'

/** Whether programs can be started as MPI jobs here, and speak Open MPI. */
function hasMpi(): boolean {
  if (!(spawnSync('mpirun', ['--version']).stdout?.toString() ?? '').includes('Open MPI')) return false
  try {
    createRequire(import.meta.url).resolve('koffi')
    return true
  } catch {
    return false
  }
}

function startMpi(processes: number, args: readonly string[]): ChildProcessWithoutNullStreams {
  const asRoot = process.getuid?.() === 0 ? ['--allow-run-as-root'] : []
  const flags = [...asRoot, '--oversubscribe', '--bind-to', 'none', '-n', String(processes)]
  return spawn('mpirun', [...flags, process.execPath, program, ...args], surroundings())
}

const checkpoints = (out: string): number[] =>
  existsSync(out) ? readdirSync(out).flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b) : [] // prettier-ignore

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

describe.skipIf(!hasMpi())('lowrank train under mpirun', { timeout: 120_000 }, () => {
  const folder = temporaryFolder()
  const rows = join(folder, 'rows.jsonl')
  const model = join(golden, 'llama', 'model')
  const { training } = readCase('llama')
  beforeAll(async () => writeFileSync(rows, await goldenRows('llama')))
  const common = (out: string): string[] => [
    ...['train', '--model', model, '--adapter', join(golden, 'llama', 'adapter'), '--data', rows, '--out', out, '--threads', '1'],
    ...['--lr', String(training.lr), '--weight-decay', String(training.weight_decay), '--no-shuffle'],
  ]

  it('2 processes give the losses of one, and those of PyTorch; process 0 alone prints and writes', async () => {
    const alone = await runCli([...common(join(folder, 'alone')), '--batch-size', '4', '--steps', '5', '--json'])
    expect(alone.stderr).toBe('')
    const out = join(folder, 'two')
    const two = await finish(
      startMpi(2, [
        ...common(out),
        '--batch-size',
        '2',
        '--eval-data',
        rows,
        '--steps',
        '5',
        '--checkpoint-every',
        '5',
        '--json',
      ]),
    )
    expect(two.stderr).toBe('')
    expect(two.code).toBe(0)
    const events = two.json() as { event: string; loss: number; gradNorm: number }[]
    expect(events[0]).toMatchObject({ event: 'start', processes: 2 })
    const steps = events.filter(({ event }) => event === 'step')
    const expected = (alone.json() as typeof events).filter(({ event }) => event === 'step')
    expect(steps).toHaveLength(5)
    steps.forEach(({ loss, gradNorm }, i) => {
      expect(Math.abs(loss - expected[i]!.loss)).toBeLessThan(1e-5)
      expect(Math.abs(gradNorm - expected[i]!.gradNorm)).toBeLessThan(1e-5)
      expect(Math.abs(loss / training.losses_before_each_step[i]! - 1)).toBeLessThan(1e-4)
    })
    expect(events.filter(({ event }) => event === 'done')).toHaveLength(1)
    expect(readFileSync(join(out, 'log.jsonl'), 'utf8').trim().split('\n')).toHaveLength(events.length)
    expect(readdirSync(out)).toEqual(expect.arrayContaining(['adapter_config.json', 'checkpoint-5', 'report.html']))
  })

  it('a killed process ends the job with a message; the newest checkpoint loads and goes on in one process', async () => {
    const out = join(folder, 'killed')
    const job = startMpi(2, [...common(out), '--batch-size', '2', '--steps', '1000000', '--checkpoint-every', '1', '--json'])
    const ended = finish(job)
    await until(() => job.exitCode !== null || (checkpoints(out).at(-1) ?? 0) >= 3)
    const children = readFileSync(`/proc/${job.pid}/task/${job.pid}/children`, 'utf8').trim().split(' ').map(Number)
    process.kill(children.at(-1)!, 'SIGKILL')
    const { code, stderr } = await ended
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/rank \d with PID .* exited on signal 9/s)
    const newest = checkpoints(out).at(-1)!
    const { parameters } = await loadAdapter(await FolderModel.open(model, testEnvironment()), join(out, `checkpoint-${newest}`))
    expect(parameters.data.every(Number.isFinite)).toBe(true)
    const steps = String(newest + 2)
    const again = await runCli([
      ...common(out),
      '--batch-size',
      '4',
      '--steps',
      steps,
      '--checkpoint-every',
      '1',
      '--resume',
      '--json',
    ])
    expect(again.stderr).toBe('')
    expect(again.json()[0]).toMatchObject({ event: 'start', resumedAt: newest })
    expect(again.json().at(-1)).toMatchObject({ event: 'done', steps: newest + 2 })
  })

  it('a process that fails ends the job after saying why', async () => {
    const out = join(folder, 'failed')
    const job = startMpi(2, [...common(out), '--batch-size', '2', '--data', join(folder, 'none.jsonl'), '--json'])
    const { code, stderr } = await finish(job)
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/process [01] of 2 fails and ends the job:\nerror: .*none\.jsonl/)
  })

  it('asked to stop, all stop after the same step, with a checkpoint', async () => {
    const out = join(folder, 'stopped')
    const job = startMpi(2, [...common(out), '--batch-size', '2', '--steps', '1000000', '--checkpoint-every', '100000', '--json'])
    const ended = finish(job)
    await until(() => job.exitCode !== null || (existsSync(join(out, 'log.jsonl')) && readFileSync(join(out, 'log.jsonl'), 'utf8').split('\n').length > 4)) // prettier-ignore
    // What mpirun does with SIGINT and SIGTERM leaves its processes no time.
    job.kill('SIGUSR2')
    const { stdout, code } = await ended
    expect(code).toBe(130)
    const last = checkpoints(out).at(-1)!
    expect(stdout).toContain(`{"event":"checkpoint","step":${last}`)
  })
})

describe('without MPI', () => {
  it('tells a process of a job by its environment', () => {
    expect(underMpi({})).toBe(false)
    expect(underMpi({ OMPI_COMM_WORLD_SIZE: '' })).toBe(false)
    for (const name of ['OMPI_COMM_WORLD_SIZE', 'PMIX_RANK', 'PMI_SIZE']) expect(underMpi({ [name]: '2' })).toBe(true)
  })

  it('a library that is missing, or not Open MPI, is refused with what to do', async () => {
    const args = ['train', '--model', 'm', '--data', 'd', '--out', join(temporaryFolder(), 'out'), '--distributed']
    const missing = await runCli(args, { LOWRANK_MPI_LIBRARY: 'libnone-such.so' })
    expect(missing.code).toBe(1)
    expect(missing.stderr).toMatch(/^error: (the library of Open MPI cannot be loaded \(libnone-such\.so: .*LOWRANK_MPI_LIBRARY|training over several processes needs the optional package koffi)/) // prettier-ignore
  })
})

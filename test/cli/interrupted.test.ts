/** @file Training whose terminal, reader or disk goes away: a checkpoint, an honest exit code, and a true word about both. */
import { once } from 'node:events'
import { existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenRows } from './golden-rows.js'
import { finish, golden, program, root, startCli, surroundings, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const rows = join(folder, 'rows.jsonl')
const model = join(golden, 'llama', 'model')
beforeAll(async () => writeFileSync(rows, await goldenRows('llama')))

const trainArgs = (out: string, ...more: string[]): string[] => [
  ...['train', '--model', model, '--data', rows, '--out', join(folder, out), '--threads', '1', '--r', '2', ...more],
]
const endless = ['--steps', '1000000', '--json']
const checkpoints = (out: string): string[] => readdirSync(join(folder, out)).filter((name) => name.startsWith('checkpoint'))
const last = (out: string): { event: string; reason: string; steps: number; checkpoint: string } =>
  JSON.parse(
    readFileSync(join(folder, out, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .at(-1)!,
  ) as never

/** The run is over, its lock is gone, its checkpoint is there, and the log says so. */
function isSaved(out: string): void {
  const { event, reason, steps, checkpoint } = last(out)
  expect([event, reason]).toEqual(['done', 'aborted'])
  expect(checkpoints(out)).toEqual([`checkpoint-${steps}`])
  expect(checkpoint).toBe(join(folder, out, `checkpoint-${steps}`))
  expect(existsSync(join(checkpoint, 'adapter_model.safetensors'))).toBe(true)
  expect(readdirSync(join(folder, out)).filter((name) => name.startsWith('.'))).toEqual([])
}

describe.each([
  ['SIGHUP', 129],
  ['SIGTERM', 143],
] as const)('%s', (signal, expected) => {
  it(`saves, and ends with ${expected}`, async () => {
    const child = startCli(trainArgs(signal, ...endless))
    const ended = finish(child)
    await once(child.stdout, 'data')
    child.kill(signal)
    const { code, stderr } = await ended
    expect(code).toBe(expected)
    expect(stderr).toContain(`${signal}: finishing the step, then writing a checkpoint`)
    expect(stderr).toMatch(
      /interrupted after step \d+ of 1000000; what was learned is in .*checkpoint-\d+\. Give the same command/,
    )
    isSaved(signal)
  })
})

it("a training of the paper's scripts ends so too", async () => {
  const fixtures = join(root, 'test/fixtures/paper/nlg')
  const data = ['--train_data', join(fixtures, 'rows.jsonl'), '--valid_data', join(fixtures, 'rows.jsonl')]
  const run = ['--init_checkpoint', fixtures, '--lora_dim', '2', '--max_step', '1000000', '--seq_len', '40', '--threads', '1']
  const out = join(folder, 'paper')
  const child = startCli(['paper', 'nlg', 'train', ...data, ...run, '--work_dir', out, '--save_interval', '1000000', '--json'])
  const ended = finish(child)
  // A second one would end it at once.
  child.stdout.once('data', () => child.kill('SIGTERM'))
  const { code, stderr, json } = await ended
  expect([code, stderr]).toEqual([143, expect.stringContaining('SIGTERM: finishing the step, then writing a checkpoint')])
  const done = json().at(-1)!
  expect(done).toMatchObject({ event: 'done', reason: 'aborted' })
  if (done['steps'] !== 0) expect(existsSync(join(out, `model.${done['steps'] as number}.pt`))).toBe(true)
})

it('stdout that nobody reads any more ends the run with a checkpoint and 141', async () => {
  const child = startCli(trainArgs('unread', ...endless))
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  await once(child.stdout, 'data')
  child.stdout.destroy()
  const [code] = (await once(child, 'exit')) as [number | null]
  expect(code).toBe(141)
  expect(stderr).toContain('stdout was closed: finishing the step, then writing a checkpoint')
  isSaved('unread')
})

it('both streams closed, as when a pager is left', async () => {
  const child = startCli(trainArgs('unheard', ...endless))
  await once(child.stdout, 'data')
  child.stdout.destroy()
  child.stderr.destroy()
  const [code] = (await once(child, 'exit')) as [number | null]
  expect(code).toBe(141)
  isSaved('unheard')
})

describe.skipIf(!existsSync('/dev/full'))('a full disk behind stdout', () => {
  const onFull = async (args: readonly string[]): Promise<{ code: number | null; stderr: string }> => {
    const child = spawn(process.execPath, [program, ...args], {
      ...surroundings(),
      stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    })
    let stderr = ''
    child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, stderr }
  }

  it('ends training with what was learned and 1', async () => {
    const { code, stderr } = await onFull(trainArgs('full', ...endless))
    expect(code).toBe(1)
    expect(stderr).toMatch(/stdout cannot be written \(ENOSPC.*\): finishing the step/)
    // The first line could not be written: the run may end before its first step.
    expect(stderr).toMatch(
      /interrupted (after step \d+ of 1000000; what was learned is in|before the first step was done: nothing was learned)/,
    )
    expect(last('full')).toMatchObject({ event: 'done', reason: 'aborted' })
  })

  it('is no success of a run that came to its end, nor of other commands', async () => {
    const trained = await onFull(trainArgs('over', '--steps', '1'))
    expect(trained.code).toBe(1)
    expect(existsSync(join(folder, 'over', 'adapter_model.safetensors'))).toBe(true)
    const inspected = await onFull(['inspect', model])
    expect([inspected.code, inspected.stderr]).toEqual([1, expect.stringMatching(/^error: stdout cannot be written \(ENOSPC/)])
  })
})

it('a bad row is named before anything is trained or said of a run; a dry run names it too', async () => {
  const bad = join(folder, 'bad.jsonl')
  writeFileSync(bad, `${readFileSync(rows, 'utf8').trim()}\n{"input_ids":[99999999]}\nno row\n`)
  for (const more of [[], ['--dry-run']]) {
    const { code, stdout, stderr } = await finish(startCli([...trainArgs('bad', ...more), '--data', bad]))
    expect([code, stdout]).toEqual([1, ''])
    const lines = stderr.trim().split('\n')
    expect(lines[0]).toBe('error: 2 rows cannot be used:')
    expect(lines).toHaveLength(3)
    expect(stderr).not.toMatch(/1 rows|1 steps/)
  }
})

/**
 * @file `scripts/gpu-check.sh`: lowrank on this machine's GPU. Parity with the CPU on the golden cases, and speed beside
 * PyTorch + PEFT on CUDA where a Python has them.
 *
 *     node bench/gpu/main.js [--short] [--seconds 450] [--device webgpu] [--only parity,speed,profile] [--out DIR]
 *
 * What is not done when its time is up is left out and named. Writes `gpu.md` and `gpu.json`. Exit code 1 if anything
 * is beyond its bound.
 */
import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Child, nodeArguments, pythonProblem } from '../child.js'
import type { Case, SyntheticRun } from '../cases.js'
import type { Device } from '../../src/index.js'
import type { Engine } from '../protocol.js'
import { between, engineNames, gigabytes, markdownTable } from '../report.js'
import { spread, type Spread } from '../statistics.js'
import type { CaseFiles } from './case.js'
import { parity, type ParityRow } from './parity.js'
import type { Profile } from './profile.js'
import { runScript, type ScriptOptions } from './script.js'

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '450' },
    device: { type: 'string', default: 'webgpu' },
    only: { type: 'string', default: 'parity,speed,profile' },
    out: { type: 'string', default: '.' },
  },
})
const device = values.device as Device
const only = values.only.split(',')
const deadline = Date.now() + Number(values.seconds) * 1000
const secondsLeft = (): number => (deadline - Date.now()) / 1000
const say = (text: string): void =>
  void process.stderr.write(`[${(Number(values.seconds) - secondsLeft()).toFixed(0)} s] ${text}\n`)

interface Speed {
  readonly title: string
  readonly engine: string
  readonly versions: string
  readonly secondsPerStep: Spread
  readonly tokensPerSecond: Spread
  readonly generated: Spread
  /** Of the card while this engine alone was on it, over what was used before; undefined without nvidia-smi. */
  readonly cardBytes: number | undefined
  readonly losses: readonly number[]
}

const results = {
  adapter: adapter(),
  parity: [] as ParityRow[],
  speed: [] as Speed[],
  profiles: {} as Record<string, Profile>,
  notes: [] as string[],
}

/** The GPU's name and driver as nvidia-smi tells them. */
function adapter(): string {
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader']
  const { status, stdout } = spawnSync('nvidia-smi', query, { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : 'no nvidia-smi'
}

function cardBytes(): number | undefined {
  const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits']
  const { status, stdout } = spawnSync('nvidia-smi', query, { encoding: 'utf8' })
  return status === 0 ? Number(stdout.trim().split('\n')[0]) * 2 ** 20 : undefined
}

/** The last line of a script of this folder. @throws Error with what it said if it failed or took too long */
async function answerOf<T>(script: string, args: readonly string[], options: ScriptOptions): Promise<T> {
  const { output, problem } = await runScript([...nodeArguments(`gpu/${script}`), ...args], options)
  if (problem !== undefined) throw new Error(`${script} ended with ${problem}`)
  return JSON.parse(output.trim().split('\n').at(-1)!) as T
}

/** Rejects when an engine does not answer in time; its process is left to be ended with this one. */
function within<T>(seconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${seconds.toFixed(0)} s`)), Math.max(1, seconds) * 1000)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

const rounds = values.short ? 2 : 12
const generation = values.short ? { tokens: 4, count: 1 } : { tokens: 32, count: 2 }

/** One engine alone on the card: steps, then texts. */
async function measure(engine: Engine, label: string, spec: Case): Promise<void> {
  if (secondsLeft() < 15) {
    results.notes.push(`${spec.title}, ${label}: left out, the time was up`)
    return
  }
  const before = cardBytes()
  const child = new Child(engine)
  try {
    await within(
      Math.min(120, secondsLeft()),
      (async () => {
        const { versions = '' } = await child.ask({ ask: 'prepare', case: spec, threads: 8, engine, device })
        const warm = await child.ask({ ask: 'steps', count: spec.warmupSteps })
        const { steps } = await child.ask({ ask: 'steps', count: rounds })
        const used = cardBytes()
        const prompt = Array.from({ length: 32 }, (_, i) => 100 + i * 7)
        const { rates } = await child.ask({ ask: 'generate', prompt, ...generation })
        await child.quit()
        results.speed.push({
          ...{ title: spec.title, engine: label, versions },
          secondsPerStep: spread(steps!.map(({ seconds }) => seconds)),
          tokensPerSecond: spread(steps!.map(({ seconds, tokens }) => tokens / seconds)),
          generated: spread(rates!),
          cardBytes: used === undefined ? undefined : used - before!,
          losses: [...warm.steps!, ...steps!].map(({ loss }) => loss),
        })
      })(),
    )
    const last = results.speed.at(-1)!
    say(`${label}: ${last.secondsPerStep.median.toFixed(4)} s a step, ${last.generated.median.toFixed(1)} tokens/s`)
  } catch (error) {
    child.end()
    results.notes.push(`${spec.title}, ${label}: ${(error as Error).message.slice(-1500)}`)
    say(results.notes.at(-1)!)
  }
}

function markdown(): string {
  const errorsOf = ({ errors }: ParityRow): string =>
    Object.entries(errors)
      .map(([key, error]) => `${key} ${error.toExponential(1)}`)
      .join(', ')
  const rows = results.parity.map((row) => [
    row.name,
    errorsOf(row),
    row.faults.join('; ').replaceAll('\n', ' ').slice(0, 600),
    row.notes.join('; ').slice(0, 200),
  ])
  const faulty = results.parity.filter(({ faults }) => faults.length > 0).length
  const milliseconds = (sums: Profile['gpu']): string[][] =>
    Object.entries(sums)
      .slice(0, 14)
      .map(([name, [ms, count]]) => [name, ms.toFixed(3), count.toFixed(0)])
  return [
    '# On a GPU',
    '',
    `${results.adapter}; device "${device}" of ONNX Runtime; ${[...new Set(results.speed.map(({ versions }) => versions))].join('; ')}.`,
    '',
    `## Parity with the CPU: ${results.parity.length} cases, ${faulty} with an error beyond its bound`,
    '',
    ...markdownTable(['case', 'relative errors', 'beyond', 'left to the CPU'], rows),
    ...[...new Set(results.speed.map(({ title }) => title))].flatMap((title) => [
      `## ${title}`,
      '',
      ...markdownTable(
        ['engine', 'seconds per step', 'tokens per second', 'generated tokens per second', 'memory of the card'],
        results.speed
          .filter((speed) => speed.title === title)
          .map((s) => [
            s.engine,
            between(s.secondsPerStep, 4),
            s.tokensPerSecond.median.toFixed(0),
            between(s.generated, 1),
            s.cardBytes === undefined ? '' : gigabytes(s.cardBytes),
          ]),
      ),
    ]),
    ...Object.entries(results.profiles).flatMap(([title, { wall, gpu, host }]) => [
      `## Where a part of a step goes: ${title}, ${spread(wall).median.toFixed(1)} ms with the profiler on`,
      '',
      ...markdownTable(['kernel on the GPU', 'ms', 'count'], milliseconds(gpu)),
      ...markdownTable(['operator, handed over or run by the CPU', 'ms', 'count'], milliseconds(host)),
    ]),
    ...(results.notes.length > 0 ? ['## Notes', '', ...results.notes.map((note) => `- ${note.replaceAll('\n', ' ')}`), ''] : []),
  ].join('\n')
}

async function save(): Promise<string> {
  const text = markdown()
  await writeFile(join(values.out, 'gpu.md'), text)
  await writeFile(join(values.out, 'gpu.json'), `${JSON.stringify(results, null, 1)}\n`)
  return text
}

const runs: readonly SyntheticRun[] = [
  { model: 'gpt2-small', batchSize: 4, length: 256, rounds },
  { model: 'qwen2-0.5b', batchSize: 4, length: 256, rounds },
]

async function speed(cases: readonly CaseFiles[]): Promise<void> {
  const problem = values.short ? 'not in the short check' : pythonProblem()
  if (problem !== undefined) results.notes.push(`PEFT was not measured: ${problem}`)
  const rivals: readonly Engine[] = problem === undefined ? ['eager', 'eager-tf32', 'eager-bf16'] : []
  for (const { spec, float16 } of cases) {
    await measure('ours', 'lowrank, fp32', spec)
    await measure('ours', 'lowrank, float16 weights', float16)
    await measure('ours-int4', 'lowrank, int4', spec)
    await save()
  }
  for (const { spec } of cases) {
    for (const engine of rivals) await measure(engine, engineNames[engine], spec)
    await save()
  }
}

async function profiles(cases: readonly CaseFiles[]): Promise<void> {
  for (const { spec, file } of cases)
    for (const base of ['fp32', 'int4']) {
      const title = `${spec.title}, ${base}`
      if (secondsLeft() < 15) results.notes.push(`profile of ${title}: left out, the time was up`)
      else
        await answerOf<Profile>('profile.ts', [file, device, base], { seconds: Math.min(60, secondsLeft()) }).then(
          (profile) => (results.profiles[title] = profile),
          (error: Error) => void results.notes.push(`profile of ${title}: ${error.message}`),
        )
    }
}

/** Ends the program, with what Vulkan's loader says, where the device does not work. */
async function probe(): Promise<void> {
  let log = ''
  const env = { VK_LOADER_DEBUG: 'all' }
  try {
    const { float16 } = await answerOf<{ float16: boolean }>('probe.ts', [device], {
      seconds: 90,
      env,
      onError: (text) => (log += text),
    })
    // Vulkan's loader names what it makes a device on.
    const used = [...new Set(log.split('\n').flatMap((line) => /Using "(.*)" with driver: "(.*)"/.exec(line)?.[0] ?? []))]
    say(used.join('; ') || 'the loader of Vulkan named no device')
    results.adapter += `; shader-f16: ${float16 ? 'yes' : 'no'}`
    results.adapter += used.map((line) => `; ${line}`).join('')
  } catch (error) {
    process.stdout.write(`device "${device}" does not work here: ${(error as Error).message}\n${log.slice(0, 6000)}\n`)
    process.exit(2)
  }
}

await mkdir(values.out, { recursive: true })
say(results.adapter)
await probe()
// Numbers for models are drawn while the small cases run.
const models: Promise<CaseFiles[]> =
  values.short || (!only.includes('speed') && !only.includes('profile'))
    ? Promise.resolve([])
    : Promise.all(runs.map((run) => answerOf<CaseFiles>('case.ts', [JSON.stringify(run)], { seconds: secondsLeft() })))
models.catch(() => undefined)
if (only.includes('parity')) {
  results.parity = await parity(device, values.short, values.short ? secondsLeft() : Math.min(170, secondsLeft() / 2))
  await save()
  say(
    `${results.parity.length} cases, faults: ${results.parity
      .flatMap(({ name, faults }) => faults.map((f) => `${name} ${f}`))
      .join(' | ')
      .slice(0, 3000)}`,
  )
}
try {
  const cases = await models
  say('models are written')
  if (only.includes('speed')) await speed(cases)
  if (only.includes('profile')) await profiles(cases)
} catch (error) {
  results.notes.push((error as Error).message)
}
process.stdout.write(await save())
const failed =
  results.parity.some(({ faults }) => faults.length > 0) || results.speed.some(({ losses }) => !losses.every(Number.isFinite))
process.exit(failed ? 1 : 0)

/** @file The cases of the benchmark: what each measures, and the table and bars it becomes. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { e2eCase, gpt2Case, hasE2e, syntheticCase, type Case } from './cases.js'
import { Child, nodeArguments } from './child.js'
import { folder, randomModel, type ModelName } from './models.js'
import type { OwnMeasurement, OwnOptions } from './own.js'
import { serve, soakServe } from './serve/cases.js'
import { measureFirstStep, measureGraphBuilding } from './processes.js'
import { isOurs, type Engine } from './protocol.js'
import { between, engineNames, gigabytes, trainingSection, type Section } from './report.js'
import { spread, type Spread } from './statistics.js'
import { lineChart } from './svg.js'
import { runCase, type CaseResult } from './training.js'

export interface Settings {
  readonly engines: readonly Engine[]
  readonly threads: number
  /** Turns of each engine. */
  readonly rounds: number
  readonly quick: boolean
  readonly say: (text: string) => void
  /** What was left out and why. */
  readonly note: (text: string) => void
  /** Keeps a picture of its own beside the results. */
  readonly picture: (name: string, svg: string) => void
}

export type Measure = (settings: Settings) => Promise<readonly Section[]>

const demo = fileURLToPath(new URL('../demo/base', import.meta.url))
const stories = fileURLToPath(new URL('../../shared/models/stories260k', import.meta.url))

const train = async (spec: Case, { engines, threads, say }: Settings, only = engines): Promise<CaseResult> =>
  runCase(spec, only, threads, say)

/** Our fp32 and its nearest rival: what the sweeps measure. */
function rivals({ engines }: Settings): readonly Engine[] {
  const other = (['compile', 'eager'] as const).find((engine) => engines.includes(engine))
  return [...engines.filter((engine) => engine === 'ours'), ...(other === undefined ? [] : [other])]
}

/** Runs `own.ts` in a process of its own. */
function own<T>(what: OwnMeasurement, options: Partial<OwnOptions> & Pick<OwnOptions, 'model'>, threads: number): T {
  const home = join(folder, 'own')
  mkdirSync(home, { recursive: true })
  const data = join(home, `${what}.jsonl`)
  const defaults = { base: 'fp32', targetModules: 'all-linear', batchSize: 4, length: 256, rounds: 7, recompute: false } as const
  const file = join(home, `${what}.json`)
  writeFileSync(file, JSON.stringify({ ...defaults, threads, data, ...options }))
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeArguments('own.ts'), what, file], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`measurement "${what}" failed:\n${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as T
}

/** A table of one training case for each value of something. */
async function sweep(
  settings: Settings,
  title: string,
  unit: string,
  values: readonly number[],
  specOf: (value: number) => Promise<Case>,
): Promise<Section> {
  const results: [number, CaseResult][] = []
  for (const value of values) results.push([value, await train(await specOf(value), settings, rivals(settings))])
  const rows = results.flatMap(([value, { engines }]) =>
    engines.map((e) => [
      String(value),
      engineNames[e.engine],
      between(e.secondsPerStep, 3),
      between(e.tokensPerSecond, 0),
      e.speedup === undefined ? '' : between(e.speedup, 2),
      gigabytes(e.peakBytes),
    ]),
  )
  return {
    title,
    head: [unit, 'engine', 'seconds per step', 'tokens per second', 'times as long as ours', 'peak memory'],
    rows,
    bars: results.map(([value, { engines }]) => ({
      title: `${title}: ${value} ${unit}`,
      unit: 'tokens/s, more is better',
      bars: engines.map((e) => ({ label: engineNames[e.engine], value: e.tokensPerSecond })),
    })),
    data: results,
  }
}

const model =
  (name: ModelName, batchSize: number, length: number): Measure =>
  async (settings) => [
    trainingSection(await train(await syntheticCase({ model: name, batchSize, length, rounds: settings.rounds }), settings)),
  ]

/** Where step time stops growing with the number of tokens. */
const tokens: Measure = async (settings) => {
  const rows = settings.quick ? [1, 4] : [1, 2, 4, 8, 16]
  const only = { ...settings, engines: settings.engines.filter((e) => e === 'ours') }
  const section = await sweep(only, 'GPT-2 small, rows of 256 tokens', 'rows', rows, (batchSize) =>
    syntheticCase({ model: 'gpt2-small', batchSize, length: 256, rounds: Math.min(3, settings.rounds) }),
  )
  const data = section.data as [number, CaseResult][]
  const perToken = data.map(([count, { engines }]) => engines[0]!.secondsPerStep.median / (count * 256))
  const best = Math.min(...perToken)
  const bent = data.filter((_, i) => perToken[i]! > 1.1 * best).map(([count]) => count * 256)
  const text =
    bent.length === 0
      ? 'Seconds per token are within 10 % of the least at every size.'
      : `Seconds per token are more than 10 % above the least at ${bent.join(', ')} tokens.`
  return [{ ...section, note: text, bars: [] }]
}

const inference: Measure = async ({ engines, threads, rounds, say }) => {
  const spec = await gpt2Case(1)
  const seconds = new Map<string, number[]>()
  const children: Child[] = []
  for (const engine of engines.filter((e) => e !== 'ours-int8' && e !== 'ours-int4')) {
    const child = new Child(engine)
    await child.ask({ ask: 'prepare', case: spec, threads, engine })
    children.push(child)
  }
  // Two passes a turn; turns of all engines follow one another.
  for (let round = 0; round < Math.max(2, Math.ceil(rounds / 2)); round++)
    for (const child of children)
      for (const merged of [false, true]) {
        const key = `${engineNames[child.engine]}, ${merged ? 'merged' : 'unmerged'}`
        const { seconds: more } = await child.ask({ ask: 'forward', merged, count: 2 })
        seconds.set(key, [...(seconds.get(key) ?? []), ...more!])
        say(`inference ${key} ${more!.at(-1)!.toFixed(3)} s`)
      }
  for (const child of children) await child.quit()
  const first = spread([...seconds.values()][0]!).median
  const bars = [...seconds].map(([label, values]) => ({ label, value: spread(values) }))
  return [
    {
      title: 'Inference: loss of 4 x 256 tokens without gradients, GPT-2 small',
      head: ['engine', 'seconds', 'by the first row'],
      rows: bars.map(({ label, value }) => [label, between(value, 3), (value.median / first).toFixed(2)]),
      bars: [{ title: 'Inference', unit: 'seconds, less is better', bars }],
      data: Object.fromEntries(seconds),
    },
  ]
}

const overhead: Measure = async ({ threads, rounds }) => {
  const options = { model: await randomModel('gpt2-small'), targetModules: ['c_attn'], rounds: rounds + 2 }
  const { shares } = own<{ shares: number[] }>('overhead', options, threads)
  const row = ['step with r = 8 on every c_attn, by a step whose gradient takes the same way', between(spread(shares), 3)]
  return [{ title: 'What LoRA costs over a frozen forward and backward pass', head: ['', 'ratio'], rows: [row], data: shares }]
}

/** How much of a step its products alone would take. */
const products: Measure = async ({ threads, rounds }) => {
  const options = { model: await randomModel('gpt2-small'), targetModules: ['c_attn'], rounds: rounds + 2 }
  type Shares = { operationsPerStep: number; operationsPerSecond: number; shares: number[] }
  const m = own<Shares>('products', options, threads)
  const row = [(m.operationsPerStep / 1e9).toFixed(0), (m.operationsPerSecond / 1e9).toFixed(0), between(spread(m.shares), 3)]
  return [
    {
      title: 'GPT-2 small, 4 x 256 tokens, fp32: operations of a step by what the machine could do in its time',
      note: 'The rate is that of a chain of products 512 x 768 x 3072 and back, measured before and after.',
      head: ['10⁹ operations a step', '10⁹ operations a second', 'share'],
      rows: [row],
      data: m,
    },
  ]
}

const switching: Measure = async ({ threads, quick }) => {
  const options = { model: demo, length: 64, rounds: quick ? 3 : 7 }
  type Rates = { one: number; mixed: number }
  const m = own<{ forward: Rates; generation: Rates; switch: { median: number; slowest: number } }>('switch', options, threads)
  const share = ({ one, mixed }: Rates): string =>
    `${one.toFixed(0)} → ${mixed.toFixed(0)} tokens/s (${((100 * mixed) / one).toFixed(1)} %)`
  return [
    {
      title: 'Eight adapters on the demo model',
      head: ['', 'measured'],
      rows: [
        ['a switch', `${m.switch.median.toFixed(4)} ms, slowest ${m.switch.slowest.toFixed(3)} ms`],
        ['forward, one adapter → each row its own', share(m.forward)],
        ['generation, one adapter → each row its own', share(m.generation)],
      ],
      data: m,
    },
  ]
}

const bases = ['fp32', 'int8', 'int4'] as const
/** The bases that were asked for as engines. */
const basesOf = ({ engines }: Settings): readonly (typeof bases)[number][] =>
  bases.filter((base) => engines.includes(base === 'fp32' ? 'ours' : `ours-${base}`))

const generation: Measure = async (settings) => {
  const options = { model: await randomModel('gpt2-small'), targetModules: ['c_attn'], length: settings.quick ? 24 : 64 }
  const data = basesOf(settings).map((base) => {
    const { rates, peakBytes } = own<{ rates: number[]; peakBytes: number }>(
      'generation',
      { ...options, base, rounds: 3 },
      settings.threads,
    )
    return { label: `lowrank, ${base}`, value: spread(rates), peakBytes }
  })
  return [
    {
      title: `Generation, GPT-2 small with an adapter, ${options.length} tokens after 32`,
      head: ['base', 'tokens per second', 'peak memory'],
      rows: data.map(({ label, value, peakBytes }) => [label, between(value, 1), gigabytes(peakBytes)]),
      bars: [{ title: 'Generation', unit: 'tokens/s, more is better', bars: data }],
      data,
    },
  ]
}

const build: Measure = async (settings) => {
  const names: ModelName[] = settings.quick ? ['gpt2-small'] : ['gpt2-small', 'qwen2-0.5b']
  const data: { name: string; base: string; seconds: Spread; peakBytes: number }[] = []
  for (const name of names)
    for (const base of basesOf(settings)) {
      const options = { model: await randomModel(name), base }
      // The first packs the weights of a quantised base into its cache: it does not count.
      const runs = Array.from({ length: 3 }, () =>
        own<{ seconds: number; peakBytes: number }>('build', options, settings.threads),
      )
      const counted = runs.slice(1)
      data.push({ name, base, seconds: spread(counted.map((r) => r.seconds)), peakBytes: counted[0]!.peakBytes })
    }
  return [
    {
      title: 'From a model folder to a compiled step, r = 8 on all linear layers',
      head: ['model', 'base', 'seconds', 'peak memory'],
      rows: data.map((d) => [d.name, d.base, between(d.seconds, 2), gigabytes(d.peakBytes)]),
      data,
    },
  ]
}

const graph: Measure = () => {
  const g = measureGraphBuilding()
  const row = [
    `${(g.parameters / 1e9).toFixed(2)} billion`,
    String(g.nodes),
    `${g.seconds.toFixed(2)} s`,
    `${Math.round(g.peakBytes / 1e6)} MB`,
    `${(g.bytes / 1e6).toFixed(1)} MB`,
  ]
  const head = ['parameters', 'nodes', 'built in', 'peak memory', 'encoded']
  return Promise.resolve([{ title: 'Step graph of a llama, its weights mere references', head, rows: [row], data: g }])
}

const firstStep: Measure = async ({ threads, note }) => {
  const seconds = await measureFirstStep(await gpt2Case(1), threads)
  if (seconds === undefined) return (note('The time to the first step was not measured: run `npm run build` before'), [])
  const rows = [[`${seconds.toFixed(1)} s`]]
  return [
    {
      title: 'From the command `lowrank train` on GPT-2 small to the end of its first step',
      head: ['seconds'],
      rows,
      data: seconds,
    },
  ]
}

/** A model of a billion parameters in little memory: how long its session takes to make, and its steps. */
const large: Measure = async ({ threads, rounds }) => {
  const model = await randomModel('llama-1.1b')
  const data = (['int4', 'int8'] as const).map((base) => {
    const options = { model, base, batchSize: 1, length: 512, recompute: true, rounds: 2 + Math.min(3, rounds) }
    // The first packs the weights into their cache.
    own('build', options, threads)
    const { seconds: build } = own<{ seconds: number }>('build', options, threads)
    return { base, build, ...own<{ seconds: number[]; peakBytes: number }>('run', options, threads) }
  })
  return [
    {
      title: 'Llama of 1.1 billion parameters, 1 x 512 tokens, r = 8 on all linear layers, --recompute',
      head: ['base', 'from folder to compiled step', 'seconds per step', 'peak memory'],
      rows: data.map((d) => [d.base, `${d.build.toFixed(1)} s`, between(spread(d.seconds), 2), gigabytes(d.peakBytes)]),
      data,
    },
  ]
}

interface Plan {
  readonly peakMemoryBytes: number
  readonly secondsPerStep: number
}

/** Prediction beside what a run then takes. */
const dryRun: Measure = async ({ threads, quick, note }) => {
  const gpt2 = { model: await randomModel('gpt2-small'), targetModules: ['c_attn'] }
  const configs: (Partial<OwnOptions> & { name: string; model: string })[] = [
    { name: 'demo base, 16 x 64', model: demo, batchSize: 16, length: 64 },
    ...(hasE2e() ? [{ name: 'stories260k, 16 x 256', model: stories, batchSize: 16 }] : []),
    { name: 'GPT-2 small, 4 x 256', ...gpt2 },
    { name: 'GPT-2 small, 4 x 256, recompute', ...gpt2, recompute: true },
    { name: 'GPT-2 small, 4 x 256, int8', ...gpt2, base: 'int8' },
    { name: 'GPT-2 small, 4 x 256, int4', ...gpt2, base: 'int4' },
    ...(quick ? [] : [{ name: 'Qwen2 0.5B, 2 x 256', model: await randomModel('qwen2-0.5b'), batchSize: 2 }]),
  ]
  if (!hasE2e()) note('stories260k was not measured: it is not beside this checkout')
  const data = configs.map(({ name, ...options }) => {
    const given = { ...options, rounds: quick ? 4 : 6 }
    // A quantised base is packed on first use: that is no part of a run whose cache is there.
    if (options.base !== undefined) own('build', given, threads)
    const plan = own<Plan>('plan', given, threads)
    const { seconds, peakBytes } = own<{ seconds: number[]; peakBytes: number }>('run', given, threads)
    return { name, plan, peakBytes, seconds: spread(seconds) }
  })
  return [
    {
      title: '`lowrank train --dry-run`: prediction by measurement',
      note: 'Time is predicted from rates measured just before; on a machine that is busy with other work both vary.',
      head: ['run', 'memory predicted', 'measured', 'ratio', 'seconds predicted', 'measured', 'ratio'],
      rows: data.map((d) => [
        d.name,
        ...[gigabytes(d.plan.peakMemoryBytes), gigabytes(d.peakBytes), (d.plan.peakMemoryBytes / d.peakBytes).toFixed(3)],
        ...[d.plan.secondsPerStep.toFixed(3), between(d.seconds, 3), (d.plan.secondsPerStep / d.seconds.median).toFixed(2)],
      ]),
      data,
    },
  ]
}

/** Batches of random lengths: resident memory after the first fifth must not grow. */
const soak: Measure = async ({ threads, quick, picture }) => {
  const rounds = quick ? 300 : 2000
  const { resident } = own<{ resident: [number, number][] }>('soak', { model: demo, length: 128, rounds: rounds + 2 }, threads)
  const warm = resident.filter(([step]) => step > rounds / 5).map(([, bytes]) => bytes)
  const [early, late] = [warm.slice(0, warm.length / 2), warm.slice(warm.length / 2)].map((part) => spread(part))
  const points = resident.map(([step, bytes]) => [step, bytes / 1e6] as const)
  picture(
    'soak.svg',
    lineChart('Resident memory, batches of random lengths', { x: 'step', y: 'MB' }, [{ label: 'resident', points }]),
  )
  const mb = (s: Spread): string => `${Math.round(s.median / 1e6)} MB (${Math.round(s.min / 1e6)} to ${Math.round(s.max / 1e6)})`
  const growth = `${((100 * (late!.median - early!.median)) / early!.median).toFixed(1)} %`
  return [
    {
      title: `${rounds} steps of 4 rows of 2 to 128 tokens, demo model: resident memory after the first fifth`,
      head: ['first half', 'second half', 'growth'],
      rows: [[mb(early!), mb(late!), growth]],
      data: resident,
    },
  ]
}

const e2e: Measure = async (settings) => {
  if (!hasE2e()) return (settings.note('E2E was not measured: its model and data are not beside this checkout'), [])
  // Every batch has a length of its own, which torch.compile answers with one compilation after the other.
  const only = settings.engines.filter((engine) => isOurs(engine) || engine.startsWith('eager'))
  return [trainingSection(await train(await e2eCase(), settings, only))]
}

/** Rows of the same number of tokens in a batch. */
const lengths: Measure = async (s) => [
  await sweep(s, 'GPT-2 small, 1,024 tokens a batch', 'tokens a row', s.quick ? [128, 1024] : [128, 256, 512, 1024], (length) =>
    syntheticCase({ model: 'gpt2-small', batchSize: 1024 / length, length, rounds: Math.min(3, s.rounds) }),
  ),
]

const ranks: Measure = async (s) => [
  await sweep(s, 'GPT-2 small, 4 x 256 tokens', 'rank', s.quick ? [4, 64] : [4, 8, 16, 32, 64], (r) =>
    syntheticCase({ model: 'gpt2-small', batchSize: 4, length: 256, r, rounds: Math.min(3, s.rounds) }),
  ),
]

/** Every case, in the order of the report. */
export const suite: Readonly<Record<string, Measure>> = {
  'gpt2-small': model('gpt2-small', 4, 256),
  'qwen2-0.5b': model('qwen2-0.5b', 1, 256),
  'bert-base': model('bert-base', 8, 128),
  e2e,
  ...{ lengths, ranks, tokens, inference, overhead, products, switch: switching, generation, build, graph },
  'first-step': firstStep,
  large,
  'dry-run': dryRun,
  soak,
  serve,
  'soak-serve': soakServe,
}

/** What `--quick` runs. */
export const quickCases = ['gpt2-small', 'inference', 'switch', 'generation', 'graph', 'first-step']

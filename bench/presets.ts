/**
 * @file What each preset does beside the defaults of the command line: evaluation loss, time, memory, trained parameters.
 *
 *     npx tsx bench/presets.ts [--seeds 3] [--rows 1600] [--steps N] [--only defaults,quality] [--ablate quality:r,epochs]
 *                              [--threads 2] [--out DIR]
 *
 * Every preset sees the same rows and makes as many passes as it says (`--steps` cuts each run short). On E2E where its data
 * lies beside the checkout, with the demo's model and stories260k; else on the demo's own rows with the demo's model. Each run
 * is a process of its own, so that its memory is its own. `--ablate` also makes, for each of these settings of a preset, the
 * run that leaves it out: what each of them is worth. Writes `presets.md` and `presets.json` (`presets-ablation`) into `bench/results`.
 */
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { generateRows, HELD_OUT, toJsonl } from '../demo/rows.js'
import {
  addLora,
  InvalidOptionError,
  loadModel,
  presetOptions,
  presets,
  train,
  type PresetName,
  type PresetSetting,
  type PresetSettings,
} from '../src/index.js'
import { e2eCase, hasE2e } from './cases.js'
import { nodeArguments } from './child.js'
import { folder } from './models.js'
import { peakBytes } from './peak-memory.js'
import { gigabytes, markdownTable } from './report.js'
import { spread } from './statistics.js'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3' },
    rows: { type: 'string', default: '1600' },
    steps: { type: 'string' },
    only: { type: 'string', default: ['defaults', ...Object.keys(presets)].join(',') },
    ablate: { type: 'string' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: join(dirname(fileURLToPath(import.meta.url)), 'results') },
    /** A {@link Run} as JSON: what a child does. */
    run: { type: 'string' },
  },
})

interface Run {
  readonly model: string
  readonly data: string
  readonly evalData: string
  /** A preset, `defaults`, or a preset less one of its settings: `quality without r`. */
  readonly settings: string
  readonly seed: number
  readonly steps?: number
  readonly threads: number
}

interface Outcome {
  /** Of the adapter that is kept. */
  readonly loss: number
  readonly steps: number
  readonly seconds: number
  readonly peakBytes: number
  readonly trainableParameters: number
}

/** Tokens of a row, for all runs alike. */
const MAX_LENGTH = 256

/** What the command line does without a preset. */
const DEFAULT_LORA = { loraAlpha: 16 }

/** The options of a run by the name of its settings. */
function optionsOf(settings: string): ReturnType<typeof presetOptions> {
  if (settings === 'defaults') return { load: {}, lora: DEFAULT_LORA, train: {} }
  const [name, without] = settings.split(WITHOUT) as [PresetName, string?]
  if (without === undefined) return presetOptions(name)
  // Written out, without the preset's name, by which `train` would set it again.
  const less = <T extends object>(part: PresetSettings<T>): Partial<T> =>
    Object.fromEntries(
      Object.entries<PresetSetting | undefined>(part).flatMap(([key, setting]) =>
        key === without || setting?.when?.holds({ evalData: '' }, { packs: true }) === false ? [] : [[key, setting?.value]],
      ),
    ) as Partial<T>
  const { load, lora, train: options } = presets[name]
  return { load: less(load), lora: { ...DEFAULT_LORA, ...less(lora) }, train: less(options) }
}

const WITHOUT = ' without '

/** `quality:r,epochs` as the names of the runs that leave out one of these settings. */
function ablations(given: string): string[] {
  const [name = '', options = ''] = given.split(':')
  const { load, lora, train: trainSettings } = presets[presetNamed(name)]
  const settings = { ...load, ...lora, ...trainSettings }
  return options.split(',').map((option) => {
    if (!Object.hasOwn(settings, option)) throw new InvalidOptionError(`--ablate: ${name} sets no option "${option}"`)
    return `${name}${WITHOUT}${option}`
  })
}

function presetNamed(name: string): PresetName {
  if (!Object.hasOwn(presets, name)) throw new InvalidOptionError(`there is no preset "${name}"`)
  return name as PresetName
}

async function one({ model, data, evalData, settings, seed, steps, threads }: Run): Promise<Outcome> {
  const { load, lora, train: options } = optionsOf(settings)
  const adapter = await addLora(await loadModel(model, { ...load, threads }), { ...lora, seed })
  const length = steps === undefined ? {} : { steps }
  const events = train(adapter, { ...options, ...length, data, evalData, maxLength: MAX_LENGTH, seed })
  for await (const event of events) {
    if (event.event !== 'done') continue
    const { bestEvalLoss, evalLoss, steps: made, seconds, trainableParameters } = event
    return { loss: bestEvalLoss ?? evalLoss!, steps: made, seconds, peakBytes: peakBytes(), trainableParameters }
  }
  throw new Error('the run ended without an end')
}

/** The same in a process of its own. */
function measured(run: Run): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeArguments('presets.ts'), '--run', JSON.stringify(run)], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${run.settings}, seed ${run.seed} failed:\n${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Outcome
}

interface Experiment {
  readonly title: string
  readonly model: string
  readonly data: string
  readonly evalData: string
}

const demo = fileURLToPath(new URL('../demo/base', import.meta.url))

async function experiments(rows: number): Promise<Experiment[]> {
  const home = join(folder, 'presets')
  await mkdir(home, { recursive: true })
  const [data, evalData] = [join(home, 'train.jsonl'), join(home, 'valid.jsonl')]
  if (!hasE2e()) {
    const held = generateRows('trains', HELD_OUT.trains.rows, HELD_OUT.trains.seed)
    const known = new Set(held.map(({ prompt }) => prompt))
    await writeFile(data, toJsonl(generateRows('trains', rows, 5).filter(({ prompt }) => !known.has(prompt))))
    await writeFile(evalData, toJsonl(held))
    return [{ title: "The demo's model on its own rows", model: demo, data, evalData }]
  }
  const e2e = await e2eCase()
  const lines = (await readFile(e2e.data, 'utf8')).split('\n')
  await writeFile(data, `${lines.slice(0, rows).join('\n')}\n`)
  const files = { data, evalData: e2e.evalData! }
  return [
    { title: "E2E, the demo's model", model: demo, ...files },
    { title: 'E2E, stories260k', model: e2e.model, ...files },
  ]
}

function table(title: string, found: ReadonlyMap<string, readonly Outcome[]>): string[] {
  const first = found.get('defaults')
  const base = first === undefined ? undefined : spread(first.map(({ loss }) => loss)).median
  const rows = [...found].map(([name, outcomes]) => {
    const of = (key: keyof Outcome): number[] => outcomes.map((outcome) => outcome[key])
    const loss = spread(of('loss'))
    const change = base === undefined ? '' : `${(100 * (loss.median / base - 1)).toFixed(1)} %`
    const { steps, trainableParameters } = outcomes[0]!
    return [
      name,
      `${loss.median.toFixed(4)} (${loss.min.toFixed(4)} to ${loss.max.toFixed(4)})`,
      change,
      String(steps),
      spread(of('seconds')).median.toFixed(1),
      gigabytes(spread(of('peakBytes')).median),
      String(trainableParameters),
    ]
  })
  const head = ['settings', 'evaluation loss', 'against the defaults', 'steps', 'seconds', 'peak memory', 'trained parameters']
  return [`## ${title}`, '', ...markdownTable(head, rows)]
}

async function main(): Promise<void> {
  const [seeds, rows, threads] = [values.seeds, values.rows, values.threads].map(Number) as [number, number, number]
  const named = values.only.split(',')
  for (const name of named) if (name !== 'defaults') presetNamed(name)
  const wanted = [...named, ...(values.ablate === undefined ? [] : ablations(values.ablate))]
  const steps = values.steps === undefined ? {} : { steps: Number(values.steps) }
  await mkdir(values.out, { recursive: true })
  const text = [
    ...['# Presets beside the defaults', ''],
    `${rows} rows of at most ${MAX_LENGTH} tokens, ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}: the median, and from the least to the greatest. Every run made as many passes as its settings say${values.steps === undefined ? '' : `, but at most ${values.steps} steps`}.`,
    '',
  ]
  const numbers: unknown[] = []
  for (const { title, ...files } of await experiments(rows)) {
    const found = new Map<string, Outcome[]>(wanted.map((name) => [name, []]))
    // By turns, so that a machine that changes its pace does so for all.
    for (let seed = 0; seed < seeds; seed++)
      for (const settings of wanted) {
        const outcome = measured({ ...files, ...steps, settings, seed, threads })
        process.stderr.write(`${title}, ${settings}, seed ${seed}: loss ${outcome.loss.toFixed(4)}\n`)
        found.get(settings)!.push(outcome)
      }
    text.push(...table(title, found))
    numbers.push({ title, settings: Object.fromEntries(found) })
    // After each model, so that a run that is stopped leaves what it has.
    const file = join(values.out, values.ablate === undefined ? 'presets' : 'presets-ablation')
    await writeFile(`${file}.md`, text.join('\n'))
    await writeFile(`${file}.json`, `${JSON.stringify({ rows, maxLength: MAX_LENGTH, experiments: numbers }, null, 1)}\n`)
  }
  process.stdout.write(text.join('\n'))
}

if (values.run === undefined) await main()
else process.stdout.write(`${JSON.stringify(await one(JSON.parse(values.run) as Run))}\n`)

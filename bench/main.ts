/**
 * @file `npm run bench`: lowrank beside PyTorch + PEFT, on this machine.
 *
 *     npm run bench                                       everything
 *     npm run bench -- --quick                            a few minutes
 *     npm run bench -- --soak                             2,000 steps of random lengths, memory alone
 *     npm run bench -- --cases gpt2-small,ranks --engines ours,ours-int8,compile --rounds 5 --threads 2
 *
 * Engines: ours, ours-int8, ours-int4, eager (also called peft), compile, eager-bf16, compile-bf16; the last four need a
 * Python that has torch, transformers and peft (`LOWRANK_BENCH_PYTHON`, else `python3`). Cases: the keys of `suite`.
 * Writes `latest.md`, `latest.json` and pictures into `bench/results`.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pythonProblem } from './child.js'
import { isOurs, type Engine } from './protocol.js'
import { engineNames, markdown, type Section } from './report.js'
import { quickCases, suite, type Settings } from './suite.js'
import { barChart } from './svg.js'
import type { CaseResult } from './training.js'

const { values } = parseArgs({
  options: {
    cases: { type: 'string' },
    engines: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
    threads: { type: 'string', default: String(Math.max(1, cpus().length)) },
    out: { type: 'string', default: join(dirname(fileURLToPath(import.meta.url)), 'results') },
  },
})

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}

function numberOf(flag: 'rounds' | 'threads', text: string): number {
  const number = Number(text)
  return Number.isInteger(number) && number >= 1 ? number : fail(`--${flag} must be a whole number of at least 1, got "${text}"`)
}

const cases = values.cases?.split(',') ?? (values.soak ? ['soak'] : values.quick ? quickCases : Object.keys(suite))
for (const name of cases)
  if (!Object.hasOwn(suite, name)) fail(`unknown case "${name}"; known are ${Object.keys(suite).join(', ')}`)
const known = Object.keys(engineNames).filter((name) => name !== 'eager-tf32')
const usual = values.quick ? 'ours,ours-int8,compile' : known.join(',')
let engines = (values.engines ?? usual).split(',').map((name) => (name === 'peft' ? 'eager' : name)) as Engine[]
for (const name of engines) if (!known.includes(name)) fail(`unknown engine "${name}"; known are peft, ${known.join(', ')}`)

const notes: string[] = []
if (engines.some((engine) => !isOurs(engine))) {
  const problem = pythonProblem()
  if (problem !== undefined) {
    notes.push(`PEFT was not measured: ${problem}`)
    engines = engines.filter(isOurs)
  }
}
if (engines.length === 0) fail('no engine is left to measure')

const pictures = new Map<string, string>()
const settings: Settings = {
  engines,
  threads: numberOf('threads', values.threads),
  rounds: numberOf('rounds', values.rounds ?? (values.quick ? '2' : '5')),
  quick: values.quick,
  say: (text) => void process.stderr.write(`${text}\n`),
  note: (text) => void notes.push(text),
  picture: (name, svg) => void pictures.set(name, svg),
}

await mkdir(values.out, { recursive: true })
const sections: Section[] = []
/** After each case, so that a run that is stopped leaves what it has. */
async function save(): Promise<string> {
  const groups = sections.flatMap(({ bars }) => bars ?? [])
  if (groups.length > 0) pictures.set('latest.svg', barChart(groups))
  const versions = [
    ...new Set(sections.flatMap(({ data }) => (data as Partial<CaseResult>).engines?.map((e) => e.versions) ?? [])),
  ]
  const results = {
    ...{ machine: cpus()[0]?.model.trim() ?? 'unknown processor', threads: settings.threads, versions, sections, notes },
    pictures: [...pictures.keys()].sort(),
  }
  const text = markdown(results)
  await writeFile(join(values.out, 'latest.md'), text)
  await writeFile(join(values.out, 'latest.json'), `${JSON.stringify(results, null, 1)}\n`)
  for (const [name, svg] of pictures) await writeFile(join(values.out, name), svg)
  return text
}

for (const name of cases) {
  settings.say(`case ${name}`)
  sections.push(...(await suite[name]!(settings)))
  await save()
}
process.stdout.write(await save())

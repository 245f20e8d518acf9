/**
 * @file `npm run bench`: lowrank beside PyTorch + PEFT, on this machine.
 *
 *     npm run bench -- --cases gpt2-small,e2e,graph,first-step --engines ours,eager,compile --rounds 5 --threads 2
 *
 * Engines: ours, eager, compile, eager-bf16, compile-bf16; the last four need a Python that has torch, transformers and
 * peft (`LOWRANK_BENCH_PYTHON`, else `python3`). Writes `bench/results/latest.md` and `.json`.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { e2eCase, gpt2Case, hasE2e } from './cases.js'
import { pythonProblem } from './child.js'
import { measureFirstStep, measureGraphBuilding } from './processes.js'
import type { Engine } from './protocol.js'
import { markdown, type Results } from './report.js'
import { runCase, type CaseResult } from './training.js'

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: 'gpt2-small,e2e,graph,first-step' },
    engines: { type: 'string', default: 'ours,eager,compile' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(Math.max(1, cpus().length)) },
    out: { type: 'string', default: join(dirname(fileURLToPath(import.meta.url)), 'results') },
  },
})

const notes: string[] = []
const say = (text: string): void => void process.stderr.write(`${text}\n`)
const wanted = new Set(values.cases.split(','))
const threads = Number(values.threads)
let engines = values.engines.split(',') as Engine[]
if (engines.some((engine) => engine !== 'ours')) {
  const problem = pythonProblem()
  if (problem !== undefined) {
    notes.push(`PEFT was not measured: ${problem}`)
    engines = engines.filter((engine) => engine === 'ours')
  }
}

const cases: CaseResult[] = []
if (wanted.has('gpt2-small')) cases.push(await runCase(await gpt2Case(Number(values.rounds)), engines, threads, say))
if (wanted.has('e2e')) {
  // Every batch has a length of its own, which torch.compile answers with one compilation after the other.
  const eager = engines.filter((engine) => !engine.startsWith('compile'))
  if (hasE2e()) cases.push(await runCase(await e2eCase(), eager, threads, say))
  else notes.push('E2E was not measured: its model and data are not beside this checkout')
}
const graphBuilding = wanted.has('graph') ? measureGraphBuilding() : undefined
const firstStep = wanted.has('first-step') ? await measureFirstStep(await gpt2Case(1), threads) : undefined
if (wanted.has('first-step') && firstStep === undefined)
  notes.push('The time to the first step was not measured: run `npm run build` before')

const results: Results = {
  ...{ machine: cpus()[0]?.model.trim() ?? 'unknown processor', threads, cases, notes },
  ...(graphBuilding && { graphBuilding }),
  ...(firstStep !== undefined && { firstStep }),
}
const text = markdown(results)
await mkdir(values.out, { recursive: true })
await writeFile(join(values.out, 'latest.md'), text)
await writeFile(join(values.out, 'latest.json'), `${JSON.stringify(results, null, 1)}\n`)
process.stdout.write(text)

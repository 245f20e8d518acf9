/**
 * @file `npm run fuzz -- [--cases 100000] [--seed 1] [--format onnx] [--from 0]`: mutated files for every reader, with limits of
 * time and memory. Ends with status 1 if a case fails; the case is run again by its seed and number.
 */
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { runCases, type Outcome } from './run.js'
import { targets } from './targets.js'

const SLOWEST = 1000
/** Below this, memory is the noise of the process itself. */
const FLOOR = 64 * 2 ** 20

const { values } = parseArgs({
  options: { cases: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' }, format: { type: 'string' } },
})
if (values.format !== undefined && !Object.hasOwn(targets, values.format))
  throw new Error(`unknown format "${values.format}"; known: ${Object.keys(targets).join(', ')}`)

/** Ends the process where a case never comes back: nothing else can, as readers work in this thread. */
const progress = new Int32Array(new SharedArrayBuffer(4))
const watchdog = new Worker(
  `const { workerData: progress } = require('node:worker_threads')
   let last = -1
   setInterval(() => {
     if (progress[0] === last) { require('node:fs').writeSync(2, 'case ' + last + ' hangs\\n'); process.kill(process.pid, 'SIGKILL') }
     last = progress[0]
   }, 60000)`,
  { eval: true, workerData: progress },
)
watchdog.unref()

const start = performance.now()
const results = new Map<string, number>()
const failures = new Map<string, number>()
let slowest: Outcome | undefined
let largest: Outcome | undefined
const tell = ({ format, number }: Outcome): string => `${format} case ${number} (seed ${values.seed})`
for await (const outcome of runCases(Number(values.cases), Number(values.seed), values.format)) {
  progress[0] = outcome.number + 1
  const key = `${outcome.format} ${outcome.result}`
  results.set(key, (results.get(key) ?? 0) + 1)
  if (slowest === undefined || outcome.milliseconds > slowest.milliseconds) slowest = outcome
  if (largest === undefined || outcome.memory > largest.memory) largest = outcome
  const failure =
    outcome.failure ??
    (outcome.milliseconds > SLOWEST ? `took ${Math.round(outcome.milliseconds)} ms` : undefined) ??
    (outcome.memory > Math.max(FLOOR, 10 * outcome.bytes)
      ? `took ${outcome.memory} bytes for a file of ${outcome.bytes}`
      : undefined)
  if (failure !== undefined) {
    // One report for each place.
    const kind = `${outcome.format}: ${failure.split('\n').slice(0, 2).join(' ').replace(/\d+/g, '#').slice(0, 200)}`
    const seen = failures.get(kind) ?? 0
    failures.set(kind, seen + 1)
    if (seen === 0) console.error(`${tell(outcome)}: ${failure.slice(0, 1500)}`)
  }
}
for (const [key, count] of [...results].sort()) console.log(`${String(count).padStart(8)} ${key}`)
if (slowest !== undefined && largest !== undefined) {
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  console.log(`${values.cases} cases in ${seconds} s; slowest ${slowest.milliseconds.toFixed(0)} ms (${tell(slowest)})`)
  console.log(
    `most memory ${(largest.memory / 2 ** 20).toFixed(1)} MB (${tell(largest)}); process ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`,
  )
}
for (const [kind, count] of failures) console.error(`${count} × ${kind}`)
process.exit(failures.size > 0 ? 1 : 0)

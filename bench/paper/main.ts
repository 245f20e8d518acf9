/**
 * @file The paper's experiments at the size of this machine: `npm run bench:paper`.
 *
 *     npm run bench:paper -- [--only text,ranks,matrices,costs,subspaces,glue,claims] [--bases stories260k,gpt2-4m] [--seeds 3] [--threads 2] [--out DIR]
 *
 * Reads E2E, DART, WebNLG, GLUE and stories260k beside the checkout. Every run is a process of its own and is kept in
 * `paper-runs.json`; what is there is not run again. `npm run docs` makes the tables of docs/paper.md from it.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { measureClaims, trainForClaims, type ClaimTask } from './claims.js'
import { measureCosts, trainForCosts, type CostTask } from './costs.js'
import { methodsPicture } from './results.js'
import { glueBeside } from './glue-experiment.js'
import { glueRun } from './glue-run.js'
import { RunStore, type Run } from './run-store.js'
import { measureSubspaces } from './subspaces.js'
import { textEncoder } from './text-encoder.js'
import { matricesOfOneBudget, methodsBeside, ranksByMatrices, textBases } from './text-experiment.js'
import { textRun } from './text-run.js'
import { hasTexts } from './texts.js'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'text,ranks,matrices,costs,subspaces,glue,claims' },
    bases: { type: 'string', default: textBases.map(({ name }) => name).join(',') },
    seeds: { type: 'string', default: '3' },
    /** Turns of what is timed. */
    rounds: { type: 'string', default: '7' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: join(dirname(fileURLToPath(import.meta.url)), '../results') },
    /** What a child does, as JSON. */
    task: { type: 'string' },
  },
})

const say = (text: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)

async function main(): Promise<void> {
  if (!hasTexts()) throw new Error('the data sets are not beside the checkout: see docs/paper.md')
  const [seeds, threads] = [Number(values.seeds), Number(values.threads)]
  await mkdir(values.out, { recursive: true })
  const store = new RunStore(join(values.out, 'paper-runs.json'), threads, say)
  const only = values.only.split(',')
  const machine = { processor: cpus()[0]!.model, cores: cpus().length, threads }
  const keep = (name: string, found: object): Promise<void> =>
    writeFile(join(values.out, `paper-${name}.json`), `${JSON.stringify(found, null, 1)}\n`)
  if (only.includes('claims')) await keep('claims', { machine, ...(await measureClaims(threads, Number(values.rounds))) })
  if (only.includes('glue')) await glueBeside(store, await textEncoder(threads, say), seeds)
  for (const base of textBases.filter(({ name }) => values.bases.split(',').includes(name))) {
    const model = await base.folder(threads, say)
    if (only.includes('text')) {
      await methodsBeside(store, base, model, seeds)
      await writeFile(join(values.out, `paper-${base.name}.svg`), methodsPicture(store.runs, base))
    }
    if (only.includes('costs'))
      await keep(`costs-${base.name}`, { machine, methods: await measureCosts(base, model, threads, Number(values.rounds)) })
    if (only.includes('subspaces') && base.linear.includes('c_attn'))
      await keep('subspaces', await measureSubspaces(base, model, threads, values.out))
    if (base.matrices === undefined) continue
    if (only.includes('ranks')) await ranksByMatrices(store, base, model, seeds)
    if (only.includes('matrices')) await matricesOfOneBudget(store, base, model, seeds)
  }
}

type Task = { readonly run: Run; readonly model: string } | ClaimTask | CostTask

const outcomeOf = (run: Run, model: string, threads: number): Promise<object> =>
  run.experiment === 'text' ? textRun(run, model, threads) : glueRun(run, model, threads)

async function child({ threads, ...task }: Task & { readonly threads: number }): Promise<void> {
  if ('claims' in task) await trainForClaims(task, threads)
  else if ('cost' in task) await trainForCosts(task, threads)
  else process.stdout.write(`${JSON.stringify(await outcomeOf(task.run, task.model, threads))}\n`)
}

if (values.task === undefined) await main()
else await child(JSON.parse(values.task) as Task & { readonly threads: number })

/**
 * @file The paper's experiments at the size of this machine: `npm run bench:paper`.
 *
 *     npm run bench:paper -- [--only text,glue] [--seeds 3] [--threads 2] [--out DIR]
 *
 * Reads E2E, DART, WebNLG, GLUE and stories260k beside the checkout. Every run is a process of its own and is kept in
 * `paper-runs.json`; what is there is not run again. `npm run docs` makes the tables of docs/paper.md from it.
 */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { RunStore } from './run-store.js'
import { matricesOfOneBudget, methodsBeside, ranksByMatrices, textBases } from './text-experiment.js'
import { textRun, type TextRun } from './text-run.js'
import { hasTexts } from './texts.js'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'ranks,matrices,text' },
    bases: { type: 'string', default: textBases.map(({ name }) => name).join(',') },
    seeds: { type: 'string', default: '3' },
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
  for (const base of textBases.filter(({ name }) => values.bases.split(',').includes(name))) {
    const model = await base.folder(threads, say)
    if (only.includes('text')) await methodsBeside(store, base, model, seeds)
    if (base.matrices === undefined) continue
    if (only.includes('ranks')) await ranksByMatrices(store, base, model, seeds)
    if (only.includes('matrices')) await matricesOfOneBudget(store, base, model, seeds)
  }
}

if (values.task === undefined) await main()
else {
  const { run, model, threads } = JSON.parse(values.task) as { run: TextRun; model: string; threads: number }
  process.stdout.write(`${JSON.stringify(await textRun(run, model, threads))}\n`)
}

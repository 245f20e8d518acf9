/** @file The cases of `lowrank serve`: many clients at once beside llama.cpp, and adapters that come and go under load. */
import { spawnSync } from 'node:child_process'
import { nodeArguments } from '../child.js'
import { randomModel } from '../models.js'
import { gigabytes } from '../report.js'
import type { Measure } from '../suite.js'
import type { LoadOptions, LoadResult } from './load.js'
import type { Soak } from './soak.js'
import type { Adapters, WriterOptions } from './writers.js'

type What = 'lowrank' | 'llama.cpp' | 'soak'

/** @throws Error with what the process said, if it failed */
function run<T>(what: What, options: Partial<WriterOptions & LoadOptions>): T {
  const args = [...nodeArguments('serve/run.ts'), what, JSON.stringify(options)]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`measurement "${what}" failed:\n${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as T
}

const withAdapters: Readonly<Record<Adapters, string>> = {
  none: 'the base',
  one: 'one adapter',
  each: 'eight adapters, by client',
}

/** The clients of each measurement; 8 and 32 share eight adapters. */
const CLIENTS = [1, 8, 32]

/** SmolLM2-135M's shape: prompts of 128 tokens, texts of 64. */
export const serve: Measure = async ({ threads, quick, say }) => {
  const model = await randomModel('smollm2-135m')
  const vocabulary = 49152
  const data = (['lowrank', 'llama.cpp'] as const).flatMap((what) =>
    (['none', 'one', 'each'] as const).flatMap((adapters) => {
      if (what === 'llama.cpp' && adapters === 'each') return []
      return (quick ? CLIENTS.slice(0, 2) : CLIENTS).map((clients) => {
        say(`serve: ${what}, ${withAdapters[adapters]}, ${clients} clients`)
        const texts = quick ? 1 : Math.max(2, Math.ceil(24 / clients))
        const options = { model, threads, clients, adapters, texts, promptTokens: 128, tokens: 64, vocabulary }
        return { what, adapters, ...run<LoadResult>(what, options) }
      })
    }),
  )
  const milliseconds = ({ p50, p95 }: LoadResult['firstToken']): string => `${p50.toFixed(0)} / ${p95.toFixed(0)} ms`
  return [
    {
      title: "Clients at once, SmolLM2-135M's shape, float32: 128 tokens in, 64 out",
      note: 'Times at the median / the 95th percentile. Each client begins its next text when the last one ends. Sequences of llama.cpp share their adapters.',
      head: ['', 'clients', 'tokens per second', 'to the first token', 'between tokens'],
      rows: data.map((d) => [
        ...[`${d.what}, ${withAdapters[d.adapters]}`, String(d.clients), d.tokensPerSecond.toFixed(1)],
        ...[milliseconds(d.firstToken), milliseconds(d.betweenTokens)],
      ]),
      data,
    },
  ]
}

/** Fails where an answer was wrong or a request was lost. */
export const soakServe: Measure = ({ quick }) => {
  const m = run<Soak>('soak', { texts: quick ? 100 : 1000 })
  if (m.wrong.length > 0) throw new Error(`${m.wrong.length} answers were wrong:\n${m.wrong.slice(0, 10).join('\n')}`)
  const [first, last] = [m.resident[Math.floor(m.resident.length / 2)]!, m.resident.at(-1)!]
  return Promise.resolve([
    {
      title: 'Adapters that are loaded, replaced and unloaded while they are asked for',
      head: ['loads', 'answers, each its own', 'aborted', 'resident memory at half time', 'at the end'],
      rows: [[m.loads, m.answers, m.aborted].map(String).concat(gigabytes(first), gigabytes(last))],
      data: m,
    },
  ])
}

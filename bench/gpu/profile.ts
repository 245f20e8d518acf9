/**
 * @file Where the time of a gradient step goes on a device, from the runtime's own profile: `profile.ts CASE DEVICE BASE`, the
 * answer is a line of JSON on stdout. It needs the very graph that training compiles, which no entry gives.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createModelSession } from '../../src/base/quantized-base.js'
import { loadAdapter, loadModel, type BaseScheme, type Device } from '../../src/index.js'
import { chooseObjective, openTaskDataset } from '../../src/train/open-dataset.js'
import { lossOptions, stepGraph } from '../../src/train/step-graph.js'
import { adapterTrainee } from '../../src/train/trainee.js'
import type { Case } from '../cases.js'

/** Milliseconds of a run by what they were spent on, the most first. */
export interface Profile {
  /** Wall time of each run, without the first two. */
  readonly wall: readonly number[]
  /** On the GPU, by kernel; empty where the driver tells no times. */
  readonly gpu: Readonly<Record<string, readonly [milliseconds: number, count: number]>>
  /** On the CPU, by operator and provider: work, or what it took to hand it over. */
  readonly host: Readonly<Record<string, readonly [milliseconds: number, count: number]>>
}

interface Event {
  readonly cat: string
  readonly name: string
  readonly dur: number
  readonly args?: { readonly op_name?: string; readonly provider?: string }
}

const RUNS = 5

async function profile(spec: Case, device: Device, base: BaseScheme): Promise<Profile> {
  const model = await loadModel(spec.model, { device, base })
  const adapter = await loadAdapter(model, spec.adapter)
  const objective = await chooseObjective(model, spec.data, {})
  const options = lossOptions(model, spec.batchSize, spec.maxLength, false, objective)
  const { graph, subBatches } = stepGraph(adapterTrainee(adapter), options, true)
  const folder = mkdtempSync(join(tmpdir(), 'lowrank-profile-'))
  const session = await createModelSession(model.environment, graph, { profile: join(folder, 'profile') })
  const dataset = await openTaskDataset(model, objective, spec.data, { maxLength: spec.maxLength })
  const wall: number[] = []
  for await (const batch of dataset.batches({ batchSize: spec.batchSize, shuffle: false, seed: 0, epochs: 1 })) {
    const [subBatch] = subBatches(batch)
    const given = { ...subBatch!.feeds, ...Object.fromEntries(adapter.tensors) }
    const feeds = Object.fromEntries(graph.inputs.map(({ name }) => [name, given[name]!]))
    for (let i = 0; i < RUNS; i++) {
      const started = performance.now()
      await session.run(feeds)
      wall.push(performance.now() - started)
    }
    break
  }
  await session.release()
  const events = readdirSync(folder).flatMap((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Event[])
  rmSync(folder, { recursive: true })
  const sums = (chosen: readonly Event[], key: (event: Event) => string): Profile['gpu'] => {
    const found = new Map<string, [number, number]>()
    for (const event of chosen) {
      const sum = found.get(key(event)) ?? [0, 0]
      found.set(key(event), [sum[0] + event.dur / 1000 / RUNS, sum[1] + 1 / RUNS])
    }
    return Object.fromEntries([...found].sort(([, a], [, b]) => b[0] - a[0]).slice(0, 25))
  }
  const nodes = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'))
  const kernels = events.filter(({ cat }) => cat !== 'Node' && cat !== 'Session')
  return {
    wall: wall.slice(2),
    gpu: sums(kernels, ({ name, args }) => args?.op_name ?? name.replace(/^[^&]*&/, '')),
    host: sums(nodes, ({ args }) => `${args?.op_name} ${args?.provider?.replace('ExecutionProvider', '')}`),
  }
}

const [spec, device, base] = process.argv.slice(2) as [string, Device, BaseScheme]
process.stdout.write(`${JSON.stringify(await profile(JSON.parse(readFileSync(spec, 'utf8')) as Case, device, base))}\n`)
process.exit(0)

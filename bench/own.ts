/**
 * @file Measurements of lowrank alone, each in a process of its own so that memory is its own: `own.ts WHAT JSON`, the
 * answer is a line of JSON on stdout.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { addLora, generate, loadModel, measureRates, planTraining, Random, train } from '../src/index.js'
import { compileStep } from './inner.js'
import { measureMixedBatch } from './mixed-batch.js'
import { peakBytes } from './peak-memory.js'

export interface OwnOptions {
  readonly model: string
  readonly threads: number
  readonly base: 'fp32' | 'int8' | 'int4'
  readonly targetModules: string[] | 'all-linear'
  readonly batchSize: number
  readonly length: number
  readonly rounds: number
  readonly recompute: boolean
  /** A file that may be written for the rows. */
  readonly data: string
}

const now = (): number => performance.now() / 1000

const residentBytes = (): number => process.memoryUsage().rss

async function writeRows({ data, batchSize, length, rounds }: OwnOptions, vocabulary: number, lengths?: Random): Promise<void> {
  const random = Random.derive(7, 'bench')
  const row = (): string => {
    const size = lengths === undefined ? length : 2 + lengths.integer(length - 1)
    return JSON.stringify({ input_ids: Array.from({ length: size }, () => random.integer(vocabulary)) })
  }
  await mkdir(dirname(data), { recursive: true })
  await writeFile(data, Array.from({ length: batchSize * rounds }, row).join('\n'))
}

async function adapted(options: OwnOptions, extra: { readonly layersToTransform?: number[] } = {}) {
  const { model: path, threads, base, targetModules } = options
  const model = await loadModel(path, { threads, base })
  return addLora(model, { r: 8, alpha: 16, targetModules, ...extra })
}

/** Seconds of each step after the first two. */
async function* stepSeconds(adapter: Awaited<ReturnType<typeof adapted>>, o: OwnOptions): AsyncGenerator<number> {
  const { data, batchSize, length: maxLength, recompute, rounds } = o
  const events = train(adapter, { data, batchSize, maxLength, recompute, steps: rounds, shuffle: false })
  let started = now()
  let step = 0
  for await (const { event } of events) {
    if (event !== 'step') continue
    if (++step > 2) yield now() - started
    started = now()
  }
}

/** A step with branches on all layers by one with the first layer's alone, whose gradient takes the same way: turn by turn. */
async function overhead(o: OwnOptions): Promise<unknown> {
  const all = await adapted(o)
  await writeRows(o, all.model.vocabularySize)
  const frozen = stepSeconds(await adapted(o, { layersToTransform: [0] }), o)
  const shares: number[] = []
  for await (const seconds of stepSeconds(all, o)) shares.push(seconds / (await frozen.next()).value!)
  return { shares }
}

async function generation(o: OwnOptions): Promise<unknown> {
  const adapter = await adapted(o)
  const random = Random.derive(7, 'bench')
  const inputIds = Array.from({ length: 32 }, () => random.integer(adapter.model.vocabularySize))
  const rates: number[] = []
  for (let i = 0; i < o.rounds; i++) {
    const { ids, tokensPerSecond } = await generate(adapter, { inputIds, maxNewTokens: o.length, eosTokenIds: [] })
    if (ids.length > 0) rates.push(tokensPerSecond)
  }
  return { rates, peakBytes: peakBytes() }
}

/** From the folder to a compiled step. */
async function build(o: OwnOptions): Promise<unknown> {
  const started = now()
  const adapter = await adapted(o)
  const graph = now()
  const release = await compileStep(adapter, { batchSize: o.batchSize, maxLength: o.length }, o.recompute)
  const seconds = now() - started
  await release()
  return { seconds, openSeconds: graph - started, peakBytes: peakBytes() }
}

async function adapterSwitch(o: OwnOptions): Promise<unknown> {
  const model = await loadModel(o.model, { threads: o.threads, base: o.base })
  const measured = await measureMixedBatch(model, { adapters: 8, tokens: o.length, rounds: o.rounds })
  return measured
}

/** The prediction alone: nothing of the model is loaded in this process. */
async function plan(o: OwnOptions): Promise<unknown> {
  const adapter = await adapted(o)
  await writeRows(o, adapter.model.vocabularySize)
  const { batchSize, length: maxLength, recompute, data } = o
  return planTraining(adapter, { data, batchSize, maxLength, recompute, steps: o.rounds })
}

async function run(o: OwnOptions): Promise<unknown> {
  const adapter = await adapted(o)
  await writeRows(o, adapter.model.vocabularySize)
  const seconds: number[] = []
  for await (const each of stepSeconds(adapter, o)) seconds.push(each)
  return { seconds, peakBytes: peakBytes() }
}

/** What a step's products would take alone, at the rate of a chain of products of its size measured before and after. */
async function products(o: OwnOptions): Promise<unknown> {
  const adapter = await adapted(o)
  const { environment, vocabularySize } = adapter.model
  await writeRows(o, vocabularySize)
  const rate = async (): Promise<number> =>
    (await measureRates(environment, ['fp32'], { disablePrepacking: true })).products.fp32!
  const { batchSize, length: maxLength, data } = o
  const { operationsPerStep } = await planTraining(adapter, { data, batchSize, maxLength, steps: o.rounds })
  const before = await rate()
  const seconds: number[] = []
  for await (const each of stepSeconds(adapter, o)) seconds.push(each)
  const operationsPerSecond = (before + (await rate())) / 2
  return { operationsPerStep, operationsPerSecond, shares: seconds.map((s) => operationsPerStep / operationsPerSecond / s) }
}

/** Resident memory while batches of all lengths go by. */
async function soak(o: OwnOptions): Promise<unknown> {
  const adapter = await adapted(o)
  await writeRows(o, adapter.model.vocabularySize, Random.derive(11, 'lengths'))
  const resident: [step: number, bytes: number][] = []
  let step = 0
  for await (const _ of stepSeconds(adapter, o)) if (++step % 10 === 0) resident.push([step, residentBytes()])
  return { resident }
}

const measurements = { overhead, products, generation, build, switch: adapterSwitch, plan, run, soak }
export type OwnMeasurement = keyof typeof measurements

const [what, file] = process.argv.slice(2)
const options = JSON.parse(readFileSync(file!, 'utf8')) as OwnOptions
process.stdout.write(`${JSON.stringify(await measurements[what as OwnMeasurement](options))}\n`)
process.exit(0)

/**
 * @file The paper's four claims on this machine: a checkpoint is small, training needs less memory and less time than of all
 * weights with Adam, and a merged adapter costs nothing.
 *
 * GPT-2 small with random weights, r = 4 on `c_attn` as in the paper's text experiments. Training by turns of two processes,
 * one that trains an adapter and one that trains all weights; passes by turns of base, merged and unmerged in one process,
 * with the last position's logits, as a prompt is read.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { Adapter } from '../../src/index.js'
import { addLora, fullTrainee, generateBatch, loadModel, merge, Random, train, type Trainee } from '../../src/index.js'
import { nodeArguments } from '../child.js'
import { folder, gpt2Small } from '../models.js'
import { peakBytes } from '../peak-memory.js'
import { spread, type Spread } from '../statistics.js'

export interface Claims {
  readonly training: Readonly<Record<Trained, TrainingClaim>>
  /** Time of the adapter's step by that of all weights. */
  readonly stepRatio: Spread
  readonly latency: readonly Latency[]
}

interface TrainingClaim {
  readonly trainedParameters: number
  readonly checkpointBytes: number
  readonly secondsPerStep: Spread
  readonly peakBytes: number
}

/** Milliseconds of a pass over a batch. */
interface Latency {
  readonly batch: number
  readonly length: number
  readonly base: Spread
  readonly merged: Spread
  readonly unmerged: Spread
}

export const trainedKinds = ['adapter', 'all weights'] as const
type Trained = (typeof trainedKinds)[number]

/** r = 4 and α = 32, as README of the original repository trains GPT-2; A and B random, so that merging changes the weights. */
const LORA = { r: 4, loraAlpha: 32, targetModules: ['c_attn'], initLoraWeights: false, seed: 0 } as const
const [BATCH, LENGTH] = [4, 256]
/** Of the paper's Table 1 what this machine does in seconds. */
const SHAPES = [
  [1, 128],
  [4, 256],
  [8, 512],
] as const

function randomIds(count: number, random: Random): number[] {
  return Array.from({ length: count }, () => random.integer(50_000))
}

/** What a training process does: a step for every line it is given, and at the end of them what it needed. */
export async function trainByTurns(kind: Trained, threads: number): Promise<void> {
  const model = await loadModel(await gpt2Small(), { threads })
  const trainee: Adapter | Trainee = kind === 'adapter' ? await addLora(model, LORA) : await fullTrainee(model)
  const random = Random.derive(3, 'claims')
  const data = Array.from({ length: BATCH * 40 }, () => {
    const ids = randomIds(LENGTH, random)
    return { input_ids: ids, labels: ids }
  })
  const events = train(trainee, { data, batchSize: BATCH, maxLength: LENGTH, steps: 40, learningRate: 1e-5, shuffle: false })
  const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`)
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'end') break
    const started = performance.now()
    for (;;) {
      const { value, done } = await events.next()
      if (done === true) throw new Error('the run has no more steps')
      if (value.event === 'step') break
    }
    say({ seconds: (performance.now() - started) / 1000 })
  }
  // Before anything is written, which would need memory of its own.
  const peak = peakBytes()
  const home = await mkdtemp(join(folder, 'claims-'))
  await trainee.save(home)
  const file = join(home, kind === 'adapter' ? 'adapter_model.safetensors' : 'model.safetensors')
  say({ peakBytes: peak, checkpointBytes: (await stat(file)).size, trainedParameters: trainee.parameters.count })
  await rm(home, { recursive: true })
  process.exit(0)
}

/** A process that trains, a step at a time. */
class Turns {
  private readonly child
  private readonly answers

  constructor(kind: Trained, threads: number) {
    this.child = spawn(
      process.execPath,
      [...nodeArguments('paper/main.ts'), '--task', JSON.stringify({ claims: kind, threads })],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  async ask<Answer>(line: 'step' | 'end'): Promise<Answer> {
    this.child.stdin.write(`${line}\n`)
    const { value, done } = await this.answers.next()
    if (done === true) throw new Error('a training process ended before its time')
    return JSON.parse(value) as Answer
  }
}

async function training(threads: number, rounds: number): Promise<Pick<Claims, 'training' | 'stepRatio'>> {
  const turns = trainedKinds.map((kind) => new Turns(kind, threads))
  const seconds: Readonly<Record<Trained, number[]>> = { adapter: [], 'all weights': [] }
  // The first two steps compile and settle.
  for (let round = -2; round < rounds; round++)
    for (const [i, kind] of trainedKinds.entries()) {
      const step = await turns[i]!.ask<{ seconds: number }>('step')
      if (round >= 0) seconds[kind].push(step.seconds)
    }
  const found = await Promise.all(turns.map((each) => each.ask<Omit<TrainingClaim, 'secondsPerStep'>>('end')))
  const of = (i: 0 | 1): TrainingClaim => ({ ...found[i]!, secondsPerStep: spread(seconds[trainedKinds[i]]) })
  return {
    training: { adapter: of(0), 'all weights': of(1) },
    stepRatio: spread(seconds.adapter.map((value, i) => value / seconds['all weights'][i]!)),
  }
}

async function latencies(threads: number, rounds: number): Promise<Latency[]> {
  const path = await gpt2Small()
  const adapter = await addLora(await loadModel(path, { threads }), LORA)
  const home = await mkdtemp(join(folder, 'claims-merged-'))
  await merge(adapter).save(home)
  const subjects = { base: await loadModel(path, { threads }), merged: await loadModel(home, { threads }), unmerged: adapter }
  const random = Random.derive(4, 'claims')
  const found: Latency[] = []
  for (const [batch, length] of SHAPES) {
    const prompts = Array.from({ length: batch }, () => ({ inputIds: randomIds(length, random) }))
    const times = { base: [] as number[], merged: [] as number[], unmerged: [] as number[] }
    for (let round = -1; round < rounds; round++)
      for (const name of ['base', 'merged', 'unmerged'] as const) {
        const started = performance.now()
        await generateBatch(subjects[name], prompts, { maxNewTokens: 1, eosTokenIds: [] })
        if (round >= 0) times[name].push(performance.now() - started)
      }
    found.push({ batch, length, base: spread(times.base), merged: spread(times.merged), unmerged: spread(times.unmerged) })
  }
  await rm(home, { recursive: true })
  return found
}

export async function measureClaims(threads: number, rounds: number): Promise<Claims> {
  return { ...(await training(threads, rounds)), latency: await latencies(threads, rounds) }
}

/**
 * @file The paper's four claims on this machine: a checkpoint is small, training needs less memory and less time than of all
 * weights with Adam, and a merged adapter costs nothing.
 *
 * GPT-2 small with random weights, r = 4 on `c_attn` as in the paper's text experiments. Training by turns of two processes,
 * one that trains an adapter and one that trains all weights; passes by turns of base, merged and unmerged in one process,
 * with the last position's logits, as a prompt is read.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { addLora, fullTrainee, generateBatch, loadModel, merge, Random } from '../../src/index.js'
import { folder, gpt2Small } from '../models.js'
import { spread, type Spread } from '../statistics.js'
import { costsByTurns, stepsOfTurns, trainByTurns, type TrainingCost } from './turns.js'

export interface Claims {
  readonly training: Readonly<Record<Trained, TrainingCost>>
  readonly latency: readonly Latency[]
}

/** Milliseconds of a pass over a batch. */
interface Latency {
  readonly batch: number
  readonly length: number
  readonly base: Spread
  readonly merged: Spread
  readonly unmerged: Spread
}

/** The first is what the others are compared with. */
const trainedKinds = ['adapter', 'all weights'] as const
type Trained = (typeof trainedKinds)[number]

/** What a training process of the claims is told. */
export interface ClaimTask {
  readonly claims: Trained
  readonly rounds: number
}

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

/** A training process of the claims. */
export async function trainForClaims({ claims, rounds }: ClaimTask, threads: number): Promise<void> {
  const path = await gpt2Small()
  const model = await loadModel(path, { threads })
  const trainee = claims === 'adapter' ? await addLora(model, LORA) : await fullTrainee(model)
  const random = Random.derive(3, 'claims')
  const steps = stepsOfTurns(rounds)
  const data = Array.from({ length: BATCH * steps }, () => {
    const ids = randomIds(LENGTH, random)
    return { input_ids: ids, labels: ids }
  })
  await trainByTurns(trainee, path, { data, batchSize: BATCH, maxLength: LENGTH, steps, learningRate: 1e-5, shuffle: false })
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
  const tasks = trainedKinds.map((claims): ClaimTask & { threads: number } => ({ claims, rounds, threads }))
  const [adapter, full] = await costsByTurns(tasks, rounds)
  return { training: { adapter: adapter!, 'all weights': full! }, latency: await latencies(threads, rounds) }
}

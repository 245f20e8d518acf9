/** @file Tiny models, rows and runs, for the tests of training. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import type { Environment } from '../../src/environment.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { makeBatch, type Batch, type TokenFeed } from '../../src/data/batch.js'
import { countTargets } from '../../src/data/examples.js'
import { FileError } from '../../src/errors.js'
import { encodeSafetensors } from '../../src/formats/safetensors.js'
import type { HostTensor } from '../../src/graph/types.js'
import type { Files } from '../../src/io/files.js'
import { ConfigReader, type Json } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { taskNamed, type TaskName } from '../../src/models/task.js'
import type { DoneEvent, EvalEvent, StepEvent, TrainEvent } from '../../src/train/events.js'
import { train } from '../../src/train/trainer.js'
import { Random } from '../../src/util/rng.js'
import { testEnvironment } from './environment.js'

export const llamaConfig: Record<string, Json> = {
  model_type: 'llama',
  vocab_size: 17,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 24,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
  // Large enough that gradients are no rounding errors.
  initializer_range: 0.3,
}

export const gpt2Config: Record<string, Json> = {
  model_type: 'gpt2',
  vocab_size: 17,
  n_embd: 8,
  n_head: 2,
  n_layer: 2,
  n_positions: 24,
  tie_word_embeddings: true,
  initializer_range: 0.3,
}

export { testEnvironment }

export function tinyModel(json: Record<string, Json> = llamaConfig, environment = testEnvironment(), seed = 1): FolderModel {
  const config = new ConfigReader(json, 'tiny')
  return FolderModel.fromWeights(environment, config, randomWeights(config, seed))
}

/** Writes a model folder as transformers would. */
export function writeModel(folder: string, json: Record<string, Json> = llamaConfig, seed = 1, task?: TaskName): void {
  const config = new ConfigReader(json, 'tiny')
  const weights = randomWeights(config, seed, task && taskNamed(config, task))
  writeFileSync(join(folder, 'config.json'), JSON.stringify(json))
  writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(weights as Map<string, HostTensor>))
}

/** A folder that is removed after the file's tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lowrank-train-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface TokenRow {
  readonly input_ids: readonly number[]
  readonly labels: readonly number[]
}

/** Rows of 3 to 12 tokens, about half of them with a masked beginning. */
export function randomRows(count: number, seed = 5, vocabulary = 17): TokenRow[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => {
    const input_ids = Array.from({ length: 3 + random.integer(10) }, () => random.integer(vocabulary))
    const masked = random.integer(2) === 0 ? 0 : random.integer(input_ids.length - 1)
    return { input_ids, labels: input_ids.map((id, i) => (i < masked ? -100 : id)) }
  })
}

export const toJsonl = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')

export function writeRows(path: string, rows: readonly unknown[]): string {
  writeFileSync(path, toJsonl(rows))
  return path
}

export const batchOf = (rows: readonly TokenRow[]): Batch<TokenFeed> =>
  makeBatch(
    rows.map(({ input_ids, labels }) => [
      { inputIds: input_ids, attentionMask: input_ids.map(() => 1), labels, tokens: countTargets(labels), truncated: false },
    ]),
    { padTokenId: 0 },
  )

/** What a run reported, by kind. */
export interface Report {
  readonly events: TrainEvent[]
  readonly steps: StepEvent[]
  readonly evals: EvalEvent[]
  readonly done: DoneEvent | undefined
}

export async function runTraining(...[subject, options]: Parameters<typeof train>): Promise<Report> {
  const events: TrainEvent[] = []
  for await (const event of train(subject, options)) events.push(event)
  const steps = events.filter((e): e is StepEvent => e.event === 'step')
  const evals = events.filter((e): e is EvalEvent => e.event === 'eval')
  return { events, steps, evals, done: events.find((e): e is DoneEvent => e.event === 'done') }
}

/** `Files` that run out of space at the n-th write from `arm` on. */
export function fillingDisk(files: Files): Files & { arm(writes: number): void } {
  let left = Infinity
  return {
    ...files,
    arm: (writes) => (left = writes),
    write(path, content) {
      if (--left < 0)
        return Promise.reject(new FileError(`no space left on the device while writing ${path}; free space and run again`))
      return files.write(path, content)
    },
  }
}

/** A runtime whose gradient graph gives what `change` makes of its results; runs are counted from 1. */
export function tamperedEnvironment(
  change: (results: { loss: number; gradient: Float32Array }, run: number) => { loss: number; gradient: Float32Array },
): Environment {
  const environment = testEnvironment()
  const { runtime } = environment
  let runs = 0
  const createSession: typeof runtime.createSession = async (graph, options) => {
    const session = await runtime.createSession(graph, options)
    if (!graph.outputs.some(({ name }) => name === 'gradient')) return session
    return {
      release: () => session.release(),
      async run(feeds) {
        const results = await session.run(feeds)
        const honest = { loss: Number(results['loss']!.data[0]), gradient: results['gradient']!.data as Float32Array }
        const { loss, gradient } = change(honest, ++runs)
        return {
          loss: { ...results['loss']!, data: Float32Array.of(loss) },
          gradient: { ...results['gradient']!, data: gradient },
        }
      },
    }
  }
  return { ...environment, runtime: { ...runtime, createSession } }
}

/**
 * @file kill -9 at 50 random instants of one run: whatever is on disk loads, and the run becomes the one that nobody killed.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { readFileSync, mkdirSync, readdirSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createAdapter, loadAdapter } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { Random } from '../../src/util/rng.js'
import {
  llamaConfig,
  randomRows,
  runTraining,
  temporaryFolder,
  testEnvironment,
  writeModel,
  writeRows,
} from '../support/training.js'
import { bundled } from '../support/bundle.js'
import { killOptions } from './kill-options.js'

const KILLS = 50
const WARM = 2
/** More steps than the kills leave time for; the run that nobody killed is as long as this one became. */
const MANY = 1_000_000
const LONGEST_LIFE_MS = 120

interface Life {
  readonly resumedAt: number | undefined
  readonly killed: boolean
  readonly errors: string
}

/** Children whose start-up, which is nearly all of their life, overlaps the lives of those before them. */
class Nursery {
  private readonly waiting: ChildProcessWithoutNullStreams[] = []

  constructor(
    private readonly script: string,
    private readonly folder: string,
  ) {
    for (let i = 0; i < WARM; i++) this.spawn()
  }

  private spawn(): void {
    this.waiting.push(spawn(process.execPath, [this.script, this.folder]))
  }

  /** Runs a child until `delay` milliseconds after it has begun to train, or to its end. */
  live(steps: number, delay: number | undefined): Promise<Life> {
    const child = this.waiting.shift()!
    this.spawn()
    let resumedAt: number | undefined
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const started = /start (\d+)/.exec(text)
      if (started === null) return
      resumedAt = Number(started[1])
      if (delay !== undefined) setTimeout(() => child.kill('SIGKILL'), delay)
    })
    child.stdin.write(String(steps))
    return new Promise((done) => child.on('close', (_, signal) => done({ resumedAt, killed: signal === 'SIGKILL', errors })))
  }

  close(): void {
    for (const child of this.waiting) child.kill('SIGKILL')
  }
}

const checkpoints = (out: string): number[] =>
  readdirSync(out).flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b) // prettier-ignore

describe('kill -9', () => {
  it(`${KILLS} times during checkpoints`, { timeout: 300_000 }, async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'model'))
    writeModel(join(folder, 'model'), llamaConfig)
    writeRows(join(folder, 'rows.jsonl'), randomRows(10))
    writeRows(join(folder, 'eval.jsonl'), randomRows(2, 9))
    const out = join(folder, 'out')
    const model = await FolderModel.open(join(folder, 'model'), testEnvironment())
    const nursery = new Nursery(await bundled(join(import.meta.dirname, 'kill-child.ts'), 'kill-child.mjs'), folder)
    onTestFinished(() => nursery.close())
    const random = new Random(Date.now())
    let progress = 0
    let interrupted = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const { resumedAt, killed, errors } = await nursery.live(MANY, random.uniform(0, LONGEST_LIFE_MS))
      expect(errors).toBe('')
      expect(killed).toBe(true)
      // Nothing that was finished is ever lost.
      expect(resumedAt).toBe(progress)
      if (!existsSync(out)) continue
      const steps = checkpoints(out)
      expect(steps.length).toBeLessThanOrEqual(3)
      // A checkpoint that was being written or removed is a hidden folder.
      if (readdirSync(out).some((name) => name.startsWith('.checkpoint'))) interrupted++
      for (const step of steps) {
        const { parameters } = await loadAdapter(model, join(out, `checkpoint-${step}`))
        expect(parameters.data.every(Number.isFinite)).toBe(true)
        expect(JSON.parse(readFileSync(join(out, `checkpoint-${step}`, 'training_state.json'), 'utf8'))).toMatchObject({ step })
      }
      progress = steps.at(-1) ?? 0
    }
    // Otherwise the instants were not those of checkpoints.
    expect(progress).toBeGreaterThan(0)
    expect(interrupted).toBeGreaterThan(KILLS / 5)

    const total = progress + 3
    const last = await nursery.live(total, undefined)
    expect(last).toMatchObject({ resumedAt: progress, killed: false, errors: '' })
    const whole = createAdapter(model, { r: 2, targetModules: 'all-linear', dropout: 0.2 })
    const expected = await runTraining(whole, { ...killOptions(folder, total), checkpointEvery: 0 })
    const logged = readFileSync(join(out, 'log.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { event: string; step: number; loss: number }) // prettier-ignore
    for (const kind of ['step', 'eval'] as const) {
      const of = (events: readonly { event: string }[]): unknown[] =>
        events
          .filter(({ event }) => event === kind)
          .map((e) => [(e as unknown as { step: number }).step, (e as unknown as { loss: number }).loss])
      expect(of(logged)).toEqual(of(expected.events))
    }
    expect((await loadAdapter(model, out)).parameters.data).toEqual(whole.parameters.data)
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([])
  })
})

/**
 * @file Trainings that take turns, each in a process of its own and a step at a time, so that what disturbs the machine disturbs all
 * of them alike.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { Adapter, Trainee, TrainOptions } from '../../src/index.js'
import { train } from '../../src/index.js'
import { nodeArguments } from '../child.js'
import { folder } from '../models.js'
import { peakBytes } from '../peak-memory.js'
import { spread, type Spread } from '../statistics.js'
import { saved } from './methods.js'

/** What a training needed. */
export interface TrainingCost {
  readonly trainedParameters: number
  /** Of the weights that it saved. */
  readonly checkpointBytes: number
  readonly secondsPerStep: Spread
  /** Seconds of its steps by those of the first training, turn by turn. */
  readonly byFirst: Spread
  /** Of its process, model and runtime among it. */
  readonly peakBytes: number
}

type Needed = Pick<TrainingCost, 'trainedParameters' | 'checkpointBytes' | 'peakBytes'>

/**
 * What a training process does: a step for every line that it is given, and at the end of them it tells what it needed.
 * @param base the model's folder
 */
export async function trainByTurns(trainee: Adapter | Trainee, base: string, options: TrainOptions): Promise<void> {
  const events = train(trainee, options)
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
  const home = await mkdtemp(join(folder, 'turns-'))
  const checkpointBytes = await saved(trainee, base, home)
  await rm(home, { recursive: true })
  say({ trainedParameters: trainee.parameters.count, checkpointBytes, peakBytes: peak } satisfies Needed)
  process.exit(0)
}

/** A process that trains. */
class Training {
  private readonly child
  private readonly answers

  constructor(task: object) {
    this.child = spawn(process.execPath, [...nodeArguments('paper/main.ts'), '--task', JSON.stringify(task)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  async ask<Answer>(line: 'step' | 'end'): Promise<Answer> {
    this.child.stdin.write(`${line}\n`)
    const { value, done } = await this.answers.next()
    if (done === true) throw new Error('a training process ended before its time')
    return JSON.parse(value) as Answer
  }
}

/** The first steps compile and settle. */
const UNCOUNTED = 2

/** Steps of a training that takes part in so many turns, for its schedule and its data. */
export const stepsOfTurns = (rounds: number): number => UNCOUNTED + rounds

/** @param tasks what the children of `main.ts` are given, one for each training @returns what each needed */
export async function costsByTurns(tasks: readonly object[], rounds: number): Promise<TrainingCost[]> {
  const trainings = tasks.map((task) => new Training(task))
  const seconds: number[][] = tasks.map(() => [])
  for (let round = -UNCOUNTED; round < rounds; round++)
    for (const [i, training] of trainings.entries()) {
      const step = await training.ask<{ readonly seconds: number }>('step')
      if (round >= 0) seconds[i]!.push(step.seconds)
    }
  const needed = await Promise.all(trainings.map((each) => each.ask<Needed>('end')))
  return needed.map((each, i) => ({
    ...each,
    secondsPerStep: spread(seconds[i]!),
    byFirst: spread(seconds[i]!.map((value, k) => value / seconds[0]![k]!)),
  }))
}

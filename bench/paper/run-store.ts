/** @file Runs that were made, kept in a file after each: what is asked for again is not run again. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { nodeArguments } from '../child.js'
import type { GlueOutcome, GlueRun } from './glue-run.js'
import type { TextOutcome, TextRun } from './text-run.js'

export type Run = TextRun | GlueRun
export type Outcome = TextOutcome | GlueOutcome

/** Seeds from here on choose rates, and are in no table. */
export const FIRST_PROBE = 100

/** A run that was made. */
export interface Kept {
  readonly run: Run
  readonly outcome: Outcome
}

/** Makes runs, each in a process of its own so that its memory is its own, and remembers them. */
export class RunStore {
  private readonly kept = new Map<string, Kept>()

  constructor(
    private readonly file: string,
    private readonly threads: number,
    private readonly say: (text: string) => void,
  ) {
    if (!existsSync(file)) return
    for (const each of JSON.parse(readFileSync(file, 'utf8')) as readonly Kept[]) this.kept.set(JSON.stringify(each.run), each)
  }

  /** All that were made. */
  get runs(): readonly Kept[] {
    return [...this.kept.values()]
  }

  /** The outcome of a run: that of before, or of a new process. */
  async outcome<Found extends Outcome>(run: Run, model: string): Promise<Found> {
    const key = JSON.stringify(run)
    const before = this.kept.get(key)
    if (before !== undefined) return before.outcome as Found
    const outcome = await this.inChild(JSON.stringify({ run, model, threads: this.threads }))
    this.kept.set(key, { run, outcome })
    await writeFile(`${this.file}.part`, `[\n${[...this.kept.values()].map((each) => JSON.stringify(each)).join(',\n')}\n]\n`)
    await rename(`${this.file}.part`, this.file)
    this.say(`${key}: ${JSON.stringify(outcome).slice(0, 160)}`)
    return outcome as Found
  }

  private inChild(task: string): Promise<Outcome> {
    const child = spawn(process.execPath, [...nodeArguments('paper/main.ts'), '--task', task], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    return new Promise((done, fail) => {
      child.on('error', fail)
      child.on('close', (code) => {
        if (code === 0) done(JSON.parse(text.trim().split('\n').at(-1)!) as Outcome)
        else fail(new Error(`a run ended with ${code}: ${task}`))
      })
    })
  }
}

/** @file What a child that runs one engine is asked and answers: JSON, one message a line. `peft.py` speaks the same. */
import type { Device } from '../src/index.js'
import type { Case } from './cases.js'

/** Variants of an engine: lowrank on three bases, PEFT in two ways and two precisions; with TF32 products, on a GPU alone. */
export type Engine = 'ours' | 'ours-int8' | 'ours-int4' | 'eager' | 'compile' | 'eager-bf16' | 'compile-bf16' | 'eager-tf32'

export const isOurs = (engine: Engine): boolean => engine.startsWith('ours')

export type Request =
  | {
      readonly ask: 'prepare'
      readonly case: Case
      readonly threads: number
      readonly engine: Engine
      /** Where lowrank runs, `cpu` by default; PEFT on any other device than the CPU is on CUDA. */
      readonly device?: Device
    }
  | { readonly ask: 'steps'; readonly count: number }
  | { readonly ask: 'evaluate' }
  /** The loss of the first batch without gradients, `count` times, with the adapter beside the base or merged into it. */
  | { readonly ask: 'forward'; readonly merged: boolean; readonly count: number }
  /** Greedy tokens after a prompt, `count` times: those a second. */
  | { readonly ask: 'generate'; readonly prompt: readonly number[]; readonly tokens: number; readonly count: number }
  | { readonly ask: 'quit' }

/** One training step. */
export interface Step {
  readonly seconds: number
  /** Processor time of all threads: what the step cost, also where others want the processor too. */
  readonly cpuSeconds: number
  /** Mean over labelled tokens, before the update. */
  readonly loss: number
  /** Tokens that are no padding, prompts included. */
  readonly tokens: number
}

export interface Answer {
  readonly steps?: readonly Step[]
  /** Seconds of each forward pass. */
  readonly seconds?: readonly number[]
  /** Generated tokens a second, each time. */
  readonly rates?: readonly number[]
  /** Mean loss on the evaluation rows. */
  readonly loss?: number
  /** Largest resident memory of the process so far. */
  readonly peakBytes: number
  /** Versions of what runs. */
  readonly versions?: string
}

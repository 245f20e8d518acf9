/** @file What a training tells, and the lines in which gpt2_ft.py prints it. */
import { fixed, general } from './python-format.js'

/** The end of a run. */
export interface NlgTrainingDone {
  readonly event: 'done'
  readonly reason: 'finished' | 'aborted'
  readonly steps: number
  readonly seconds: number
}

/** What a training tells, in order. Steps count micro-batches, from 1. */
export type NlgTrainingEvent =
  | {
      readonly event: 'start'
      readonly maxStep: number
      readonly rows: number
      /** Rows that end before their text begins, of which nothing is learned. */
      readonly rowsWithoutLabel: number
      readonly trainableParameters: number
      readonly totalParameters: number
    }
  | { readonly event: 'epoch'; readonly epoch: number }
  | {
      readonly event: 'step'
      readonly step: number
      readonly epoch: number
      readonly loss: number
      readonly learningRate: number
    }
  | {
      readonly event: 'log'
      readonly epoch: number
      readonly step: number
      /** Of the epoch. */
      readonly batches: number
      /** Of the next step. */
      readonly learningRate: number
      readonly msPerBatch: number
      readonly loss: number
      /** Since the last line. */
      readonly averageLoss: number
      readonly perplexity: number
    }
  | { readonly event: 'checkpoint'; readonly step: number; readonly path: string; readonly holds: 'lora' | 'model' }
  | { readonly event: 'evalBatch'; readonly index: number; readonly loss: number }
  | {
      readonly event: 'eval'
      readonly number: number
      readonly step: number
      readonly seconds: number
      readonly loss: number
      readonly perplexity: number
      /** Of the epoch. */
      readonly bestPerplexity: number
    }
  | NlgTrainingDone

/** A running mean. */
export class Meter {
  private sum = 0
  private count = 0

  add(value: number): void {
    this.sum += value
    this.count++
  }

  get mean(): number {
    return this.sum / this.count
  }

  reset(): void {
    this.sum = 0
    this.count = 0
  }
}

const RULE = '-'.repeat(100)

/** The lines that gpt2_ft.py prints of an event; none of a single step. */
export function linesOf(event: NlgTrainingEvent): readonly string[] {
  switch (event.event) {
    case 'start':
      return [`set max_step: ${event.maxStep}`]
    case 'epoch':
      return [`start to train the model................ ${event.epoch}`]
    case 'step':
      return []
    case 'log': {
      const { epoch, step, batches, learningRate, msPerBatch, loss, averageLoss, perplexity } = event
      return [
        `| epoch ${String(epoch).padStart(3)} step ${String(step).padStart(8)} | ${String(batches).padStart(6)} batches | ` +
          `lr ${general(learningRate, 3)} | ms/batch ${fixed(msPerBatch, 5, 2)} | ` +
          `loss ${fixed(loss, 5, 2)} | avg loss ${fixed(averageLoss, 5, 2)} | ppl ${fixed(perplexity, 5, 2)}`,
      ]
    }
    case 'checkpoint':
      return [`saving checkpoint ${event.path}`]
    case 'evalBatch':
      return [`eval samples: ${event.index} loss: ${fixed(event.loss, 0, 4)}`]
    case 'eval': {
      const { number, step, seconds, loss, perplexity, bestPerplexity } = event
      const line =
        `| Eval ${String(number).padStart(3)} at step ${String(step).padStart(8)} | ` +
        `time: ${fixed(seconds, 5, 2)}s | valid loss ${fixed(loss, 5, 2)} | ` +
        `valid ppl ${fixed(perplexity, 5, 2)} | best ppl ${fixed(bestPerplexity, 5, 2)} `
      return [`average loss ${loss}`, RULE, line, RULE]
    }
    case 'done':
      return event.reason === 'finished' ? [RULE, 'End of training'] : [RULE, 'Exiting from training early']
  }
}

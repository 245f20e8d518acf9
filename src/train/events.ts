/** @file What a training run reports. The command line, the HTML report and a web page only render these. */
import type { Evaluation } from './evaluate.js'

export interface StartEvent {
  readonly event: 'start'
  readonly steps: number
  /** Steps already done when the run resumes. */
  readonly resumedAt: number
  readonly trainableParameters: number
  readonly totalParameters: number
  readonly rows: number
  /** How many train together, if several do. */
  readonly processes?: number
}

export interface StepEvent {
  readonly event: 'step'
  /** Counted from 1. */
  readonly step: number
  /** Pass over the data, counted from 0. */
  readonly epoch: number
  /** Mean over the labelled tokens, rows or images of the step, before its update. */
  readonly loss: number
  /** Global norm of the gradient before clipping. */
  readonly gradNorm: number
  /** Of preferences: share of pairs whose chosen completion has the larger reward, and by how much on average. */
  readonly rewardAccuracy?: number
  readonly rewardMargin?: number
  readonly learningRate: number
  /** Tokens of the step that are no padding; images where there are none. */
  readonly tokens: number
  readonly tokensPerSecond: number
}

/** An evaluation with the metrics of the task: perplexity and tokens of a language model, accuracy of a classifier, … */
export interface EvalEvent extends Evaluation {
  readonly event: 'eval'
  readonly step: number
  /** Whether this is the lowest evaluation loss so far. */
  readonly best: boolean
}

export interface CheckpointEvent {
  readonly event: 'checkpoint'
  readonly step: number
  readonly path: string
}

export interface WarningEvent {
  readonly event: 'warning'
  readonly step: number
  readonly message: string
}

export interface DoneEvent {
  readonly event: 'done'
  readonly steps: number
  /** Loss of the last step. */
  readonly loss: number
  readonly evalLoss?: number
  readonly trainableParameters: number
  readonly totalParameters: number
  readonly peakMemoryBytes: number
  readonly seconds: number
  readonly stoppedEarly: boolean
  readonly out?: string
}

export type TrainEvent = StartEvent | StepEvent | EvalEvent | CheckpointEvent | WarningEvent | DoneEvent

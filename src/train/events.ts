/** @file What a training run reports. The command line, the HTML report and a web page only render these. */
import type { Evaluation } from './evaluate.js'

/**
 * Rows are checked before the first step: each is read and tokenised once. Told about once a second, so that short checks
 * are silent; before `start`, and not in the log.
 */
export interface CheckingEvent {
  readonly event: 'checking'
  /** Which rows: those to train on, or to evaluate on. */
  readonly data: 'data' | 'evalData'
  /** Rows checked so far. */
  readonly rows: number
  readonly of: number
}

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

/** The run ends with an error, which is thrown after this event. */
export interface ErrorEvent {
  readonly event: 'error'
  /** Steps done. */
  readonly step: number
  readonly message: string
  /** Newest checkpoint of the run, with which it can be resumed. */
  readonly checkpoint?: string
}

/**
 * Why a run ended: all its steps are done, evaluations became no better (`earlyStopping`), or it was asked to stop by
 * `signal` or by leaving its loop.
 */
export type EndReason = 'finished' | 'stoppedEarly' | 'aborted'

export interface DoneEvent {
  readonly event: 'done'
  readonly reason: EndReason
  /** Steps done, those before a resume included. */
  readonly steps: number
  /** Loss of the last step. */
  readonly loss: number
  readonly evalLoss?: number
  readonly trainableParameters: number
  readonly totalParameters: number
  readonly peakMemoryBytes: number
  readonly seconds: number
  /** Whether `reason` is `stoppedEarly`. */
  readonly stoppedEarly: boolean
  /** With `earlyStopping`: the step whose evaluation was best. The result is what was learned until then. */
  readonly bestStep?: number
  readonly bestEvalLoss?: number
  readonly out?: string
  /** Folder that holds the result, a whole adapter (or model); absent where the run was aborted or has no `out`. */
  readonly saved?: string
  /** Newest checkpoint of the run, with which it can be resumed; absent where there is none. */
  readonly checkpoint?: string
}

export type TrainEvent =
  CheckingEvent | ErrorEvent | StartEvent | StepEvent | EvalEvent | CheckpointEvent | WarningEvent | DoneEvent

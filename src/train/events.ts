/** @file What a training run reports. The command line, the HTML report and a web page only render these. */
import type { MetricForBest } from './best.js'
import type { Evaluation } from './evaluation.js'

/**
 * Rows are checked before the first step: each is read and tokenised once. Told about once a second, so that short checks
 * are silent; before `start`, and not in the log.
 */
export interface CheckingEvent {
  /** Tells the events apart. */
  readonly event: 'checking'
  /** Which rows: those to train on, or to evaluate on. */
  readonly data: 'data' | 'evalData'
  /** Rows checked so far. */
  readonly rows: number
  /** Rows in all. */
  readonly of: number
}

/** The run begins; rows have been checked. */
export interface StartEvent {
  /** Tells the events apart. */
  readonly event: 'start'
  /** Updates that the run will do, those before a resume included. */
  readonly steps: number
  /** Steps already done when the run resumes. */
  readonly resumedAt: number
  /** Numbers that are trained. */
  readonly trainableParameters: number
  /** Those of the frozen model and the trained ones together. */
  readonly totalParameters: number
  /** Rows to train on. */
  readonly rows: number
  /** How many train together, if several do. */
  readonly processes?: number
}

/** An update of the parameters. */
export interface StepEvent {
  /** Tells the events apart. */
  readonly event: 'step'
  /** Counted from 1. */
  readonly step: number
  /** Pass over the data, counted from 0. */
  readonly epoch: number
  /** Mean over the labelled tokens, rows or images of the step, before its update. */
  readonly loss: number
  /** Global norm of the gradient before clipping. */
  readonly gradNorm: number
  /** Of pairs: share of them whose chosen completion has the larger reward, and by how much on average. */
  readonly rewardAccuracy?: number
  /** Of preferences: mean difference of the two rewards. */
  readonly rewardMargin?: number
  /** Of preferences: mean reward of chosen or desirable completions; absent where there is none. */
  readonly rewardChosen?: number
  /** Of preferences: mean reward of rejected or undesirable completions; absent where there is none. */
  readonly rewardRejected?: number
  /** Of KTO: the KL divergence from the reference, as its batches estimate it. */
  readonly kl?: number
  /** Of this step. */
  readonly learningRate: number
  /** Tokens of the step that are no padding; images where there are none. */
  readonly tokens: number
  /** Of this step; images where there are no tokens. */
  readonly tokensPerSecond: number
}

/** An evaluation with the metrics of the task: perplexity and tokens of a language model, accuracy of a classifier, … */
export interface EvalEvent extends Evaluation {
  /** Tells the events apart. */
  readonly event: 'eval'
  /** Steps done. */
  readonly step: number
  /** Whether this is the best evaluation so far, by `metricForBest`: of the lowest loss, by default. */
  readonly best: boolean
}

/** A prompt, and what the adapter makes of it. */
export interface Sample {
  /** The text that was continued; of a dialogue its turns, one below the other. */
  readonly prompt: string
  /** What was generated, greedily. */
  readonly text: string
}

/** What the adapter writes at this step (`samplePrompts`). */
export interface SamplesEvent {
  /** Tells the events apart. */
  readonly event: 'samples'
  /** Steps done. */
  readonly step: number
  /** In the order of the file. */
  readonly samples: readonly Sample[]
}

/** A checkpoint lies on disk, whole. */
export interface CheckpointEvent {
  /** Tells the events apart. */
  readonly event: 'checkpoint'
  /** Steps done. */
  readonly step: number
  /** Its folder. */
  readonly path: string
}

/** Something worth knowing that ends nothing: cut rows, skipped updates. */
export interface WarningEvent {
  /** Tells the events apart. */
  readonly event: 'warning'
  /** Steps done. */
  readonly step: number
  /** What it is, where, and what to do. */
  readonly message: string
}

/** The run ends with an error, which is thrown after this event. */
export interface ErrorEvent {
  /** Tells the events apart. */
  readonly event: 'error'
  /** Steps done. */
  readonly step: number
  /** Of the error. */
  readonly message: string
  /** Newest checkpoint of the run, with which it can be resumed. */
  readonly checkpoint?: string
}

/**
 * Why a run ended: all its steps are done, evaluations became no better (`earlyStopping`), or it was asked to stop by
 * `signal` or by leaving its loop.
 */
export type EndReason = 'finished' | 'stoppedEarly' | 'aborted'

/** The run is over. */
export interface DoneEvent {
  /** Tells the events apart. */
  readonly event: 'done'
  /** Why it ended. */
  readonly reason: EndReason
  /** Steps done, those before a resume included. */
  readonly steps: number
  /** Loss of the last step. */
  readonly loss: number
  /** Loss of the last evaluation, where there was one. */
  readonly evalLoss?: number
  /** Numbers that were trained. */
  readonly trainableParameters: number
  /** Those of the frozen model and the trained ones together. */
  readonly totalParameters: number
  /** Largest resident memory of the process; 0 where the platform does not tell. */
  readonly peakMemoryBytes: number
  /** Time of the run. */
  readonly seconds: number
  /** Whether `reason` is `stoppedEarly`. */
  readonly stoppedEarly: boolean
  /** With `keepBest`: the step whose evaluation was best. The result is what was learned until then. */
  readonly bestStep?: number
  /** Loss of that evaluation. */
  readonly bestEvalLoss?: number
  /** Where it is another than the loss: the metric that tells the best (`metricForBest`), and its value in that evaluation. */
  readonly metricForBest?: MetricForBest
  /** Value of `metricForBest` in that evaluation. */
  readonly bestMetric?: number
  /** The folder that was given. */
  readonly out?: string
  /** Folder that holds the result, a whole adapter (or model); absent where the run was aborted or has no `out`. */
  readonly saved?: string
  /** Newest checkpoint of the run, with which it can be resumed; absent where there is none. */
  readonly checkpoint?: string
}

/** What a run reports; `event` tells them apart. */
export type TrainEvent =
  CheckingEvent | ErrorEvent | StartEvent | StepEvent | EvalEvent | SamplesEvent | CheckpointEvent | WarningEvent | DoneEvent

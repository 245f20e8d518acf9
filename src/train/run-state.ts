/** @file Where a run stands, beside its tensors: plain JSON. */
import { ruleText } from './best.js'
import type { Position } from '../data/order.js'

/** What the best evaluation is told by by default, and was before it could be said. */
export const LOWEST_LOSS = ruleText({ metric: 'loss', greater: false })

export interface RunState {
  /** Updates done, skipped ones included. */
  readonly step: number
  /** Updates that changed the parameters: the optimizer's clock. */
  readonly updates: number
  /** Where the data goes on. */
  readonly position: Position
  /** Micro-batches seen, the seed of dropout. */
  readonly microBatches: number
  /** Loss of the best evaluation. */
  readonly bestEvalLoss: number | null
  /** Value of the metric that tells the best, in that evaluation. */
  readonly bestMetric: number | null
  /** What the best was told by, see `ruleText`. */
  readonly bestBy: string
  /** Step after which the best evaluation was. */
  readonly bestStep: number | null
  readonly evaluationsSinceBest: number
  readonly skippedInARow: number
  /** Loss of the last step that was finite. */
  readonly lastLoss: number | null
  readonly lastEvalLoss: number | null
  /** Step after which `lastEvalLoss` was found. */
  readonly lastEvalStep: number | null
  /** Whether the last step is one after which the run evaluates, and that is yet to be done. */
  readonly evaluationDue: boolean
  /** Tokens that learned turns end with and that the model does not stop at. */
  readonly endTokens: readonly number[]
  /** Options, data and model that must be the same for a continuation to be the same run. */
  readonly fingerprint: string
}

/** The state before the first step. */
export const initialState = (fingerprint: string): RunState => ({
  step: 0,
  updates: 0,
  position: { epoch: 0, batch: 0 },
  microBatches: 0,
  bestEvalLoss: null,
  bestMetric: null,
  bestBy: LOWEST_LOSS,
  bestStep: null,
  evaluationsSinceBest: 0,
  skippedInARow: 0,
  lastLoss: null,
  lastEvalLoss: null,
  lastEvalStep: null,
  evaluationDue: false,
  endTokens: [],
  fingerprint,
})

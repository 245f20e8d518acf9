/** @file Which evaluation of a run is the best: by what metric, and whether more of it is better. */
import { InvalidOptionError } from '../errors.js'
import type { Evaluation } from './evaluation.js'

/** A metric that the best evaluation can be told by. */
export type MetricForBest =
  | 'loss'
  | 'perplexity'
  | 'accuracy'
  | 'f1'
  | 'macroF1'
  | 'matthews'
  | 'precision'
  | 'recall'
  | 'exactMatch'
  | 'pearson'
  | 'spearman'
  | 'rewardAccuracy'
  | 'rewardMargin'

/** Every metric of every task, and whether more of it is better. */
const greaterIsBetter: Readonly<Record<MetricForBest, boolean>> = {
  ...{ loss: false, perplexity: false },
  ...{ accuracy: true, f1: true, macroF1: true, matthews: true, precision: true, recall: true, exactMatch: true },
  ...{ pearson: true, spearman: true },
  ...{ rewardAccuracy: true, rewardMargin: true },
}

export const metricsForBest = Object.keys(greaterIsBetter) as readonly MetricForBest[]

/** What the best evaluation is told by. */
export interface BestRule {
  readonly metric: MetricForBest
  /** Whether a greater value is the better one. */
  readonly greater: boolean
}

/** The rule of a run's options. */
export const bestRule = (options: { readonly metricForBest: MetricForBest; readonly greaterIsBetter?: boolean }): BestRule => ({
  metric: options.metricForBest,
  greater: options.greaterIsBetter ?? greaterIsBetter[options.metricForBest],
})

/** Whether the result of a run is what its best evaluation was of. */
export const keepsBest = (options: {
  readonly keepBest?: boolean | undefined
  readonly earlyStopping?: number | undefined
}): boolean => options.keepBest ?? options.earlyStopping !== undefined

/** The rule as text: a run that goes on by another one has no best yet. */
export const ruleText = ({ metric, greater }: BestRule): string => `${greater ? 'greatest' : 'lowest'} ${metric}`

/** Whether a value goes before the best so far; what is not finite never does. */
export const isBetter = (value: number, best: number | null, { greater }: BestRule): boolean =>
  Number.isFinite(value) && (best === null || (greater ? value > best : value < best))

/** The value of an evaluation that counts, of a metric that {@link checkMetricForBest} found there; NaN where its rows tell none. */
export const valueForBest = (evaluation: Evaluation, { metric }: BestRule): number => evaluation[metric] ?? Number.NaN

/**
 * @param there names of the metrics of evaluations
 * @throws InvalidOptionError naming those that the best can be told by
 */
export function checkMetricForBest(there: readonly string[], { metric }: BestRule): void {
  if (there.includes(metric)) return
  throw new InvalidOptionError(
    `metricForBest is "${metric}", which evaluations of this task do not have; choose one of ${metricsForBest.filter((name) => there.includes(name)).join(', ')}`,
  )
}

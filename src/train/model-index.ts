/** @file A run's results as the hub reads them from a card: `model-index`, see https://huggingface.co/docs/hub/model-cards. */
import type { Evaluation } from './evaluation.js'

/** The hub's identifier of a metric (that of `evaluate` where it has one), and what a table of results calls it. */
const metrics = {
  loss: ['loss', 'Loss'],
  perplexity: ['perplexity', 'Perplexity'],
  accuracy: ['accuracy', 'Accuracy'],
  f1: ['f1', 'F1'],
  macroF1: ['f1', 'F1, macro'],
  matthews: ['matthews_correlation', "Matthews' correlation"],
  pearson: ['pearsonr', "Pearson's correlation"],
  spearman: ['spearmanr', "Spearman's correlation"],
  precision: ['precision', 'Precision'],
  recall: ['recall', 'Recall'],
  exactMatch: ['exact_match', 'Exact match'],
  rewardAccuracy: ['accuracy', 'Reward accuracy'],
  rewardMargin: ['reward_margin', 'Reward margin'],
  rewardChosen: ['reward_chosen', 'Reward, chosen'],
  rewardRejected: ['reward_rejected', 'Reward, rejected'],
  kl: ['kl', 'KL divergence'],
} as const satisfies Record<Exclude<keyof Evaluation, 'tokens' | 'examples'>, readonly [string, string]>

/** What was measured on what. */
export interface MeasuredResults {
  /** Of the model. */
  readonly name: string
  /** The hub's name of the task. */
  readonly task: string
  /** Names of the files that were evaluated; none of rows in memory. */
  readonly dataFiles: readonly string[]
  readonly evaluation: Evaluation
}

/** A number that YAML 1.1 reads as one too: it wants a point before an exponent. */
const yamlNumber = (value: number): string => String(Number(value.toPrecision(6))).replace(/^(-?\d+)e/, '$1.0e')

/**
 * Lines of YAML, none if nothing was measured. Rows of one's own are no data set of the hub: its cards call that `unknown`.
 * @param scalar a text as a scalar of YAML
 */
export function modelIndex(
  { name, task, dataFiles, evaluation }: MeasuredResults,
  scalar: (text: string) => string,
): readonly string[] {
  const measured = (Object.keys(metrics) as (keyof typeof metrics)[]).flatMap((metric) => {
    const value = evaluation[metric]
    return value === undefined || !Number.isFinite(value) ? [] : [{ metric, value }]
  })
  if (measured.length === 0) return []
  return [
    'model-index:',
    `- name: ${scalar(name)}`,
    '  results:',
    '  - task:',
    `      type: ${task}`,
    '    dataset:',
    `      name: ${dataFiles.length === 0 ? 'rows in memory' : scalar(dataFiles.join(', '))}`,
    '      type: unknown',
    '    metrics:',
    ...measured.flatMap(({ metric, value }) => [
      `    - type: ${metrics[metric][0]}`,
      `      name: ${scalar(metrics[metric][1])}`,
      `      value: ${yamlNumber(value)}`,
    ]),
  ]
}

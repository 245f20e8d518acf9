/** @file Classes of sequences, tokens and images; several labels at once; regression. */
import { classNumber, readClass, readMultiLabel, readNumbers, tokenLabelField } from '../../data/labels.js'
import { floatLabels, scalarLabel, taskEncoding, type LabelReader, type RowLabels } from '../../data/task-encoding.js'
import { findWordsField } from '../../data/text-fields.js'
import { InvalidDataError } from '../../errors.js'
import type { Graph } from '../../graph/graph.js'
import type { Value } from '../../graph/types.js'
import { at } from '../../data/rows.js'
import { IGNORED_LABEL } from '../../losses/causal-lm.js'
import type { SummedLoss } from '../../losses/attach.js'
import { summedCrossEntropy } from '../../losses/cross-entropy.js'
import { binaryCrossEntropy, squaredError } from '../../losses/element-wise.js'
import type { ProblemType, Task } from '../../models/task.js'
import type { Objective, Scores } from '../objective.js'
import { classScores, multiLabelScores, regressionScores, tokenScores } from './scores.js'

/** An objective of independent rows on the model's first output. */
const onOutput = (
  name: string,
  loss: (graph: Graph, logits: Value) => SummedLoss,
  readLabels: LabelReader,
  scores: () => Scores,
  reading: { readonly keepPadding?: boolean } = {},
): Objective => ({
  name,
  divisible: true,
  causal: false,
  encoding: (options) => taskEncoding(options, readLabels, reading),
  attach({ graph }) {
    const [logits] = graph.outputs
    return { ...loss(graph, logits!), outputs: [logits!] }
  },
  scores,
})

/** The label of a row of one class; of -100 there is nothing to learn. */
export const classLabel = (label: number): RowLabels => ({
  fields: { labels: scalarLabel(label) },
  tokens: label === IGNORED_LABEL ? 0 : 1,
})

/** One class a row, of a sequence or an image: cross-entropy. */
export const singleLabel = (task: Task): Objective =>
  onOutput(
    'single-label',
    summedCrossEntropy,
    (row) => classLabel(readClass(row, task)),
    () => classScores(task.numLabels),
  )

/** Any number of labels a row: binary cross-entropy of each. */
const multiLabel = (task: Task): Objective =>
  onOutput(
    'multi-label',
    binaryCrossEntropy,
    (row) => ({ fields: { labels: floatLabels(readMultiLabel(row, task)) }, tokens: 1 }),
    multiLabelScores,
  )

/** A number a row, or as many as the model has outputs: squared error. */
const regression = (task: Task): Objective =>
  onOutput(
    'regression',
    squaredError,
    (row) => ({ fields: { labels: floatLabels(readNumbers(row, task)) }, tokens: 1 }),
    regressionScores,
  )

/** The loss that transformers takes for a sequence classifier's `problem_type`. */
export function sequenceClassification(task: Task, type: ProblemType): Objective {
  switch (type) {
    case 'regression':
      return regression(task)
    case 'multi_label_classification':
      return multiLabel(task)
    case 'single_label_classification':
      return singleLabel(task)
  }
}

/** A class for each token, -100 where there is none. Labels of words go to the first token of each. */
export function tokenClassification(task: Task): Objective {
  const readLabels: LabelReader = (row, tokens) => {
    const field = tokenLabelField(row)
    const value = row.value[field]
    if (!Array.isArray(value)) throw new InvalidDataError(`${at(row)}: "${field}" must be a list with a label for each token.`)
    const given = value.map((entry: unknown, i) => classNumber(row, field, entry, task, `[${i}]`))
    // Columns of a picture have no text: each place of the output has its label.
    if (tokens === undefined)
      return {
        fields: { labels: { dtype: 'int64', shape: [given.length], values: given } },
        tokens: given.filter((label) => label !== IGNORED_LABEL).length,
      }
    const { inputIds, words } = tokens
    const labels =
      words === undefined
        ? inputIds.map((_, i) => given[i] ?? IGNORED_LABEL)
        : words.map((word, i) => (word < 0 || words[i - 1] === word ? IGNORED_LABEL : (given[word] ?? IGNORED_LABEL)))
    const whole = row.value[words === undefined ? 'input_ids' : findWordsField(row)!]
    if (!Array.isArray(whole))
      throw new InvalidDataError(
        `${at(row)}: labels of tokens need rows of words ({"tokens": [text, …], "labels": […]}) or of tokens ({"input_ids", "labels"}).`,
      )
    if (whole.length !== given.length)
      throw new InvalidDataError(
        `${at(row)}: "${field}" holds ${given.length} labels for ${whole.length} ${words === undefined ? 'tokens' : 'words'}; they must be as many.`,
      )
    const counted = labels.filter((label) => label !== IGNORED_LABEL).length
    return {
      fields: { labels: { dtype: 'int64', shape: [labels.length], values: labels, pad: IGNORED_LABEL } },
      tokens: counted,
    }
  }
  // A label counts wherever it stands, as in transformers, even on padding that the row brings.
  return onOutput('token-classification', summedCrossEntropy, readLabels, () => tokenScores(task), { keepPadding: true })
}

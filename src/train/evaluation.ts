/** @file What an evaluation gives. */

/** The mean loss of a data set, and beside it what the model's task is measured by. */
export interface Evaluation {
  /** Mean over labelled tokens (in nats), rows or images. */
  readonly loss: number
  /** Of a language model, or a masked one: e to the loss. */
  readonly perplexity?: number
  /** Of a language model, or a masked one: labelled tokens. */
  readonly tokens?: number
  /** Of every other: rows that were counted. */
  readonly examples?: number
  /** Share of labels (of several labels: of rows) that are right. */
  readonly accuracy?: number
  /** Of two classes: of class 1. Of several labels: over all. Of tokens: of entities. Of answers: overlap of positions. */
  readonly f1?: number
  /** Mean of the classes' F1. */
  readonly macroF1?: number
  /** Matthews' correlation. */
  readonly matthews?: number
  /** Of regression and similarity: correlation with the labels, and of their ranks. */
  readonly pearson?: number
  /** Of regression and similarity: correlation of ranks. */
  readonly spearman?: number
  /** Of named entities. */
  readonly precision?: number
  /** Of entities: share of the labelled ones that were found. */
  readonly recall?: number
  /** Share of answers with both positions right. */
  readonly exactMatch?: number
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
}

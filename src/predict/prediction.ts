/** @file What a model says of a row, by its task. */

/** A label and how likely it is. */
export interface LabelScore {
  /** The label's name, `LABEL_n` where it has none. */
  readonly label: string
  /** Probability, from 0 to 1. */
  readonly score: number
}

/** Of a classifier of sequences or images with one class a row. */
export interface LabelPrediction extends LabelScore {
  /** The likeliest labels first, `topK` of them: softmax over all. */
  readonly scores: readonly LabelScore[]
}

/** Of a classifier with several labels at once (`multi_label_classification`). */
export interface LabelsPrediction {
  /** Labels with a probability above one half, in the order of their numbers. */
  readonly labels: readonly string[]
  /** The likeliest labels first, `topK` of them: the sigmoid of each. */
  readonly scores: readonly LabelScore[]
}

/** Of a regression. */
export interface ValuePrediction {
  /** The number; as many as the model has outputs in a list where it has several. */
  readonly value: number | readonly number[]
}

/** Of an embedding model and one text. */
export interface EmbeddingPrediction {
  /** The text's vector. */
  readonly embedding: readonly number[]
}

/** Of an embedding model and two texts. */
export interface SimilarityPrediction {
  /** Cosine of the two vectors, from -1 to 1. */
  readonly similarity: number
}

/** What a model says of a row: its task tells which of them; `'label' in prediction` tells them apart. */
export type Prediction = LabelPrediction | LabelsPrediction | ValuePrediction | EmbeddingPrediction | SimilarityPrediction

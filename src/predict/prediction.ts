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

/** A word and its tag. */
export interface WordTag extends LabelScore {
  /** The word: what lies between white space, or an entry of the row's list. */
  readonly word: string
  /** First character in the text, as `slice` counts them (UTF-16 units); in the words of a list joined by single spaces. */
  readonly start: number
  /** Behind the last character. */
  readonly end: number
}

/** A stretch of text of one type. */
export interface EntitySpan {
  /** Type: the label without `B-` or `I-`. */
  readonly entity: string
  /** Mean probability of its tokens; of a row of words, of their first tokens. */
  readonly score: number
  /** What it says. */
  readonly text: string
  /** First character in the text, as `slice` counts them (UTF-16 units); in the words of a list joined by single spaces. */
  readonly start: number
  /** Behind the last character. */
  readonly end: number
}

/** Of a token classifier. */
export interface TagsPrediction {
  /** Each word with the tag of its first token. */
  readonly words: readonly WordTag[]
  /** Neighbouring tokens of one type that no `B-` parts, but for `O`: `simple` aggregation of transformers. */
  readonly entities: readonly EntitySpan[]
}

/** An answer in its context. */
export interface AnswerSpan {
  /** What it says. */
  readonly answer: string
  /** Probability of its beginning times that of its end, summed over stretches that come to the same words. */
  readonly score: number
  /** First character in the context, as `slice` counts them (UTF-16 units). */
  readonly start: number
  /** Behind the last character. */
  readonly end: number
}

/** Of a model that answers questions: the likeliest answer. */
export interface AnswerPrediction extends AnswerSpan {
  /** With `topK` the likeliest, the best first; fewer where the context has no more. */
  readonly answers?: readonly AnswerSpan[]
}

/** What a model says of a row: its task tells which of them; `'label' in prediction` tells them apart. */
export type Prediction =
  | LabelPrediction
  | LabelsPrediction
  | ValuePrediction
  | TagsPrediction
  | AnswerPrediction
  | EmbeddingPrediction
  | SimilarityPrediction

/** @file What an inspection of rows tells: what a run would learn from them, and what it would cost. */

/** Where a row stands. */
export interface RowPlace {
  /** The file, or what messages call rows that have none. */
  readonly file: string
  /** Line in the file, counted from 1; number of the row where it has no lines. */
  readonly line: number
}

/** A row that a run would refuse. */
export interface BadRow extends RowPlace {
  /** What is wrong, where, and what to do: what the run would say. */
  readonly message: string
}

/** Tokens of a row that the model reads as one text. All arrays are of one length. */
export interface ShownSequence {
  /** Which of a row's texts it is, where it has several: `chosen` and `rejected`, `first` and `second`. */
  readonly name?: string
  /** Token ids as they are fed. */
  readonly ids: readonly number[]
  /** Labels as the loss sees them, -100 where nothing is learned; null where tokens have none. */
  readonly labels: readonly number[] | null
  /** The text of each token: with the space before it where it has one, and of special tokens their name. */
  readonly tokens: readonly string[]
  /** Places of special tokens. */
  readonly special: readonly number[]
  /** Stretches that are learned, `[start, end)`: tokens that are predicted, tagged words, the answer to a question. */
  readonly learned: readonly (readonly [start: number, end: number])[]
  /** Names of the labels of tagged tokens, null where a token has none. */
  readonly tags?: readonly (string | null)[]
}

/** A row as it is learned. */
export interface ShownRow extends RowPlace {
  /** What the model reads; none where its inputs are no tokens. */
  readonly sequences: readonly ShownSequence[]
  /** Inputs that are no tokens, and their shapes. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>
  /** What a row has as a whole: its class, the names that apply, numbers, the score of a pair, whether it is desirable. */
  readonly label?: string | number | readonly (string | number)[]
  /** Whether its end was cut off. */
  readonly truncated: boolean
}

/** Rows of similar length. */
export interface LengthBin {
  /** Shortest length that belongs to it. */
  readonly from: number
  /** Longest length that belongs to it. */
  readonly to: number
  /** How many there are. */
  readonly rows: number
}

/** Lengths of rows in tokens, before anything is cut; of a pair that of the longer. */
export interface LengthSummary {
  /** Of the shortest row. */
  readonly shortest: number
  /** Mean over rows. */
  readonly mean: number
  /** So many percent of the rows are no longer: 5, 25, 50, 75, 90, 95, 99. */
  readonly percentiles: Readonly<Record<number, number>>
  /** Of the longest row. */
  readonly longest: number
  /** From the shortest to the longest, empty bins included. */
  readonly histogram: readonly LengthBin[]
}

/** Two rows that have something in common. */
export interface RowPair {
  /** The later of the two. */
  readonly row: RowPlace
  /** The first row that is like it. */
  readonly first: RowPlace
}

/** How often each label occurs. */
export interface LabelCount {
  /** Its name, or its number where it has none. */
  readonly label: string | number
  /** Rows, or tokens, that have it. */
  readonly count: number
}

/** What a pass over the rows costs. */
export interface EpochCost {
  /** Micro-batches. */
  readonly batches: number
  /** Updates. */
  readonly steps: number
  /** Positions that hold something of a row. */
  readonly tokens: number
  /** Positions that are computed: those and what fills rows up, in the parts of like length that a run cuts its batches into. */
  readonly positions: number
  /** Share of the positions that is padding. */
  readonly padding: number
}

/** All rows of one part of the data. */
export interface RowsInspection {
  /** Files, or what messages call rows that have none. */
  readonly files: readonly string[]
  /** Rows in all. */
  readonly rows: number
  /** Rows that are learned from. */
  readonly usable: number
  /** Every row that a run would refuse. */
  readonly bad: readonly BadRow[]
  /** What is wrong with the rows together though each is fine: sizes that share no batch, nothing to learn in any. */
  readonly problems: readonly string[]
  /** Rows without a token to learn, where those are left out (`unlabelled: 'skip'`). */
  readonly skipped: number
  /** Tokens of the usable rows as they are fed. */
  readonly tokens: number
  /** Those of them that are learned; null where rows have a label as a whole. */
  readonly learnedTokens: number | null
  /** Lengths of the usable rows; undefined where there is none, or rows are no tokens. */
  readonly lengths?: LengthSummary
  /** What is cut off at `maxLength`, or at the model's positions. */
  readonly truncated: {
    /** Rows that lose their end. */
    readonly rows: number
    /** Tokens that they lose. */
    readonly tokens: number
    /** Those of them that would have been learned. */
    readonly learnedTokens: number
  }
  /** Rows that are what an earlier one is, token for token and label for label, and the first 20 of them. */
  readonly duplicates: {
    /** Rows that could be left out. */
    readonly rows: number
    /** Where they stand. */
    readonly first: readonly RowPair[]
  }
  /** Inputs (prompts, texts) that several rows have, with different answers or labels, and the first 20 such rows. */
  readonly sameInput: {
    /** Different inputs of which that is so. */
    readonly inputs: number
    /** Rows that have one of them. */
    readonly rows: number
    /** Where they stand. */
    readonly first: readonly RowPair[]
  }
  /** Rows of which nothing is learned but special tokens and white space, and the first 20 of them. */
  readonly emptyAnswers: {
    /** How many there are. */
    readonly rows: number
    /** Where they stand. */
    readonly first: readonly RowPlace[]
  }
  /** How often each label occurs, by number, where the task has classes (at most 1,000) or completions are judged (KTO). */
  readonly labels?: readonly LabelCount[]
  /** What a run would warn of: fields that nothing reads, rows that are cut unasked, turns that end in no known token. */
  readonly warnings: readonly string[]
  /** The first rows as they are learned. */
  readonly shown: readonly ShownRow[]
}

/** Rows of evaluation data that training data has as well. */
export interface Overlap {
  /** Rows that are the same, token for token and label for label. */
  readonly rows: number
  /** Rows whose input (prompt, text) is. */
  readonly inputs: number
  /** The first 20 rows of either kind. */
  readonly first: readonly RowPair[]
}

/** What {@link inspectData} found. */
export interface DataInspection {
  /** What is learned from the rows: `causal-lm`, `single-label`, `dpo, sigmoid, beta 0.1`, … */
  readonly objective: string
  /** Longest row in tokens; null where nothing limits it. */
  readonly maxLength: number | null
  /** Rows in a micro-batch. */
  readonly batchSize: number
  /** Micro-batches in an update. */
  readonly gradAccum: number
  /** Rows to train on. */
  readonly data: RowsInspection
  /** What a pass over them costs. */
  readonly epoch: EpochCost
  /** What the second pass costs, in another order; what both cost is learned is the same tokens twice. */
  readonly secondEpoch: EpochCost
  /** The same with rows of like length in a batch, with several examples in a row where that can be, and as given by neither. */
  readonly batching: {
    /** As rows come. */
    readonly plain: EpochCost
    /** With `groupByLength`. */
    readonly groupByLength: EpochCost
    /** With `packing`. */
    readonly packing?: EpochCost
  }
  /** Rows to evaluate on, where there are any. */
  readonly evalData?: RowsInspection & {
    /** Those that are trained on too. */
    readonly alsoTrainedOn: Overlap
  }
}

/** @file How the graph of a model is to be built. */

/** Which graph of a model is wanted. */
export interface BuildOptions {
  /**
   * - `full`: inputs `input_ids`, `attention_mask`, `position_ids`, all int64 [batch, sequence];
   *   `logits` for every position.
   * - `cached`: also `past_key.N`, `past_value.N` [batch, kvHeads, cache, headDim] and `cache_mask` int64
   *   [batch, cache], and for sliding windows `cache_length` int64 [1], the index of the first new position (slot j of
   *   the cache has index j), and where `cache.rereadAbove` is set `row_length` int64 [1], the positions of the whole row
   *   whose part this is;
   *   gives `present_key.N`, `present_value.N` [batch, kvHeads, sequence, headDim] of the new positions only, and the
   *   `logits` of the last position, [batch, vocabulary].
   * - `export`: the interface that Optimum gave exported decoders and transformers.js reads. As `full`, and
   *   `past_key_values.N.key`, `past_key_values.N.value` [batch, kvHeads, past, headDim], which may be empty;
   *   `attention_mask` is [batch, total] and covers the past. Gives `present.N.key`, `present.N.value`
   *   [batch, kvHeads, total, headDim], the past with the new positions behind it.
   */
  readonly mode: 'full' | 'cached' | 'export'
  /**
   * Rows hold several examples: `attention_mask` carries the example's number (1, 2, …; 0 is padding) and positions
   * attend only within their own example.
   */
  readonly packed?: boolean
  /**
   * Blocks of queries that attention is computed in, 1 by default; only in `full` mode. More spare work on long
   * sequences and cost operators on short ones; results differ in rounding alone. Rows must have at least as many
   * positions as there are blocks: the runtime's batched product of nothing is not zero.
   */
  readonly queryBlocks?: number
  /**
   * Positions that the graph must serve, if fewer than the model has: rotary tables of a long-context model take
   * tens of megabytes, and a run that never goes beyond 1,024 tokens need not carry them.
   */
  readonly positions?: number
  /** In `cached` mode: `logits` of all new positions, [batch, sequence, vocabulary], in place of the last. */
  readonly allLogits?: boolean
  /** The model's own dropouts, which need the input `dropout_seed` uint32 [1]; none unless given. */
  readonly dropout?: ModelDropout
}

/** Dropout of a model that learns, where its config.json has it: of embeddings, attention, layers and head. */
export interface ModelDropout {
  /** Probability of the head's dropout, in place of config.json's. */
  readonly classifier?: number
}

/** @file What an adapter needs to know of a layer: where it sits in the graph and how its weight is stored. */

/**
 * How a weight is stored. `Linear` is PyTorch's [out, in]; `Conv1D` is transformers' [in, out] (GPT-2);
 * `Embedding` is [vocabulary, hidden].
 */
export type ModuleKind = 'Linear' | 'Conv1D' | 'Embedding'

/** A layer of the model by its PyTorch module path, for example `model.layers.0.self_attn.q_proj`. */
export interface Module {
  readonly name: string
  readonly kind: ModuleKind
  /** Initializer (or promoted input) that holds the weight. */
  readonly weight: string
  readonly bias: string | undefined
  /** Value the layer reads: [rows, in] for Linear and Conv1D, token ids for Embedding. */
  readonly input: string
  /** Value the layer produces: [rows, out]. */
  readonly output: string
  readonly inFeatures: number
  readonly outFeatures: number
  /** The head that turns hidden states into logits; `all-linear` leaves it out, as PEFT does. */
  readonly isOutputHead: boolean
}

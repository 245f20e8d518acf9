/** @file What an adapter needs to know of a layer: where it sits in the graph and how its weight is stored. */
import type { Attributes } from './types.js'

/**
 * How a weight is stored. `Linear` is PyTorch's [out, in]; `Conv1D` is transformers' [in, out] (GPT-2); `MatMul` is an
 * imported product with [in, out], whatever its authors called it; `Embedding` is [vocabulary, hidden]; `Conv1d`,
 * `Conv2d` and `Conv3d` are convolutions with [out, in/groups, ...kernel].
 */
export type ModuleKind = 'Linear' | 'Conv1D' | 'MatMul' | 'Embedding' | 'Conv1d' | 'Conv2d' | 'Conv3d'

const convolutions: ReadonlySet<ModuleKind> = new Set(['Conv1d', 'Conv2d', 'Conv3d'])

/** Whether the file holds a weight the other way round than PyTorch and PEFT do: [in, out] for a Linear's [out, in]. */
export const isTurned = (module: Pick<TargetModule, 'kind'>): boolean => module.kind === 'MatMul'

export const isConvolution = (kind: ModuleKind): boolean => convolutions.has(kind)

/** Whether the weights of an output lie together: [out, in, ...kernel], and not [in, out]. */
export const outputsFirst = (kind: ModuleKind): boolean => kind === 'Linear' || isConvolution(kind)

/** What the names of values begin with that a lowering made: no constant among them is a weight of the file. */
export const LOWERED = 'lowered/'

/** What a convolution needs beside its weight. */
export interface Convolution {
  /** Lengths of the kernel, one an axis. */
  readonly kernel: readonly number[]
  /** Groups of channels that are convolved apart. */
  readonly groups: number
  /** strides, pads, dilations, auto_pad as the node has them. */
  readonly attributes: Attributes
}

/** One place where a layer is applied. */
export interface ModuleUse {
  /** Value that the layer reads there. */
  readonly input: string
  /** Value that it produces there. */
  readonly output: string
}

/** A layer of the model by its PyTorch module path, for example `model.layers.0.self_attn.q_proj`. */
export interface TargetModule {
  /** Module path, as PEFT's `target_modules` match it. */
  readonly name: string
  /** How the weight is stored. */
  readonly kind: ModuleKind
  /** Initializer (or promoted input) that holds the weight. */
  readonly weight: string
  /** Initializer that holds the bias; undefined where there is none. */
  readonly bias: string | undefined
  /** Value the layer reads: [.., in] for Linear, Conv1D and MatMul, token ids for Embedding, [batch, in, ...] for convolutions. */
  readonly input: string
  /** Value the layer produces: [rows, out]. */
  readonly output: string
  /** Numbers that a row has before the layer; of an embedding the rows of its table, of a convolution the input channels. */
  readonly inFeatures: number
  /** Numbers that a row has after it; of a convolution the output channels. */
  readonly outFeatures: number
  /** The head that turns hidden states into logits; `all-linear` leaves it out, as PEFT does. */
  readonly isOutputHead: boolean
  /** Set for convolutions. */
  readonly convolution?: Convolution
  /** Axis along which an embedding is gathered is 0; the input of a Gemm with transA is [in, rows]. */
  readonly transposedInput?: boolean
  /** Factor of the product, the `alpha` of an imported Gemm; 1 by default. */
  readonly factor?: number
  /**
   * The exporter multiplied a BatchNorm into the weight and says so: an adapter trained here fits the layer with its norm,
   * and PEFT's adapters of the layer without it do not fit here. Export the model without folding to exchange them.
   */
  readonly foldedNorm?: boolean
  /** The file does not say what its author called it: its name is that of the value that holds its weight. */
  readonly unnamed?: boolean
  /** Further places where the same layer is applied (ALBERT's shared blocks). */
  readonly moreUses?: readonly ModuleUse[]
}

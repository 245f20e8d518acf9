/** @file What an adapter is made of: parts, each with its tensors, its place in a graph and its change of a weight. */
import type { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { TargetModule } from '../graph/target-module.js'
import type { Shape, Value } from '../graph/types.js'
import type { WeightDelta } from './weight-delta.js'

/**
 * What a tensor is to its part: the matrices of a branch, the bias of B, DoRA's magnitude, a tensor of the base that is
 * trained itself, rows of an embedding.
 */
export type TensorRole = 'A' | 'B' | 'bias' | 'magnitude' | 'weight' | 'rows'

/** A tensor of an adapter. */
export interface PartTensor {
  /** PEFT's name in the file, which is also the name of the graph's input. */
  readonly name: string
  readonly shape: readonly number[]
  readonly role: TensorRole
  /** Shape of the graph's input, with a name for the rank; `shape` by default. */
  readonly inputShape?: Shape
  /** What the tensor is multiplied by before it is fed to a graph attached with `scaling: 'tensors'`. */
  readonly scale?: number
}

/** Numbers of an adapter's tensors by name. */
export type TensorValues = (name: string) => Float32Array

/** One kind of change to one layer or tensor. Its file says how it is computed, trained and merged. */
export interface Part {
  /** The layer, or the path of the tensor that is trained. */
  readonly module: string
  readonly tensors: readonly PartTensor[]
  /** Tells parts apart that need another graph. */
  readonly kind: string
  attach(at: Attachment): void
  /** What merging changes, by the name of the weight in the model's graph. @throws InvalidAdapterError if it cannot be merged */
  deltas(values: TensorValues): readonly (readonly [weight: string, delta: WeightDelta])[]
}

/** Constant matrices under the trainable ones: the branch computes B·A − B₀·A₀ (PiSSA, OLoRA). */
export interface InitialMatrices {
  readonly A: Float32Array
  readonly B: Float32Array
}

/** The graph that parts are attached to, one after the other. */
export interface Attachment {
  readonly graph: Graph
  readonly b: GraphBuilder
  /** Whether scales are constants of the graph, or in the tensors that are fed. */
  readonly scaling: 'graph' | 'tensors'
  /** Declares the input of a tensor. */
  input(tensor: PartTensor): Value
  /** The module as the graph has it by now. */
  module(matched: TargetModule): TargetModule
  /** Dropout for the input of a layer, or undefined where nothing is dropped. */
  dropout(module: TargetModule, x: Value): Value | undefined
  /** Makes everything that reads a value read what `change` makes of it; the layer's inputs are those already changed. */
  change(module: TargetModule, change: (x: Value, y: Value) => Value): void
}

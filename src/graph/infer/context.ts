/** @file What an inference sees of one node, and the shapes that many operators share. */
import { numbersOf } from '../constants.js'
import type { Graph } from '../graph.js'
import { OperandView, type Operation } from '../view.js'
import { formatShape, type Attributes, type Dim, type DType, type Shape, type Value } from '../types.js'

/** Element type and shape of an output. */
export interface OutputType {
  readonly dtype: DType
  readonly shape: Shape | undefined
}

/** What an inference sees of a node that may not be there yet. */
export class InferContext extends OperandView<Operation> {
  constructor(
    private readonly graph: Graph,
    op: string,
    readonly inputs: readonly (Value | undefined)[],
    attributes: Attributes,
    readonly outputCount: number,
    /** Elements of integer tensors by value name, where names stand for lengths known at the run only. */
    private readonly known: ReadonlyMap<string, readonly Dim[]> | undefined = undefined,
  ) {
    super({ op, domain: '', name: '', attributes })
  }

  override get where(): string {
    return `${this.node.op}(${this.inputs.map((v) => (v === undefined ? '' : `${v.name} ${formatShape(v.shape)}`)).join(', ')})`
  }

  override readonly optional = (index: number): Value | undefined => this.inputs[index]

  override readonly constant = (index: number): number[] | undefined => {
    const value = this.inputs[index]
    return value === undefined ? undefined : numbersOf(this.graph.initializers.get(value.name))
  }

  /** The elements of an integer input, constant or computed from shapes. */
  dims = (index: number): readonly Dim[] | undefined => {
    const value = this.inputs[index]
    return this.constant(index) ?? (value && this.known?.get(value.name))
  }
}

/** Element types and shapes of all outputs of a node. */
export type Inference = (c: InferContext) => OutputType[]

/** The same for several operators. */
export const forAll = <const Op extends string>(ops: readonly Op[], inference: Inference): Readonly<Record<Op, Inference>> =>
  Object.fromEntries(ops.map((op) => [op, inference])) as Record<Op, Inference>

/** As the first input. */
export const like: Inference = (c) => [{ dtype: c.dtype(0), shape: c.input(0).shape }]

/** Outputs after the first have the first's type; statistics and masks of training are never read in inference. */
export const likeFirst: Inference = (c) => [
  { dtype: c.dtype(0), shape: c.shape(0) },
  ...Array.from({ length: c.outputCount - 1 }, () => ({ dtype: c.dtype(0), shape: undefined })),
]

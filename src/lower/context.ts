/** @file What a lowering sees of one node, and the table it is entered in. */
import { ShapeError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { inferNode } from '../graph/infer/index.js'
import type { InferState } from '../graph/infer-graph.js'
import { OperandView } from '../graph/view.js'
import type { Dim, Initializer, Node, Shape, Value } from '../graph/types.js'
import { QuantizedValues } from './quantized-values.js'

/** What a lowering sees of one node. Members are arrow functions so that lowerings can destructure them. */
export class LowerContext extends OperandView {
  /** Emits the nodes that take the place of this one. */
  readonly b: GraphBuilder

  /** @internal */
  constructor(
    node: Node,
    private readonly state: InferState,
    /** @internal What the lowerings of one graph know of each other's values. */
    readonly quantized: QuantizedValues = new QuantizedValues(),
  ) {
    super(node)
    this.b = state.b
  }

  /** An optional input. */
  override readonly optional = (index: number): Value | undefined => {
    const name = this.node.inputs[index]
    return name === undefined || name === '' ? undefined : this.state.value(name)
  }

  /** The numbers of a constant input. */
  override readonly constant = (index: number): number[] | undefined => this.state.numbers(this.node.inputs[index])

  /** The elements of an integer input, where names stand for lengths known at the run only. */
  dimensions = (index: number): readonly Dim[] | undefined => {
    const value = this.optional(index)
    return value && (this.constant(index) ?? this.state.known.get(value.name)?.values)
  }

  /** Shapes of what a node of this operator gives, by what is known of lengths here; undefined where one is not known. */
  inferredShapes = (op: string, inputs: readonly (Value | undefined)[]): readonly Shape[] | undefined => {
    const types = inferNode(this.b.graph, op, inputs, this.attributes, this.node.outputs.length, this.state.dims)
    const shapes = types.flatMap(({ shape }) => (shape === undefined ? [] : [shape]))
    return shapes.length === types.length ? shapes : undefined
  }

  /** The constant that an input is. */
  initializer = (index: number): Initializer | undefined => this.state.initializer(this.node.inputs[index])

  /** The node of the lowered graph that computes a value. */
  producer = (value: Value | undefined): Node | undefined => value && this.state.producer(value.name)

  /** What a name of the imported graph stands for now. */
  named = (name: string): Value => {
    const value = this.state.value(name)
    if (value === undefined) throw new ShapeError(`${this.where}: the value "${name}" is missing`)
    return value
  }

  /** The value of the lowered graph by that name. */
  value = (name: string): Value => this.state.graph.value(name)

  /** Whether anything but the first output is named. */
  get hasMoreOutputs(): boolean {
    return this.node.outputs.slice(1).some((name) => name !== '')
  }
}

/** Emits what a node means in other operators; gives its outputs. Undefined: the node stays as it is. */
export type Lowering = (c: LowerContext) => Value | readonly (Value | undefined)[] | undefined

/** Lowerings by operator key, such as `Celu` or `com.microsoft.BiasGelu`. */
export type LoweringTable = Readonly<Record<string, Lowering>>

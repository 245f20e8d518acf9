/** @file What a lowering sees of one node, and the table it is entered in. */
import { ShapeError } from '../errors.js'
import { operatorKey } from '../graph/allowed-ops.js'
import type { GraphBuilder } from '../graph/builder.js'
import { inferNode } from '../graph/infer.js'
import type { InferState } from '../graph/infer-graph.js'
import { normalizeAxis } from '../graph/shapes.js'
import type { Attributes, Dim, DType, Initializer, Node, Shape, Value } from '../graph/types.js'
import { QuantizedValues } from './quantized-values.js'

/** What a lowering sees of one node. Members are arrow functions so that lowerings can destructure them. */
export class LowerContext {
  /** Emits the nodes that take the place of this one. */
  readonly b: GraphBuilder
  /** The node's attributes. */
  readonly attributes: Attributes

  /** @internal */
  constructor(
    /** The node that is opened. */
    readonly node: Node,
    private readonly state: InferState,
    /** @internal What the lowerings of one graph know of each other's values. */
    readonly quantized: QuantizedValues = new QuantizedValues(),
  ) {
    this.b = state.b
    this.attributes = node.attributes
  }

  /** An optional input. */
  optional = (index: number): Value | undefined => {
    const name = this.node.inputs[index]
    return name === undefined || name === '' ? undefined : this.state.value(name)
  }

  /** A required input. @throws ShapeError where it is missing */
  input = (index: number): Value => {
    const value = this.optional(index)
    if (value === undefined) throw new ShapeError(`${this.where}: input ${index} is missing`)
    return value
  }

  /** Shape of a value whose rank must be known. @throws ShapeError where it is not */
  shape = (value: Value): Shape => {
    if (value.shape === undefined) throw new ShapeError(`${this.where}: the rank of "${value.name}" is unknown`)
    return value.shape
  }

  /** Number of axes of an input. */
  rank = (index = 0): number => this.shape(this.input(index)).length
  /** Element type of an input. */
  dtype = (index = 0): DType => this.input(index).dtype

  /** The numbers of a constant input. */
  constant = (index: number): number[] | undefined => this.state.numbers(this.node.inputs[index])

  /** The elements of an integer input, where names stand for lengths known at the run only. */
  dimensions = (index: number): readonly Dim[] | undefined => {
    const value = this.optional(index)
    return value && (this.constant(index) ?? this.state.known.get(value.name)?.values)
  }

  /** Shapes of what a node of this operator gives, by what is known of lengths here; nothing where one is not known. */
  inferredShapes = (op: string, inputs: readonly (Value | undefined)[]): { readonly shapes?: readonly Shape[] } => {
    const types = inferNode(this.b.graph, op, inputs, this.attributes, this.node.outputs.length, this.state.dims)
    const shapes = types.flatMap(({ shape }) => (shape === undefined ? [] : [shape]))
    return shapes.length === types.length ? { shapes } : {}
  }

  /** The constant that an input is. */
  initializer = (index: number): Initializer | undefined => this.state.initializer(this.node.inputs[index])

  /** An integer attribute, or what stands for it where the node has none. */
  int = (name: string, fallback: number): number => {
    const attribute = this.attributes[name]
    return attribute?.type === 'int' ? attribute.value : fallback
  }

  /** A floating-point attribute, or what stands for it. */
  float = (name: string, fallback: number): number => {
    const attribute = this.attributes[name]
    return attribute?.type === 'float' ? attribute.value : fallback
  }

  /** A text attribute, or what stands for it. */
  string = (name: string, fallback: string): string => {
    const attribute = this.attributes[name]
    return attribute?.type === 'string' ? attribute.value : fallback
  }

  /** An attribute that is a list of integers; undefined where the node has none. */
  ints = (name: string): readonly number[] | undefined => {
    const attribute = this.attributes[name]
    return attribute?.type === 'ints' ? attribute.value : undefined
  }

  /** The `axis` attribute counted from the front of input 0. */
  axis = (fallback: number): number => normalizeAxis(this.int('axis', fallback), this.rank(), this.where)

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

  /** The node, for messages: `Celu "act"`. */
  get where(): string {
    return `${operatorKey(this.node.op, this.node.domain)} "${this.node.name}"`
  }
}

/** Emits what a node means in other operators; gives its outputs. Undefined: the node stays as it is. */
export type Lowering = (c: LowerContext) => Value | readonly (Value | undefined)[] | undefined

/** Lowerings by operator key, such as `Celu` or `com.microsoft.BiasGelu`. */
export type LoweringTable = Readonly<Record<string, Lowering>>

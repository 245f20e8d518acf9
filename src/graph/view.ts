/** @file What every pass asks of a node: its attributes, its operands, and what to call it in a message. */
import { ShapeError } from '../errors.js'
import { operatorKey } from './allowed-ops.js'
import { floatAttribute, integerAttribute, integersAttribute, numberAttribute, textAttribute } from './attributes.js'
import { normalizeAxis } from './shapes.js'
import type { Attributes, DType, Node, Shape, Value } from './types.js'

/** What an operation is without its operands. */
export type Operation = Pick<Node, 'op' | 'domain' | 'name' | 'attributes'>

/** Attributes of a node. Members are arrow functions so that rules can destructure them. */
export class NodeView<N extends Operation = Node> {
  /** A view of a node. */
  constructor(
    /** The node itself. */
    readonly node: N,
  ) {}

  /** The node's attributes. */
  get attributes(): Attributes {
    return this.node.attributes
  }

  /** An integer attribute, or what stands for it where the node has none. */
  int = (name: string, fallback: number): number => integerAttribute(this.node, name, fallback)
  /** A floating-point attribute, or what stands for it. */
  float = (name: string, fallback: number): number => floatAttribute(this.node, name, fallback)
  /** An attribute that is a number of either kind, or what stands for it. */
  number = (name: string, fallback: number): number => numberAttribute(this.node, name, fallback)
  /** A text attribute, or what stands for it. */
  string = (name: string, fallback: string): string => textAttribute(this.node, name, fallback)
  /** An attribute that is a list of integers; undefined where the node has none. */
  ints = (name: string): readonly number[] | undefined => integersAttribute(this.node, name)

  /** The node, for messages: `Softmax "attention"`. */
  get where(): string {
    return `${operatorKey(this.node.op, this.node.domain)} "${this.node.name}"`
  }
}

/** A node and the values that it reads. A value may be given by the index of the input that it is. */
export abstract class OperandView<N extends Operation = Node> extends NodeView<N> {
  /** An input that may be left out. */
  abstract readonly optional: (index: number) => Value | undefined
  /** The numbers of an input, undefined if they are known at the run only. */
  abstract readonly constant: (index: number) => number[] | undefined

  /** A required input. @throws ShapeError where it is missing */
  input = (index: number): Value => {
    const value = this.optional(index)
    if (value === undefined) throw new ShapeError(`${this.where}: input ${index} is missing`)
    return value
  }

  /** Element type of an input. */
  dtype = (index = 0): DType => this.input(index).dtype

  /** Shape of a value whose rank must be known. @throws ShapeError where it is not */
  shape = (of: Value | number): Shape => {
    const { name, shape } = typeof of === 'number' ? this.input(of) : of
    if (shape === undefined) throw new ShapeError(`${this.where}: the rank of "${name}" is unknown`)
    return shape
  }

  /** Number of axes of a value. @throws ShapeError where it is unknown */
  rank = (of: Value | number = 0): number => this.shape(of).length

  /** The attribute `axis`, counted from the front of the first input. */
  axis = (fallback: number): number => normalizeAxis(this.int('axis', fallback), this.rank(), this.where)

  /** Axes as the node gives them: an attribute in older opsets, else a constant input; undefined where there are none. */
  givenAxes = (index: number): readonly number[] | undefined => {
    const given = this.ints('axes') ?? this.constant(index)
    if (given === undefined && this.optional(index) !== undefined) throw new ShapeError(`${this.where}: axes must be a constant`)
    return given
  }

  /** {@link givenAxes} counted from the front of the first input. */
  axes = (index: number): number[] | undefined =>
    this.givenAxes(index)?.map((axis) => normalizeAxis(axis, this.rank(), this.where))

  /** Axes that a reduction goes over: where none are given all, or with `noop_with_empty_axes` none. */
  reducedAxes = (): readonly number[] => {
    const given = this.axes(1) ?? []
    if (given.length > 0 || this.int('noop_with_empty_axes', 0) === 1) return given
    return Array.from({ length: this.rank() }, (_, i) => i)
  }
}

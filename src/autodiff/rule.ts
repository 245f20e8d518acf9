/** @file The declaration of a gradient: what a rule sees and what it returns. */
import { ShapeError } from '../errors.js'
import { operatorKey } from '../graph/allowed-ops.js'
import type { GraphBuilder } from '../graph/builder.js'
import { numbersOf } from '../graph/constants.js'
import { normalizeAxis } from '../graph/shapes.js'
import type { Node, Shape, Value } from '../graph/types.js'

/** Gradient of one input; `null` or `false` is none. It may still have the broadcast shape: the engine sums it. */
export type InputGradient = Value | null | false | undefined

/** What a rule sees of one node. Members are arrow functions so that rules can destructure them. */
export class RuleContext {
  /** Inputs; missing optional ones are undefined. */
  readonly x: readonly (Value | undefined)[]
  /** Outputs. */
  readonly y: readonly Value[]

  /** What a rule is given of a node. */
  constructor(
    /** Emits the nodes of the gradient. */
    readonly b: GraphBuilder,

    /** The node whose gradient is asked for. */
    readonly node: Node,
    /** Gradients of the outputs; undefined where nothing that matters reads the output. */
    readonly dy: readonly (Value | undefined)[],
    private readonly needed: ReadonlySet<string>,
  ) {
    this.x = node.inputs.map((name) => (name === '' ? undefined : b.graph.value(name)))
    this.y = node.outputs.map((name) => (name === '' ? (undefined as never) : b.graph.value(name)))
  }

  /** Whether the gradient of input `index` is wanted: rules skip work that nobody asked for. */
  needs = (index: number): boolean => {
    const name = this.node.inputs[index]
    return name !== undefined && this.needed.has(name)
  }

  /** A required input. */
  input = (index: number): Value => {
    const value = this.x[index]
    if (value === undefined) throw new ShapeError(`${this.where}: input ${index} is missing`)
    return value
  }

  /** Gradient of an output; zeros if nothing reads it. */
  gradient = (index = 0): Value => {
    return this.dy[index] ?? this.b.zeros(this.shape(this.y[index]!), this.y[index]!.dtype)
  }

  /** Shape of a value whose rank must be known. */
  shape = (value: Value): Shape => {
    if (value.shape === undefined)
      throw new ShapeError(`${this.where}: the rank of "${value.name}" is unknown, so its gradient cannot be built`)
    return value.shape
  }

  /** Number of axes of a value. @throws ShapeError where it is unknown */
  rank = (value: Value): number => this.shape(value).length

  /** An integer attribute, or what stands for it where the node has none. */
  int = (name: string, fallback: number): number => {
    const attribute = this.node.attributes[name]
    return attribute?.type === 'int' ? attribute.value : fallback
  }

  /** A floating-point attribute, or what stands for it. */
  float = (name: string, fallback: number): number => {
    const attribute = this.node.attributes[name]
    return attribute?.type === 'float' ? attribute.value : fallback
  }

  /** A text attribute, or what stands for it. */
  string = (name: string, fallback: string): string => {
    const attribute = this.node.attributes[name]
    return attribute?.type === 'string' ? attribute.value : fallback
  }

  /** An attribute that is a list of integers; undefined where the node has none. */
  ints = (name: string): readonly number[] | undefined => {
    const attribute = this.node.attributes[name]
    return attribute?.type === 'ints' ? attribute.value : undefined
  }

  /** The numbers of a constant input. */
  constant = (index: number): number[] | undefined => {
    const value = this.x[index]
    return value === undefined ? undefined : numbersOf(this.b.graph.initializers.get(value.name))
  }

  /** `axis` attribute counted from the front of input 0. */
  axis = (fallback: number): number => {
    return normalizeAxis(this.int('axis', fallback), this.rank(this.input(0)), this.where)
  }

  /** Axes as attribute (older opsets) or as constant input `index`, counted from the front; undefined if absent. */
  axes = (index: number): number[] | undefined => {
    const given = this.ints('axes') ?? this.constant(index)
    if (given === undefined && this.x[index] !== undefined) throw new ShapeError(`${this.where}: axes must be a constant`)
    const rank = this.rank(this.input(0))
    return given?.map((a) => normalizeAxis(a, rank, this.where))
  }

  /** The node, for messages: `Softmax "attention"`. */
  get where(): string {
    return `${operatorKey(this.node.op, this.node.domain)} "${this.node.name}"`
  }
}

/** The gradients of a node's inputs, in their order. */
export type GradientFunction = (context: RuleContext) => readonly InputGradient[]

/** The gradient of one operator. */
export interface GradientRule {
  /** Operator, by its name in the ONNX specification. */
  readonly op: string
  /** Domain of the operator; `''` is ai.onnx. */
  readonly domain: string
  /** Undefined: the derivative is zero or undefined everywhere (integers, booleans, steps). */
  readonly gradient: GradientFunction | undefined
}

/**
 * Declares the gradient of an operator: a function from output gradients to one gradient per input.
 * Broadcasting, accumulation, pruning and missing gradients are the engine's.
 * @example
 * // d tanh x = (1 − tanh²x) dx
 * const tanh = rule('Tanh', ({ b, y: [y], dy: [g] }) => [b.mul(g!, b.sub(1, b.mul(y!, y!)))])
 */
export const rule = (op: string, gradient: GradientFunction, options: { domain?: string } = {}): GradientRule => ({
  op,
  domain: options.domain ?? '',
  gradient,
})

/**
 * Declares that an operator passes no gradient to any input.
 * @example
 * const floor = noGradient('Floor')
 */
export const noGradient = (op: string, domain = ''): GradientRule => ({ op, domain, gradient: undefined })

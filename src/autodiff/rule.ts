/** @file The declaration of a gradient: what a rule sees and what it returns. */
import type { GraphBuilder } from '../graph/builder.js'
import { numbersOf } from '../graph/constants.js'
import { OperandView } from '../graph/view.js'
import type { Node, Value } from '../graph/types.js'

/** Gradient of one input; `null` or `false` is none. It may still have the broadcast shape: the engine sums it. */
export type InputGradient = Value | null | false | undefined

/** What a rule sees of one node. Members are arrow functions so that rules can destructure them. */
export class RuleContext extends OperandView {
  /** Inputs; missing optional ones are undefined. */
  readonly x: readonly (Value | undefined)[]
  /** Outputs. */
  readonly y: readonly Value[]

  /** What a rule is given of a node. */
  constructor(
    /** Emits the nodes of the gradient. */
    readonly b: GraphBuilder,
    node: Node,
    /** Gradients of the outputs; undefined where nothing that matters reads the output. */
    readonly dy: readonly (Value | undefined)[],
    private readonly needed: ReadonlySet<string>,
  ) {
    super(node)
    this.x = node.inputs.map((name) => (name === '' ? undefined : b.graph.value(name)))
    this.y = node.outputs.map((name) => (name === '' ? (undefined as never) : b.graph.value(name)))
  }

  /** Whether the gradient of input `index` is wanted: rules skip work that nobody asked for. */
  needs = (index: number): boolean => {
    const name = this.node.inputs[index]
    return name !== undefined && this.needed.has(name)
  }

  /** An input that may be left out. */
  override readonly optional = (index: number): Value | undefined => this.x[index]

  /** The numbers of a constant input. */
  override readonly constant = (index: number): number[] | undefined => {
    const value = this.x[index]
    return value === undefined ? undefined : numbersOf(this.b.graph.initializers.get(value.name))
  }

  /** Gradient of an output; zeros if nothing reads it. */
  gradient = (index = 0): Value => this.dy[index] ?? this.b.zeros(this.shape(this.y[index]!), this.y[index]!.dtype)
}

/** The gradients of a node's inputs, in their order. */
export type GradientFunction = (context: RuleContext) => readonly InputGradient[]

/** The gradient of one operator. */
export interface GradientRule<Op extends string = string> {
  /** Operator, by its name in the ONNX specification. */
  readonly op: Op
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
export const rule = <const Op extends string>(
  op: Op,
  gradient: GradientFunction,
  options: { domain?: string } = {},
): GradientRule<Op> => ({ op, domain: options.domain ?? '', gradient })

/**
 * Declares that an operator passes no gradient to any input.
 * @example
 * const floor = noGradient('Floor')
 */
export const noGradient = <const Op extends string>(op: Op, domain = ''): GradientRule<Op> => ({
  op,
  domain,
  gradient: undefined,
})

/** @file Reverse-mode differentiation of a graph into standard ONNX operators. */
import { ShapeError, UnsupportedOpError } from '../errors.js'
import { operatorKey } from '../graph/allowed-ops.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { broadcastAxes, sameShape } from '../graph/shapes.js'
import { formatShape, isFloat, type Node, type Value } from '../graph/types.js'
import { ancestry } from '../graph/walk.js'
import { builtinRules } from './registry.js'
import { RuleContext, type GradientRule } from './rule.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** Options of {@link differentiate}. */
export interface DifferentiateOptions {
  /** Rules beside or instead of the built-in ones. */
  readonly rules?: readonly GradientRule[]
}

const differentiateOptionKeys = { rules: true } satisfies OptionKeys<DifferentiateOptions>

/** A graph with its backward pass. */
export interface Differentiated {
  /** The given graph with the backward pass appended. */
  readonly graph: Graph
  /** Gradient of the loss by the name of each value of `wrt`. */
  readonly gradients: ReadonlyMap<string, Value>
}

/**
 * Appends the gradient of a scalar with respect to some values.
 *
 * Only nodes on a path from a value of `wrt` to the loss are asked for a gradient, and of those only the inputs that
 * lie on such a path: with LoRA alone trainable, no gradient of a base weight is ever computed.
 *
 * @param graph a lowered graph in topological order; it is not changed
 * @param loss a scalar float value of the graph
 * @param wrt inputs or initializers to differentiate by
 * @throws UnsupportedOpError naming every node on the path that has no rule
 * @throws ShapeError if the loss is no scalar, does not depend on a value of `wrt`, or shapes cannot be decided
 * @example
 * const { graph, gradients } = differentiate(forward, loss, [x])
 * graph.outputs = [loss, gradients.get(x.name)!]
 */
export function differentiate(
  graph: Graph,
  loss: Value,
  wrt: readonly Value[],
  options: DifferentiateOptions = {},
): Differentiated {
  const result = graph.clone()
  const b = new GraphBuilder(result)
  checkKeys(options, differentiateOptionKeys, 'differentiate')
  const rules = new Map([...builtinRules, ...(options.rules ?? [])].map((r) => [operatorKey(r.op, r.domain), r]))

  if (loss.shape === undefined || loss.shape.some((d) => d !== 1) || !isFloat(loss.dtype))
    throw new ShapeError(`the loss must be a float scalar; "${loss.name}" is ${loss.dtype} ${formatShape(loss.shape)}`)

  const path = nodesOnPath(graph, loss, wrt, rules)
  refuseUnsupported(path.nodes, rules)

  const gradients = new Map<string, Value>([[loss.name, b.full(loss.shape, 1, loss.dtype)]])
  for (let i = path.nodes.length - 1; i >= 0; i--) {
    const node = path.nodes[i]!
    const dy = node.outputs.map((name) => gradients.get(name))
    if (dy.every((g) => g === undefined)) continue
    const context = new RuleContext(b, node, dy, path.needed)
    const inputGradients = b.scope(`grad/${node.name}`, () => rules.get(operatorKey(node.op, node.domain))!.gradient!(context))
    if (inputGradients.length > node.inputs.length && inputGradients.slice(node.inputs.length).some(Boolean))
      throw new TypeError(
        `internal: the rule of ${context.where} returns ${inputGradients.length} gradients for ${node.inputs.length} inputs`,
      )
    inputGradients.forEach((gradient, index) => {
      const name = node.inputs[index]
      if (!gradient || name === undefined || !path.needed.has(name)) return
      const fitted = sumToShape(b, gradient, result.value(name), context.where)
      const sum = gradients.get(name)
      gradients.set(name, sum === undefined ? fitted : b.add(sum, fitted))
    })
    // The gradient of an inner value is complete once its producer has been visited; drop it so that errors surface.
    for (const output of node.outputs) gradients.delete(output)
  }

  return { graph: result, gradients: new Map(wrt.map((value) => [value.name, reached(value, gradients.get(value.name), loss)])) }
}

function reached(value: Value, gradient: Value | undefined, loss: Value): Value {
  if (gradient === undefined)
    throw new ShapeError(`the loss "${loss.name}" does not depend on "${value.name}": nothing to train there`)
  return gradient
}

/** Nodes between `wrt` and the loss in topological order, and the names of the values whose gradient is needed. */
function nodesOnPath(
  graph: Graph,
  loss: Value,
  wrt: readonly Value[],
  rules: ReadonlyMap<string, GradientRule>,
): { nodes: Node[]; needed: Set<string> } {
  const stops = (node: Node): boolean => {
    const known = rules.get(operatorKey(node.op, node.domain))
    return known !== undefined && known.gradient === undefined
  }
  const dependent = new Set(wrt.map((v) => v.name))
  for (const node of graph.nodes) {
    if (stops(node) || !node.inputs.some((i) => dependent.has(i))) continue
    for (const output of node.outputs) {
      const value = graph.values.get(output)
      if (value !== undefined && isFloat(value.dtype) && !graph.detached.has(output)) dependent.add(output)
    }
  }
  const { nodes, names } = ancestry(graph.nodes, [loss.name], (name) => dependent.has(name))
  return { nodes, needed: new Set([...dependent].filter((name) => names.has(name))) }
}

function refuseUnsupported(nodes: readonly Node[], rules: ReadonlyMap<string, GradientRule>): void {
  const missing = nodes.filter((node) => !rules.has(operatorKey(node.op, node.domain)))
  if (missing.length === 0) return
  const lines = missing.map((node) => `  ${operatorKey(node.op, node.domain)} "${node.name}"`)
  throw new UnsupportedOpError(
    `no gradient rule for ${missing.length} node(s):\n${lines.join('\n')}\n` +
      'Pass your own with { rules: [rule(op, …)] }, or adapt only layers after these nodes.',
  )
}

/** Sums a gradient over the axes along which its value was broadcast. */
function sumToShape(b: GraphBuilder, gradient: Value, value: Value, where: string): Value {
  if (gradient.dtype !== value.dtype)
    throw new TypeError(`internal: ${where} gives a ${gradient.dtype} gradient for ${value.dtype} "${value.name}"`)
  if (gradient.shape === undefined || value.shape === undefined || sameShape(gradient.shape, value.shape)) return gradient
  const axes = broadcastAxes(gradient.shape, value.shape)
  const summed = axes.length === 0 ? gradient : b.reduceSum(gradient, axes, true)
  const result = b.reshape(summed, value.shape)
  if (!sameShape(result.shape!, value.shape))
    throw new ShapeError(
      `${where}: cannot sum a gradient ${formatShape(gradient.shape)} to ${formatShape(value.shape)} of "${value.name}"`,
    )
  return result
}

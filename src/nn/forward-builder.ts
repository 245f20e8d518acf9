/** @file The builder that `forward` is given: a graph builder that knows parameters, buffers and dropout. */
import { InvalidOptionError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { dropout, DROPOUT_SEED } from '../graph/dropout.js'
import type { Graph } from '../graph/graph.js'
import { productOfDims } from '../graph/shapes.js'
import type { Value } from '../graph/types.js'
import { ModuleBuffer, type Parameter } from './parameter.js'

/** Builds the graph of a model. What is trainable becomes an input, what is frozen an initializer. */
export class ForwardBuilder extends GraphBuilder {
  /** The values of the parameters that the graph takes as inputs. */
  readonly trainable = new Map<Parameter, Value>()
  /** The values of the buffers, which are inputs too, for a step may change them. */
  readonly buffers = new Map<ModuleBuffer, Value>()
  /** What a step makes of buffers. */
  readonly updates = new Map<ModuleBuffer, Value>()
  private readonly frozen = new Map<Parameter, Value>()
  private seed: Value | undefined
  private streams = 0

  /** @param paths names of the model's parameters and buffers */
  constructor(
    graph: Graph,
    private readonly paths: ReadonlyMap<Parameter | ModuleBuffer, string>,
  ) {
    super(graph)
  }

  private pathOf(item: Parameter | ModuleBuffer): string {
    const path = this.paths.get(item)
    if (path === undefined)
      throw new InvalidOptionError(
        `forward uses a ${item instanceof ModuleBuffer ? 'buffer' : 'parameter'} of shape [${item.shape.join(', ')}] that belongs to no module of the model; ` +
          'keep every layer in a property of its module',
      )
    return path
  }

  /** The value of a parameter. */
  parameter(parameter: Parameter): Value {
    const known = this.trainable.get(parameter) ?? this.frozen.get(parameter)
    if (known !== undefined) return known
    const name = this.graph.uniqueName(this.pathOf(parameter))
    const { dtype, shape, data } = parameter
    const value = parameter.requiresGrad
      ? this.graph.addInput(name, dtype, shape)
      : this.graph.addInitializer(name, { dtype, shape, data })
    ;(parameter.requiresGrad ? this.trainable : this.frozen).set(parameter, value)
    return value
  }

  /** The value of a buffer before the step. */
  buffer(buffer: ModuleBuffer): Value {
    const known = this.buffers.get(buffer)
    if (known !== undefined) return known
    const value = this.graph.addInput(this.graph.uniqueName(this.pathOf(buffer)), buffer.dtype, buffer.shape)
    this.buffers.set(buffer, value)
    return value
  }

  /** Says what a training step leaves in a buffer. */
  update(buffer: ModuleBuffer, value: Value): void {
    this.updates.set(buffer, value)
  }

  /** Inverted dropout of a tensor of any rank; every call draws a mask of its own. @param p probability of a zero */
  dropout(x: Value, p: number): Value {
    if (p === 0) return x
    this.seed ??= this.graph.addInput(DROPOUT_SEED, 'uint32', [1])
    const shape = x.shape!
    const matrix = this.reshape(x, [productOfDims(shape.slice(0, -1)), shape.at(-1)!])
    return this.reshape(dropout(this, matrix, p, this.seed, this.streams++), shape)
  }
}

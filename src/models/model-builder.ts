/** @file The vocabulary architectures are written in: weights, linear layers, embeddings, norms. */
import { InvalidModelError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { Graph } from '../graph/graph.js'
import type { ModuleKind } from '../graph/module.js'
import type { Initializer, Value } from '../graph/types.js'
import type { BuildOptions } from './architecture.js'

/** Weights of a model by their checkpoint names. */
export type Weights = ReadonlyMap<string, Initializer>

/**
 * Builds the graph of a model and registers its layers as modules.
 *
 * Hidden states are kept as a matrix [batch*sequence, hidden] throughout, so that every linear layer is one `Gemm`
 * with its bias fused; only attention looks at batch and sequence apart.
 */
export class ModelBuilder {
  readonly graph: Graph
  readonly b: GraphBuilder
  private readonly used = new Set<string>()

  constructor(
    name: string,
    private readonly weights: Weights,
    readonly options: BuildOptions,
    /** Where the weights came from, for messages. */
    private readonly source: string,
  ) {
    this.graph = new Graph(name)
    this.b = new GraphBuilder(this.graph)
  }

  hasWeight(name: string): boolean {
    return this.weights.has(name)
  }

  /**
   * A weight as a float32 value, checked against the shape that the config asks for. 16-bit checkpoints are cast
   * once, when the session is created.
   */
  weight(name: string, shape: readonly number[]): Value {
    const tensor = this.weights.get(name)
    if (tensor === undefined) throw new InvalidModelError(`${this.source}: tensor "${name}" [${shape.join(', ')}] is missing`)
    if (tensor.shape.length !== shape.length || tensor.shape.some((d, i) => d !== shape[i]))
      throw new InvalidModelError(`${this.source}: tensor "${name}" must have shape [${shape.join(', ')}] by config.json, got [${tensor.shape.join(', ')}]`)
    if (!['float32', 'float16', 'bfloat16'].includes(tensor.dtype))
      throw new InvalidModelError(`${this.source}: tensor "${name}" has element type ${tensor.dtype}; expected F32, F16 or BF16`)
    this.used.add(name)
    const value = this.graph.values.get(name) ?? this.graph.addInitializer(name, tensor)
    if (tensor.dtype === 'float32') return value
    const cast = `${name}/float32`
    return this.graph.values.get(cast) ?? this.b.emit('Cast', [value], { to: { type: 'int', value: 1 } }, { name: cast })
  }

  /** Tensors of the checkpoint that the graph never asked for. */
  unusedWeights(): string[] {
    return [...this.weights.keys()].filter((name) => !this.used.has(name))
  }

  private register(name: string, kind: ModuleKind, weight: Value, bias: Value | undefined, input: Value, output: Value, sizes: [number, number], head = false): Value {
    // A layer that runs several times (a head applied in chunks) is one module; the first use registers it.
    if (!this.graph.modules.has(name))
      this.graph.modules.set(name, {
        name,
        kind,
        weight: weight.name,
        bias: bias?.name,
        input: input.name,
        output: output.name,
        inFeatures: sizes[0],
        outFeatures: sizes[1],
        isOutputHead: head,
      })
    return output
  }

  /** PyTorch `nn.Linear`: x [rows, in] times W [out, in] transposed, plus bias. */
  linear(
    name: string,
    x: Value,
    inFeatures: number,
    outFeatures: number,
    options: { bias?: boolean; weightName?: string; isOutputHead?: boolean } = {},
  ): Value {
    const weight = this.weight(options.weightName ?? `${name}.weight`, [outFeatures, inFeatures])
    const bias = options.bias === true ? this.weight(`${name}.bias`, [outFeatures]) : undefined
    const y = this.b.gemm(x, weight, { c: bias, transB: true, name })
    return this.register(name, 'Linear', weight, bias, x, y, [inFeatures, outFeatures], options.isOutputHead)
  }

  /** transformers' `Conv1D` (GPT-2): x [rows, in] times W [in, out], plus bias. */
  conv1d(name: string, x: Value, inFeatures: number, outFeatures: number): Value {
    const weight = this.weight(`${name}.weight`, [inFeatures, outFeatures])
    const bias = this.weight(`${name}.bias`, [outFeatures])
    const y = this.b.gemm(x, weight, { c: bias, name })
    return this.register(name, 'Conv1D', weight, bias, x, y, [inFeatures, outFeatures])
  }

  /** Rows of an embedding table: ids of any shape to [...ids, hidden]. */
  embedding(name: string, ids: Value, vocabulary: number, hidden: number): Value {
    const weight = this.weight(`${name}.weight`, [vocabulary, hidden])
    const y = this.b.gather(weight, ids, 0)
    return this.register(name, 'Embedding', weight, undefined, ids, y, [vocabulary, hidden])
  }

  layerNorm(name: string, x: Value, size: number, epsilon: number): Value {
    return this.b.layerNormalization(x, this.weight(`${name}.weight`, [size]), this.weight(`${name}.bias`, [size]), epsilon)
  }

  rmsNorm(name: string, x: Value, size: number, epsilon: number): Value {
    return this.b.rmsNormalization(x, this.weight(`${name}.weight`, [size]), epsilon)
  }
}

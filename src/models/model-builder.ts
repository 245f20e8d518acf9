/** @file The vocabulary architectures are written in: weights, linear layers, embeddings, norms. */
import { GraphBuilder } from '../graph/builder.js'
import { Graph } from '../graph/graph.js'
import { dropout, DROPOUT_SEED } from '../graph/dropout.js'
import { dtypeToOnnx } from '../graph/dtypes.js'
import type { Convolution, ModuleKind } from '../graph/target-module.js'
import { int, ints, type Initializer, type Value } from '../graph/types.js'
import type { BuildOptions } from './build-options.js'

/** Weights of a model by their checkpoint names. */
export type Weights = ReadonlyMap<string, Initializer>

/** Number of a model's first dropout: those before are of the adapter's branches, which are counted from 0. */
const FIRST_STREAM = 2 ** 24

export interface ConvolutionLayout {
  readonly inChannels: number
  readonly outChannels: number
  readonly kernel: readonly number[]
  readonly strides?: readonly number[]
  readonly pads?: readonly number[]
  readonly groups?: number
}

/**
 * Builds the graph of a model and registers its layers as modules.
 *
 * Hidden states are kept as a matrix [batch*sequence, hidden] throughout, so that every linear layer is one `Gemm`
 * with its bias fused; only attention looks at batch and sequence apart.
 */
export class ModelBuilder {
  readonly graph: Graph
  readonly b: GraphBuilder
  /** Shape of every weight the architecture asked for, in order. */
  readonly requested = new Map<string, readonly number[]>()
  /** Those of them that norms add to a scale of 1 (Gemma): fresh ones are 0. */
  readonly zeroCentered = new Set<string>()
  /** What is wrong with the weights: all of it, so that one message can say it. */
  readonly problems: string[] = []
  private dropouts = 0

  constructor(
    name: string,
    private readonly weights: Weights,
    readonly options: BuildOptions,
  ) {
    this.graph = new Graph(name)
    this.b = new GraphBuilder(this.graph)
  }

  hasWeight(name: string): boolean {
    return this.weights.has(name)
  }

  /** There are weights, but none of that name: false where only shapes are asked for. */
  lacksWeight(name: string): boolean {
    return this.weights.size > 0 && !this.weights.has(name)
  }

  /**
   * A weight as a float32 value, checked against the shape that the config asks for. 16-bit checkpoints are cast
   * once, when the session is created. A weight that is missing or does not fit is noted in `problems`.
   */
  weight(name: string, shape: readonly number[]): Value {
    this.requested.set(name, shape)
    const cast = `${name}/float32`
    const known = this.graph.values.get(cast) ?? this.graph.values.get(name)
    if (known !== undefined) return known
    const tensor = this.weights.get(name)
    const problem = this.mismatch(name, shape, tensor)
    if (tensor === undefined || problem !== undefined) {
      if (problem !== undefined) this.problems.push(problem)
      return this.graph.declare(name, 'float32', shape)
    }
    const value = this.graph.addInitializer(name, tensor)
    if (tensor.dtype === 'float32') return value
    return this.b.emit('Cast', [value], { to: int(dtypeToOnnx('float32')) }, { name: cast })
  }

  private mismatch(name: string, shape: readonly number[], tensor: Initializer | undefined): string | undefined {
    const expected = `[${shape.join(', ')}]`
    if (tensor === undefined) return `tensor "${name}" ${expected} is missing`
    if (tensor.shape.length !== shape.length || tensor.shape.some((d, i) => d !== shape[i]))
      return `tensor "${name}" must have shape ${expected} by config.json, got [${tensor.shape.join(', ')}]`
    if (!['float32', 'float16', 'bfloat16'].includes(tensor.dtype))
      return `tensor "${name}" has element type ${tensor.dtype}; expected float32, float16 or bfloat16`
    return undefined
  }

  /** Tensors of the checkpoint that the graph never asked for. */
  unusedWeights(): string[] {
    return [...this.weights.keys()].filter((name) => !this.requested.has(name))
  }

  private register(
    name: string,
    kind: ModuleKind,
    weight: Value,
    bias: Value | undefined,
    input: Value,
    output: Value,
    sizes: [number, number],
    options: { isOutputHead?: boolean; convolution?: Convolution; again?: boolean } = {},
  ): Value {
    // A layer that runs several times (a head applied in chunks) is one module; the first use registers it.
    const known = this.graph.modules.get(name)
    if (known === undefined)
      this.graph.modules.set(name, {
        name,
        kind,
        weight: weight.name,
        bias: bias?.name,
        input: input.name,
        output: output.name,
        inFeatures: sizes[0],
        outFeatures: sizes[1],
        isOutputHead: options.isOutputHead ?? false,
        ...(options.convolution && { convolution: options.convolution }),
      })
    else if (options.again === true) {
      const use = { input: input.name, output: output.name }
      this.graph.modules.set(name, { ...known, moreUses: [...(known.moreUses ?? []), use] })
    }
    return output
  }

  /**
   * PyTorch `nn.Linear`: x [rows, in] times W [out, in] transposed, plus bias.
   * @param options `again`: the same layer is applied to another value, and so is its adapter
   */
  linear(
    name: string,
    x: Value,
    inFeatures: number,
    outFeatures: number,
    options: { bias?: boolean; weightName?: string; biasName?: string; isOutputHead?: boolean; again?: boolean } = {},
  ): Value {
    const weight = this.weight(options.weightName ?? `${name}.weight`, [outFeatures, inFeatures])
    const bias = options.bias === true ? this.weight(options.biasName ?? `${name}.bias`, [outFeatures]) : undefined
    const y = this.b.gemm(x, weight, { c: bias, transB: true, name })
    return this.register(name, 'Linear', weight, bias, x, y, [inFeatures, outFeatures], options)
  }

  /**
   * The language-model head, a linear layer, without bias unless its name is given. `tiedTo` names the embedding whose
   * matrix it shares; a checkpoint that brings a matrix of its own nevertheless is believed, as transformers does since
   * version 5.
   */
  head(name: string, x: Value, hidden: number, vocabulary: number, tiedTo?: string, biasName?: string): Value {
    const own = `${name}.weight`
    const weightName = tiedTo === undefined || this.hasWeight(own) ? own : tiedTo
    const bias = biasName === undefined ? {} : { bias: true, biasName }
    return this.linear(name, x, hidden, vocabulary, { weightName, isOutputHead: true, ...bias })
  }

  /** transformers' `Conv1D` (GPT-2): x [rows, in] times W [in, out], plus bias. */
  conv1d(name: string, x: Value, inFeatures: number, outFeatures: number): Value {
    const weight = this.weight(`${name}.weight`, [inFeatures, outFeatures])
    const bias = this.weight(`${name}.bias`, [outFeatures])
    const y = this.b.gemm(x, weight, { c: bias, name })
    return this.register(name, 'Conv1D', weight, bias, x, y, [inFeatures, outFeatures])
  }

  /**
   * PyTorch `nn.Conv1d`, `nn.Conv2d` or `nn.Conv3d` by the length of the kernel, with bias: x [batch, in, ...lengths] and
   * W [out, in/groups, ...kernel]. Strides are 1 and pads (all starts, then all ends) 0 unless given.
   */
  convolution(name: string, x: Value, layout: ConvolutionLayout): Value {
    const { inChannels, outChannels, kernel, groups = 1 } = layout
    const weight = this.weight(`${name}.weight`, [outChannels, inChannels / groups, ...kernel])
    const bias = this.weight(`${name}.bias`, [outChannels])
    const attributes = {
      kernel_shape: ints(kernel),
      strides: ints(layout.strides ?? kernel.map(() => 1)),
      pads: ints(layout.pads ?? kernel.flatMap(() => [0, 0])),
      group: int(groups),
    }
    const y = this.b.emit('Conv', [x, weight, bias], attributes, { name })
    const kind = (['Conv1d', 'Conv2d', 'Conv3d'] as const)[kernel.length - 1]!
    const convolution = { kernel, groups, attributes }
    return this.register(name, kind, weight, bias, x, y, [inChannels, outChannels], { convolution })
  }

  /** Rows of an embedding table: ids of any shape to [...ids, hidden]. */
  embedding(name: string, ids: Value, vocabulary: number, hidden: number): Value {
    const weight = this.weight(`${name}.weight`, [vocabulary, hidden])
    const y = this.b.gather(weight, ids, 0)
    return this.register(name, 'Embedding', weight, undefined, ids, y, [vocabulary, hidden])
  }

  /** Dropout with probability `p`, where the graph is built to learn with it: {@link BuildOptions.dropout}. @param x [.., features] */
  dropout(x: Value, p: number): Value {
    if (this.options.dropout === undefined || p === 0) return x
    const seed = this.graph.values.get(DROPOUT_SEED) ?? this.graph.addInput(DROPOUT_SEED, 'uint32', [1])
    return this.b.scope('dropout', () => dropout(this.b, x, p, seed, FIRST_STREAM + this.dropouts++))
  }

  /** Dropout of what a head reads. @param p config.json's */
  headDropout(x: Value, p: number): Value {
    return this.dropout(x, this.options.dropout?.classifier ?? p)
  }

  layerNorm(name: string, x: Value, size: number, epsilon: number): Value {
    return this.b.layerNormalization(x, this.weight(`${name}.weight`, [size]), this.weight(`${name}.bias`, [size]), epsilon)
  }

  /** @param zeroCentered the weight is what is added to a scale of 1, as Gemma stores it */
  rmsNorm(name: string, x: Value, size: number, epsilon: number, zeroCentered = false): Value {
    const weight = this.weight(`${name}.weight`, [size])
    if (!zeroCentered) return this.b.rmsNormalization(x, weight, epsilon)
    this.zeroCentered.add(`${name}.weight`)
    return this.b.rmsNormalization(x, this.b.add(weight, 1), epsilon)
  }
}

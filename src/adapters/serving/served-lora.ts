/**
 * @file The branch of one layer in a graph that serves many adapters, all rows with the same ones or each with its own.
 *
 * A set of adapters is one branch: A of them all one over the other, B side by side, scales multiplied into B. So one graph
 * serves any choice of them. DoRA's magnitude is divided by the lengths of the rows once, when an adapter is loaded:
 * with f = m/n, f ⊙ (W + s·B·A)·x + bias = y + (f − 1) ⊙ (y − bias) + (f ⊙ s·B)·A·x, and only the vector f − 1 is fed.
 */
import { InvalidAdapterError, InvalidOptionError } from '../../errors.js'
import type { GraphBuilder } from '../../graph/builder.js'
import type { Graph } from '../../graph/graph.js'
import { isConvolution, type TargetModule } from '../../graph/target-module.js'
import { divideDims } from '../../graph/dim/index.js'
import { productOfDims } from '../../graph/shapes.js'
import { formatShape, type Dim, type Shape, type Value } from '../../graph/types.js'
import { addBranch, alongOutputs, loraShapes } from '../branch.js'
import { includedBias } from '../dora.js'
import { embeddingAName, embeddingBName, loraAName, loraBiasName, loraBName } from '../lora.js'
import type { Attachment, Part, PartTensor } from '../part.js'
import { ADAPTER_SCALES, ADAPTER_WEIGHTS } from './serving.js'

/** Axis of the stacked branches of all adapters in a mixed batch. */
const STACKED = 'stacked'

export interface ServedOptions {
  /** Some adapter rescales the layer's outputs (DoRA). */
  readonly rescaled: boolean
  /** Some adapter adds a vector to them (`lora_bias`). */
  readonly shifted: boolean
  /** Each row of a batch has its own adapter. */
  readonly mixed: boolean
}

export class ServedLora implements Part {
  readonly module: string
  readonly kind: string
  readonly A: PartTensor
  readonly B: PartTensor
  /** f − 1, [out] */
  readonly rescale: PartTensor | undefined
  /** [out] */
  readonly shift: PartTensor | undefined
  readonly tensors: readonly PartTensor[]

  constructor(
    readonly layer: TargetModule,
    readonly options: ServedOptions,
  ) {
    const { name, kind, inFeatures, outFeatures } = layer
    const { rescaled, shifted, mixed } = options
    if (mixed && isConvolution(kind))
      throw new InvalidOptionError(
        `${name} is a convolution: the rows of a batch cannot have adapters of their own there; run one batch for each adapter`,
      )
    const embedding = kind === 'Embedding'
    const one = loraShapes(layer, `rank_${name}`)
    const A = mixed ? [STACKED, inFeatures] : one.A
    const B = mixed ? [STACKED, outFeatures] : one.B
    const vector = mixed ? ['adapters', outFeatures] : [outFeatures]
    const none: readonly number[] = []
    this.module = name
    this.A = { name: embedding ? embeddingAName(name) : loraAName(name), shape: none, role: 'A', inputShape: A }
    this.B = { name: embedding ? embeddingBName(name) : loraBName(name), shape: none, role: 'B', inputShape: B }
    this.rescale = rescaled ? { name: `${this.B.name}.rescale`, shape: none, role: 'magnitude', inputShape: vector } : undefined
    this.shift = shifted ? { name: loraBiasName(name), shape: none, role: 'bias', inputShape: vector } : undefined
    this.tensors = [this.A, this.B, this.rescale, this.shift].filter((tensor) => tensor !== undefined)
    // Without extras the graph is that of a plain LoRA, and shared with it.
    this.kind = [mixed ? 'mixed' : 'lora', rescaled && 'rescaled', shifted && 'shifted'].filter(Boolean).join('+')
  }

  attach(at: Attachment): void {
    if (this.options.mixed) this.attachMixed(at)
    else this.attachOne(at)
  }

  private attachOne(at: Attachment): void {
    const { b } = at
    const module = at.module(this.layer)
    const [A, B] = [at.input(this.A), at.input(this.B)]
    const rescale = this.rescale && alongOutputs(b, module, at.input(this.rescale))
    const shift = this.shift && alongOutputs(b, module, at.input(this.shift))
    at.change(module, (x, y) => {
      const sum = addBranch(b, module, x, y, y, A, B, 1)
      return withVectors(b, module, y, sum, { rescale, shift, bias: rescale && includedBias(at, module, y) })
    })
  }

  /** All branches at once, of which each token gets its row's: low = w ⊙ A·x, and Bᵀ·low is added. */
  private attachMixed(at: Attachment): void {
    const { b, graph } = at
    const module = at.module(this.layer)
    const [A, B] = [at.input(this.A), at.input(this.B)]
    const weights = inputByRow(graph, ADAPTER_WEIGHTS, [1, STACKED])
    const ofRows = (tensor: PartTensor | undefined): Value | undefined =>
      tensor && b.unsqueeze(b.matmul(inputByRow(graph, ADAPTER_SCALES, ['adapters']), at.input(tensor)), [1]) // [batch, 1, out]
    const [rescale, shift] = [ofRows(this.rescale), ofRows(this.shift)]
    at.change(module, (x, y) => {
      const [batch, each, out] = rowShape(graph, module, y)
      const tokens = productOfDims([batch, each])
      const low = module.kind === 'Embedding' ? columns(b, x, A, tokens) : lowProduct(b, module, x, A, tokens) // [tokens, stacked]
      const own = b.reshape(b.expand(weights, [batch, each, STACKED]), [tokens, STACKED])
      // What another row's adapter makes of this one may be infinite.
      const weighted = b.where(b.equal(own, 0), 0, b.mul(low, own))
      const sum = b.gemm(weighted, B, { c: b.reshape(y, [tokens, out]) })
      if (rescale === undefined && shift === undefined) return b.reshape(sum, y.shape!)
      const shape = [batch, each, out]
      const bias = rescale && includedBias(at, module, y)
      return b.reshape(withVectors(b, module, b.reshape(y, shape), b.reshape(sum, shape), { rescale, shift, bias }), y.shape!)
    })
  }

  /** @throws InvalidAdapterError always: what is merged is an adapter */
  deltas(): never {
    throw new InvalidAdapterError(`${this.module}: what serves many adapters cannot be merged; merge the adapters themselves`)
  }
}

interface Vectors {
  readonly rescale: Value | undefined
  readonly shift: Value | undefined
  /** What y holds beside the product. */
  readonly bias: Value | undefined
}

/** sum + rescale ⊙ (y − bias) + shift */
function withVectors(b: GraphBuilder, module: TargetModule, y: Value, sum: Value, { rescale, shift, bias }: Vectors): Value {
  const product = bias === undefined ? y : b.sub(y, alongOutputs(b, module, bias))
  const rescaled = rescale === undefined ? sum : b.add(sum, b.mul(product, rescale))
  return shift === undefined ? rescaled : b.add(rescaled, shift)
}

/** The axis that counts the rows of a batch: the first of the first input. */
const batchOf = (graph: Graph): Dim => graph.inputs[0]!.shape![0]!

function inputByRow(graph: Graph, name: string, rest: Shape): Value {
  const shape = [batchOf(graph), ...rest]
  return graph.inputs.find((input) => input.name === name) ?? graph.addInput(name, 'float32', shape)
}

/** A·x of the stacked branches, [tokens, stacked]. */
function lowProduct(b: GraphBuilder, module: TargetModule, x: Value, A: Value, tokens: Dim): Value {
  if (module.transposedInput === true) return b.gemm(x, A, { transA: true, transB: true })
  return b.gemm(b.reshape(x, [tokens, module.inFeatures]), A, { transB: true })
}

/** The columns of A [stacked, vocabulary] that the ids name: no product with the vocabulary. */
const columns = (b: GraphBuilder, ids: Value, A: Value, tokens: Dim): Value =>
  b.transpose(b.gather(A, b.reshape(ids, [tokens]), 1), [1, 0])

/** [batch, n, width] of a layer's output. @throws InvalidOptionError unless its leading axes begin with the batch */
function rowShape(graph: Graph, module: TargetModule, x: Value): readonly [Dim, Dim, Dim] {
  const batch = batchOf(graph)
  const [first, ...others] = x.shape?.slice(0, -1) ?? []
  const rest = first === undefined ? undefined : divideDims(first, batch)
  if (rest === undefined)
    throw new InvalidOptionError(
      `${module.name} has ${formatShape(x.shape)} values, in which the rows of the batch cannot be told apart, so they cannot have adapters of their own; ` +
        'run one batch for each adapter',
    )
  return [batch, productOfDims([rest, ...others]), x.shape!.at(-1)!]
}

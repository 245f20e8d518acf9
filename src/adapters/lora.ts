/** @file LoRA (Hu et al., 2021): low-rank branches beside frozen layers, with DoRA's magnitude where it is asked for. */
import { InvalidAdapterError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import type { TargetModule } from '../graph/target-module.js'
import { float32 } from '../graph/constants.js'
import { int, type Value } from '../graph/types.js'
import { attachParts, type AttachedLora, type AttachOptions } from './attach.js'
import { addBranch, alongOutputs, loraShapes } from './branch.js'
import { magnitudeShape, rescaled } from './dora.js'
import type { Attachment, InitialMatrices, Part, PartTensor, TensorValues } from './part.js'

export type { AttachedLora, AttachOptions } from './attach.js'

/** A layer and the branch to put beside it. */
export interface LoraTarget {
  /** The layer. */
  readonly module: TargetModule
  /** Rank. */
  readonly r: number
  /** Numerator of the scale. */
  readonly alpha: number
  /** alpha/r, or alpha/√r with rsLoRA. */
  readonly scale: number
}

/** What B·A is multiplied by. */
export const scaleOf = (alpha: number, r: number, useRslora: boolean): number => alpha / (useRslora ? Math.sqrt(r) : r)

/** What PEFT's names of tensors begin with, before the path of the module. */
export const PREFIX = 'base_model.model.'

/** PEFT's names of the two matrices, which are also the names of the graph's inputs. */
export const loraAName = (module: string): string => `${PREFIX}${module}.lora_A.weight`
export const loraBName = (module: string): string => `${PREFIX}${module}.lora_B.weight`
/** Names of the matrices of an adapted embedding. */
export const embeddingAName = (module: string): string => `${PREFIX}${module}.lora_embedding_A`
export const embeddingBName = (module: string): string => `${PREFIX}${module}.lora_embedding_B`
export const loraBiasName = (module: string): string => `${PREFIX}${module}.lora_B.bias`
export const magnitudeName = (module: string): string => `${PREFIX}${module}.lora_magnitude_vector`

export interface LoraPartOptions {
  /** Weight-decomposed (DoRA). */
  readonly useDora?: boolean
  /** B has a bias: y += s·b. */
  readonly loraBias?: boolean
  /** Constant matrices to subtract, of PiSSA and OLoRA. */
  readonly initial?: InitialMatrices
  /** Output head that keeps the base's weight when the embedding it is tied to is merged. */
  readonly keeps?: string
}

/** The branch of one layer. A part is plain data and functions of it: nothing is attached yet. */
export class LoraPart implements Part {
  readonly module: string
  readonly kind: string
  readonly tensors: readonly PartTensor[]
  readonly A: PartTensor
  readonly B: PartTensor
  readonly bias: PartTensor | undefined
  readonly magnitude: PartTensor | undefined

  constructor(
    readonly target: LoraTarget,
    readonly options: LoraPartOptions = {},
  ) {
    const { module, r, scale } = target
    const { name } = module
    const embedding = module.kind === 'Embedding'
    const { useDora = false, loraBias = false } = options
    if (loraBias && embedding) throw new InvalidAdapterError(`"lora_bias" is not defined for the embedding ${name}, as in PEFT`)
    if (useDora && (module.convolution?.groups ?? 1) > 1)
      throw new InvalidAdapterError(
        `DoRA is not defined for the grouped convolution ${name}: the branch has no weight of its form`,
      )
    this.module = name
    const shapes = loraShapes(module, r)
    // The backward pass cuts the channels of a grouped convolution into groups: their number must be known.
    const inputs = loraShapes(module, (module.convolution?.groups ?? 1) > 1 ? r : `rank_${name}`)
    const numbers = (shape: readonly unknown[]): number[] => shape as number[]
    this.A = {
      name: embedding ? embeddingAName(name) : loraAName(name),
      shape: numbers(shapes.A),
      role: 'A',
      inputShape: inputs.A,
    }
    this.B = { name: embedding ? embeddingBName(name) : loraBName(name), shape: numbers(shapes.B), role: 'B', inputShape: inputs.B, scale } // prettier-ignore
    this.bias = loraBias ? { name: loraBiasName(name), shape: [module.outFeatures], role: 'bias', scale } : undefined
    this.magnitude = useDora ? { name: magnitudeName(name), shape: magnitudeShape(module), role: 'magnitude' } : undefined
    this.tensors = [this.A, this.B, this.bias, this.magnitude].filter((t) => t !== undefined)
    this.kind = ['lora', useDora && 'dora', loraBias && 'bias', options.initial && 'initial'].filter(Boolean).join('+')
  }

  /** The first values that are subtracted, where the base is to be whole again with them. */
  get initial(): InitialMatrices | undefined {
    return this.options.initial
  }

  attach(at: Attachment): void {
    const { b } = at
    const module = at.module(this.target.module)
    const scale = at.scaling === 'graph' ? this.target.scale : 1
    const [A, B] = this.withInitial(at, at.input(this.A), at.input(this.B))
    const bias = this.bias && at.input(this.bias)
    const magnitude = this.magnitude && at.input(this.magnitude)
    at.change(module, (x, y) => {
      const dropped = module.kind === 'Embedding' ? undefined : at.dropout(module, x)
      const branch = (onto: Value | undefined): Value => {
        const product = addBranch(b, module, dropped ?? x, onto, y, A, B, scale)
        return bias === undefined ? product : b.add(product, alongOutputs(b, module, b.mul(bias, scale)))
      }
      return magnitude === undefined ? branch(y) : rescaled(at, module, { x: dropped, y, A, B, magnitude, scale, branch })
    })
  }

  /** A over A₀ and B beside −B₀. */
  private withInitial({ b, scaling }: Attachment, A: Value, B: Value): [Value, Value] {
    const { initial } = this.options
    if (initial === undefined) return [A, B]
    const factor = scaling === 'graph' ? -1 : -this.target.scale
    const A0 = b.constant(float32(this.A.shape, initial.A), 'initial_A')
    const B0 = b.constant(float32(this.B.shape, initial.B.map((v) => v * factor)), 'initial_B') // prettier-ignore
    return [b.emit('Concat', [A, A0], { axis: int(0) }), b.emit('Concat', [B, B0], { axis: int(1) })]
  }

  deltas(values: TensorValues): ReturnType<Part['deltas']> {
    const { module, scale } = this.target
    const { name, kind, convolution, factor } = module
    if ((convolution?.groups ?? 1) > 1)
      throw new InvalidAdapterError(
        `${name} is a convolution with ${convolution!.groups} groups, whose branch sees all channels: no weight of the layer equals it, so it cannot be merged (PEFT refuses as well)`,
      )
    const weight = weightName(module.weight)
    const delta = {
      module: name,
      kind,
      A: values(this.A.name),
      B: values(this.B.name),
      scale: scale / (factor ?? 1),
      ...(this.options.keeps !== undefined && { keeps: this.options.keeps }),
      ...(this.magnitude && { magnitude: values(this.magnitude.name), ...(factor !== undefined && { factor }) }),
    }
    if (this.bias === undefined) return [[weight, delta]]
    if (module.bias === undefined)
      throw new InvalidAdapterError(`${name} has no bias that the adapter's bias (lora_bias) could be merged into`)
    return [
      [weight, delta],
      [weightName(module.bias), { module: name, kind: 'added', values: values(this.bias.name).map((v) => v * scale) }],
    ]
  }
}

/** Name of a weight in the checkpoint's terms: without the mark of the cast of a 16-bit one. */
export const weightName = (name: string): string => name.replace(/\/float32$/, '')

/**
 * Adds y = W·x + s·B·A·dropout(x) to every target. A [r, in] and B [out, r] become inputs of the graph; a rank of 0
 * gives the base model. Where hidden states are a matrix, the addition is folded into the second product.
 * Convolutions take A [r, in, ...kernel] and B [out, r/groups, 1, ...]; embeddings A [r, vocabulary] and B [hidden, r].
 */
export function attachLora(graph: Graph, targets: readonly LoraTarget[], options: AttachOptions): AttachedLora {
  return attachParts(
    graph,
    targets.map((target) => new LoraPart(target)),
    options,
  )
}

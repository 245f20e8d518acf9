/** @file Convolutions of one to three axes with LoRA, as loralib puts it and as PEFT does. */
import { InvalidAdapterError, InvalidOptionError, ShapeError } from '../errors.js'
import { elementCount, formatShape, int, ints, type Attributes, type Value } from '../graph/types.js'
import type { ForwardBuilder } from './forward-builder.js'
import { LoraLayer, loraLayerOptionKeys, positiveIntegers, product, type LoraLayerOptions } from './lora-layer.js'
import { constant, kaiming, Parameter } from './parameter.js'
import type { OptionKeys } from '../util/option-keys.js'

/** One number for all axes, or one for each. */
export type PerAxis = number | readonly number[]

/** Options of a convolution. */
export interface ConvOptions extends LoraLayerOptions {
  /** Elements from one window to the next; 1 where it is not given. */
  readonly stride?: PerAxis
  /** Zeros before and after each axis. */
  readonly padding?: PerAxis
  /** Elements from one place of the kernel to the next; 1 where it is not given. */
  readonly dilation?: PerAxis
  /** Groups of channels that are convolved apart; 1 where it is not given. */
  readonly groups?: number
  /** Whether there is a bias; true where it is not given. */
  readonly bias?: boolean
  /** Only zeros, as loralib's layers are used. */
  readonly paddingMode?: 'zeros'
  /** Which matrices the branch has: `loralib` by default. */
  readonly formulation?: 'loralib' | 'peft'
}

const convOptionKeys = {
  ...loraLayerOptionKeys,
  ...{ stride: true, padding: true, dilation: true, groups: true, bias: true, paddingMode: true, formulation: true },
} satisfies OptionKeys<ConvOptions>

function perAxis(layer: string, name: string, value: PerAxis, rank: number, least: number): number[] {
  const list = typeof value === 'number' ? Array<number>(rank).fill(value) : [...value]
  if (list.length !== rank || !list.every((n) => Number.isSafeInteger(n) && n >= least))
    throw new InvalidOptionError(
      `${layer}: ${name} must be an integer of at least ${least}, or ${rank} of them, got ${JSON.stringify(value)}`,
    )
  return list
}

/**
 * A convolution of inputs [batch, in, ..lengths] with LoRA.
 *
 * `loralib`: ΔW = (B·A) read in the shape of the weight [out, in/groups, ..kernel]. With k the last length of the kernel
 * and K the product of the others, `lora_A` is [r·k, in·k] and `lora_B` [out/groups·K, r·k], so that B·A has
 * out/groups·K × in·k elements, which is what the weight has, whatever the number of axes. For a square kernel of two axes
 * K = k and these are loralib's shapes; its Conv1d and Conv3d take K = k too and cannot run.
 *
 * `peft`: a branch of two convolutions. `lora_A` [r, in, ..kernel] has the base's stride, padding and dilation, `lora_B`
 * [out, r/groups, 1..] its groups. For groups > 1 that is no convolution of the base's shape, so it cannot be merged.
 *
 * While training, dropout is applied to the input of the branch; loralib accepts the option and ignores it.
 */
export abstract class ConvNd extends LoraLayer {
  weight: Parameter
  /** Added to each output channel, [out]; undefined without one. */
  readonly bias: Parameter | undefined
  /** Lengths of the kernel, one an axis. */
  readonly kernelSize: readonly number[]
  /** Elements from one window to the next, one an axis. */
  readonly stride: readonly number[]
  /** Zeros before and after each axis. */
  readonly padding: readonly number[]
  /** Elements from one place of the kernel to the next, one an axis. */
  readonly dilation: readonly number[]
  /** Groups of channels that are convolved apart. */
  readonly groups: number
  /** Which matrices the branch has. */
  readonly formulation: 'loralib' | 'peft'

  /** @throws InvalidOptionError for sizes that are no positive integers, or channels that groups do not divide */
  constructor(
    rank: number,

    /** Channels of the input. */
    readonly inChannels: number,

    /** Channels of the output. */
    readonly outChannels: number,
    kernelSize: PerAxis,
    options: ConvOptions,
  ) {
    super(options, convOptionKeys)
    const layer = new.target.name
    const { groups = 1, formulation = 'loralib', paddingMode = 'zeros', bias = true } = options
    positiveIntegers(layer, { inChannels, outChannels, groups })
    this.kernelSize = perAxis(layer, 'kernelSize', kernelSize, rank, 1)
    this.stride = perAxis(layer, 'stride', options.stride ?? 1, rank, 1)
    this.padding = perAxis(layer, 'padding', options.padding ?? 0, rank, 0)
    this.dilation = perAxis(layer, 'dilation', options.dilation ?? 1, rank, 1)
    this.groups = groups
    this.formulation = formulation
    if (inChannels % groups !== 0 || outChannels % groups !== 0)
      throw new InvalidOptionError(
        `${layer}: ${inChannels} input and ${outChannels} output channels cannot be divided into ${groups} groups`,
      )
    if (formulation !== 'loralib' && formulation !== 'peft')
      throw new InvalidOptionError(`${layer}: formulation must be "loralib" or "peft", got "${String(formulation)}"`)
    if (paddingMode !== 'zeros')
      throw new InvalidOptionError(
        `${layer}: paddingMode "${String(paddingMode)}" is not supported; pad the input and use "zeros"`,
      )

    const window = elementCount(this.kernelSize)
    const fanIn = (inChannels / groups) * window
    this.weight = new Parameter([outChannels, inChannels / groups, ...this.kernelSize], kaiming(fanIn), this.r === 0)
    this.bias = bias ? new Parameter([outChannels], kaiming(fanIn)) : undefined
    if (this.r === 0) return
    const { r } = this
    if (formulation === 'loralib') {
      const last = this.kernelSize.at(-1)!
      this.lora_A = new Parameter([r * last, inChannels * last], kaiming(inChannels * last))
      this.lora_B = new Parameter([(outChannels / groups) * (window / last), r * last], constant(0))
      return
    }
    if (r % groups !== 0)
      throw new InvalidOptionError(`${layer}: PEFT's formulation needs r divisible by groups, ${r} and ${groups}`)
    this.lora_A = new Parameter([r, inChannels, ...this.kernelSize], kaiming(inChannels * window))
    this.lora_B = new Parameter([outChannels, r / groups, ...this.kernelSize.map(() => 1)], constant(0))
  }

  private attributes(group: number): Attributes {
    return {
      strides: ints(this.stride),
      dilations: ints(this.dilation),
      pads: ints([...this.padding, ...this.padding]),
      ...(group !== 1 && { group: int(group) }),
    }
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    const rank = this.kernelSize.length + 2
    if (x.shape?.length !== rank || x.shape[1] !== this.inChannels)
      throw new ShapeError(
        `${this.constructor.name} takes inputs [batch, ${this.inChannels}, ${'length, '.repeat(rank - 2).slice(0, -2)}], got "${x.name}" ${formatShape(x.shape)}`,
      )
    const weight = b.parameter(this.weight)
    const bias = this.bias && b.parameter(this.bias)
    const conv = (input: Value, w: Value, c?: Value): Value => b.emit('Conv', [input, w, c], this.attributes(this.groups))
    if (this.lora_A === undefined || this.lora_B === undefined) return conv(x, weight, bias)
    const [A, B] = [b.parameter(this.lora_A), b.parameter(this.lora_B)]
    const drops = this.training && this.loraDropout > 0
    const dropped = drops ? b.dropout(x, this.loraDropout) : x
    if (this.formulation === 'peft') {
      const low = b.emit('Conv', [dropped, A], this.attributes(1))
      const branch = b.emit('Conv', [low, B], this.groups === 1 ? {} : { group: int(this.groups) })
      return b.add(conv(x, weight, bias), b.mul(branch, this.scaling))
    }
    const delta = b.mul(b.reshape(b.matmul(B, A), this.weight.shape), this.scaling)
    return drops ? b.add(conv(x, weight, bias), conv(dropped, delta)) : conv(x, b.add(weight, delta), bias)
  }

  protected override delta(lora_A: Float32Array, lora_B: Float32Array): Float64Array {
    const [A, B] = [this.lora_A!.shape, this.lora_B!.shape]
    if (this.formulation === 'loralib') return product(lora_B, lora_A, B[0]!, B[1]!, A[1]!)
    if (this.groups > 1)
      throw new InvalidAdapterError(
        `${this.constructor.name} with ${this.groups} groups: PEFT's branch sees all input channels, a grouped weight only its own, so it cannot be merged; train with formulation "loralib" to merge`,
      )
    return product(lora_B, lora_A, this.outChannels, this.r, elementCount(A.slice(1)))
  }
}

/** Over inputs [batch, in, length]; loralib's own cannot run. */
export class Conv1d extends ConvNd {
  /** @param kernelSize one length for every axis, or one for each */
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options)
  }
}

/** Over inputs [batch, in, height, width]. */
export class Conv2d extends ConvNd {
  /** @param kernelSize one length for every axis, or one for each */
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options)
  }
}

/** Over inputs [batch, in, depth, height, width]; loralib's own cannot run. */
export class Conv3d extends ConvNd {
  /** @param kernelSize one length for every axis, or one for each */
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options)
  }
}

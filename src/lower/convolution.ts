/** @file Fused convolutions, and forms of convolutions and pools that have no rule of their own. */
import { ShapeError, UnsupportedOpError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { int, ints, type Attributes, type Value } from '../graph/types.js'
import { activate } from './activate.js'
import type { LowerContext, LoweringTable } from './context.js'

/** Attributes of the operator that fusion added. */
const fused: ReadonlySet<string> = new Set(['activation', 'activation_params', 'channels_last'])

const plain = (attributes: Attributes): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => !fused.has(name)))

const floats = (c: LowerContext, name: string): readonly number[] => {
  const attribute = c.attributes[name]
  return attribute?.type === 'floats' ? attribute.value : []
}

const channelsFirst = (b: GraphBuilder, x: Value): Value => {
  const last = x.shape!.length - 1
  return b.transpose(x, [0, last, ...x.shape!.slice(2).map((_, i) => i + 1)])
}

const channelsLast = (b: GraphBuilder, x: Value): Value => b.transpose(x, [0, ...x.shape!.slice(2).map((_, i) => i + 2), 1])

/** x, weight, bias, and a tensor that is added before the activation. */
function fusedConv(c: LowerContext, nhwc: boolean): Value {
  const { b } = c
  const view = (x: Value): Value => (nhwc ? channelsFirst(b, x) : x)
  const y = b.emit('Conv', [view(c.input(0)), c.input(1), c.optional(2)], plain(c.attributes), { name: c.node.name })
  const z = c.optional(3)
  const active = activate(c, z === undefined ? y : b.add(y, view(z)), c.string('activation', ''), floats(c, 'activation_params'))
  return nhwc ? channelsLast(b, active) : active
}

/** ConvTranspose whose pads follow from the size of its result, with those pads. */
function explicitPads(c: LowerContext): Value | undefined {
  const wanted = c.ints('output_shape')
  const mode = c.string('auto_pad', 'NOTSET')
  if (wanted === undefined && mode === 'NOTSET') return undefined
  const { b } = c
  const [x, w] = [c.shape(c.input(0)).slice(2), c.shape(c.input(1)).slice(2)]
  const list = (name: string, fallback: number): readonly number[] => c.ints(name) ?? x.map(() => fallback)
  const [strides, dilations, extra] = [list('strides', 1), list('dilations', 1), list('output_padding', 0)]
  const pads = x.map((length, i): readonly [number, number] => {
    if (mode === 'VALID' && wanted === undefined) return [0, 0]
    const kernel = w[i]!
    if (typeof kernel !== 'number') throw new ShapeError(`${c.where}: the kernel's size must be known`)
    const reach = dilations[i]! * (kernel - 1) + 1 + extra[i]!
    // Without a wanted size it is stride times the input's.
    const size = wanted?.slice(-x.length)[i]
    if (size !== undefined && typeof length !== 'number')
      throw new ShapeError(`${c.where}: output_shape needs a fixed input size`)
    const total = size === undefined ? reach - strides[i]! : strides[i]! * ((length as number) - 1) + reach - size
    if (total < 0) throw new UnsupportedOpError(`${c.where}: its result is larger than its windows reach`)
    const small = Math.floor(total / 2)
    return mode === 'SAME_UPPER' ? [small, total - small] : [total - small, small]
  })
  const { auto_pad: _, output_shape: __, ...attributes } = c.attributes
  return b.emit('ConvTranspose', [c.input(0), c.input(1), c.optional(2)], {
    ...attributes,
    pads: ints([...pads.map(([before]) => before), ...pads.map(([, after]) => after)]),
  })
}

const norm = (b: GraphBuilder, x: Value, p: number): Value => (p === 1 ? b.abs(x) : p === 2 ? b.mul(x, x) : b.pow(b.abs(x), p))
const root = (b: GraphBuilder, x: Value, p: number): Value => (p === 1 ? x : p === 2 ? b.sqrt(x) : b.pow(x, 1 / p))

export const convolutionLowerings: LoweringTable = {
  ConvTranspose: explicitPads,
  'com.microsoft.FusedConv': (c) => fusedConv(c, false),
  'com.microsoft.NhwcConv': (c) => fusedConv(c, true),
  'com.microsoft.NhwcFusedConv': (c) => fusedConv(c, true),
  /** (Σ|x|ᵖ)^(1/p) of each window, by its mean over windows that all count alike */
  LpPool: (c) => {
    const { b } = c
    const p = c.int('p', 2)
    const { p: _, ...attributes } = c.attributes
    const count = (c.ints('kernel_shape') ?? []).reduce((n, k) => n * k, 1)
    if (c.int('ceil_mode', 0) === 1) throw new UnsupportedOpError(`${c.where}: ceil_mode is not supported`)
    const mean = b.emit('AveragePool', [norm(b, c.input(0), p)], { ...attributes, count_include_pad: int(1) })
    return root(b, b.mul(mean, count), p)
  },
  GlobalLpPool: (c) => {
    const { b } = c
    const p = c.int('p', 2)
    return root(b, b.reduceSum(norm(b, c.input(0), p), c.shape(c.input(0)).slice(2).map((_, i) => i + 2)), p) // prettier-ignore
  },
}

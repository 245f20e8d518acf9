/** @file What the attributes of LSTM, GRU and RNN say, read once for shapes, lowerings and gradients. */
import { InvalidModelError, UnsupportedOpError } from '../errors.js'
import { integerAttribute, numberAttribute, textAttribute } from './attributes.js'
import type { Attribute, Attributes, Node } from './types.js'

export type RecurrentOp = 'LSTM' | 'GRU' | 'RNN'

/** An activation function with the constants it uses. */
export interface RecurrentActivation {
  readonly name: ActivationName
  readonly alpha: number
  readonly beta: number
}

/** Which constants an activation reads, and what they are where the node does not say; `undefined`: it has to. */
const constantsOf = {
  Affine: { alpha: undefined, beta: undefined },
  Relu: {},
  LeakyRelu: { alpha: 0.01 },
  ThresholdedRelu: { alpha: undefined },
  Tanh: {},
  ScaledTanh: { alpha: undefined, beta: undefined },
  Sigmoid: {},
  HardSigmoid: { alpha: 0.2, beta: 0.5 },
  Elu: { alpha: 1 },
  Softsign: {},
  Softplus: {},
} as const satisfies Readonly<Record<string, { readonly alpha?: number | undefined; readonly beta?: number | undefined }>>

export type ActivationName = keyof typeof constantsOf

/** Of one direction: the functions of the gates, of the new state and, for LSTM, of the cell. */
const defaults: Readonly<Record<RecurrentOp, readonly ActivationName[]>> = {
  LSTM: ['Sigmoid', 'Tanh', 'Tanh'],
  GRU: ['Sigmoid', 'Tanh'],
  RNN: ['Tanh'],
}

/** Gates of a step: rows of W and R in multiples of the hidden size. */
export const gateCount: Readonly<Record<RecurrentOp, number>> = { LSTM: 4, GRU: 3, RNN: 1 }

export interface RecurrentDirection {
  readonly reverse: boolean
  readonly activations: readonly RecurrentActivation[]
}

export interface Recurrence {
  readonly op: RecurrentOp
  readonly directions: readonly RecurrentDirection[]
  /** Bound of what activations read, if any. */
  readonly clip: number | undefined
  /** LSTM: the forget gate is 1 minus the input gate. */
  readonly inputForget: boolean
  /** GRU: the reset gate scales the product with the state, not the state. */
  readonly linearBeforeReset: boolean
  /** Batch first: [batch, sequence, …] and states [batch, directions, hidden]. */
  readonly batchFirst: boolean
}

type RecurrentNode = Pick<Node, 'op' | 'name' | 'attributes'>

export const isRecurrent = (op: string): op is RecurrentOp => Object.hasOwn(gateCount, op)

const where = ({ op, name }: RecurrentNode): string => `${op} "${name}"`

const textsOf = (attribute: Attribute | undefined): readonly string[] | undefined =>
  attribute?.type === 'strings' ? attribute.value : undefined

function reversals(node: RecurrentNode): boolean[] {
  const direction = textAttribute(node, 'direction', 'forward')
  if (direction === 'bidirectional') return [false, true]
  if (direction !== 'forward' && direction !== 'reverse')
    throw new InvalidModelError(
      `${where(node)}: direction is "${direction}"; ONNX knows "forward", "reverse" and "bidirectional"; the file is damaged`,
    )
  return [direction === 'reverse']
}

/** Takes constants off a list in the order of the functions that use them, as ONNX Runtime does. */
function activationsOf(node: RecurrentNode, count: number): RecurrentActivation[] {
  const own = defaults[node.op as RecurrentOp]
  const names = textsOf(node.attributes['activations']) ?? Array.from({ length: count }, () => own).flat()
  if (names.length !== own.length * count)
    throw new InvalidModelError(
      `${where(node)}: activations has ${names.length} functions (${names.join(', ')}), ${own.length * count} are needed; the file is damaged`,
    )
  const lists = { alpha: listOf(node, 'activation_alpha'), beta: listOf(node, 'activation_beta') }
  return names.map((given) => {
    const name = (Object.keys(constantsOf) as ActivationName[]).find((known) => known.toLowerCase() === given.toLowerCase())
    if (name === undefined)
      throw new UnsupportedOpError(
        `${where(node)}: activations names "${given}", which has no gradient here and no kernel in ONNX Runtime; known are ${Object.keys(constantsOf).join(', ')}`,
      )
    const uses: { readonly alpha?: number | undefined; readonly beta?: number | undefined } = constantsOf[name]
    const take = (key: 'alpha' | 'beta'): number => {
      if (!(key in uses)) return 0
      const value = lists[key].shift() ?? uses[key]
      if (value === undefined)
        throw new InvalidModelError(`${where(node)}: activation "${name}" needs activation_${key}, which the node does not give`)
      return value
    }
    return { name, alpha: take('alpha'), beta: take('beta') }
  })
}

function listOf({ attributes }: RecurrentNode, name: string): number[] {
  const attribute = attributes[name]
  return attribute?.type === 'floats' || attribute?.type === 'ints' ? [...attribute.value] : []
}

/**
 * Reads a node.
 * @throws InvalidModelError for attributes that ONNX does not know, UnsupportedOpError for an activation without a gradient
 */
export function readRecurrence(node: RecurrentNode): Recurrence {
  const op = node.op as RecurrentOp
  const reverse = reversals(node)
  const activations = activationsOf(node, reverse.length)
  const each = defaults[op].length
  const clip = numberAttribute(node, 'clip', 0)
  if (!(clip >= 0)) throw new InvalidModelError(`${where(node)}: clip is ${clip}, it must be positive; the file is damaged`)
  return {
    op,
    directions: reverse.map((r, i) => ({ reverse: r, activations: activations.slice(i * each, (i + 1) * each) })),
    clip: clip === 0 ? undefined : clip,
    inputForget: integerAttribute(node, 'input_forget', 0) === 1,
    linearBeforeReset: integerAttribute(node, 'linear_before_reset', 0) === 1,
    batchFirst: integerAttribute(node, 'layout', 0) === 1,
  }
}

/** Activation functions as attributes of a node, every constant spelled out. */
export function activationAttributes(activations: readonly RecurrentActivation[]): Attributes {
  const list = (key: 'alpha' | 'beta'): number[] => activations.flatMap((a) => (key in constantsOf[a.name] ? [a[key]] : []))
  const [alpha, beta] = [list('alpha'), list('beta')]
  return {
    activations: { type: 'strings', value: activations.map(({ name }) => name) },
    ...(alpha.length > 0 && { activation_alpha: { type: 'floats', value: alpha } }),
    ...(beta.length > 0 && { activation_beta: { type: 'floats', value: beta } }),
  }
}

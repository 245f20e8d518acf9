/** @file Nodes of older operator sets in the form of opset 21, which lowrank builds for. */
import { UnsupportedOpError } from '../errors.js'
import type { InferState } from '../graph/infer-graph.js'
import { int, string, type Attribute, type Node, type Value } from '../graph/types.js'

const number = (attribute: Attribute | undefined): number | undefined =>
  attribute?.type === 'int' || attribute?.type === 'float' ? attribute.value : undefined

const list = (attribute: Attribute | undefined): readonly number[] | undefined =>
  attribute?.type === 'ints' || attribute?.type === 'floats' ? attribute.value : undefined

/** A node without some attributes and with further inputs at given places; gaps are missing inputs. */
function withInputs(node: Node, drop: readonly string[], inputs: Readonly<Record<number, Value | undefined>>): Node {
  const names = [...node.inputs]
  for (const [index, value] of Object.entries(inputs)) if (value !== undefined) names[Number(index)] = value.name
  for (let i = 0; i < names.length; i++) names[i] ??= ''
  const attributes = Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !drop.includes(name)))
  return { ...node, inputs: names, attributes }
}

type Upgrade = (node: Node, opset: number, state: InferState) => Node | undefined

/** Attributes that became an int64 input. */
const moved =
  (since: number, attribute: string, index: number): Upgrade =>
  (node, opset, { b }) => {
    const values = list(node.attributes[attribute])
    return opset < since && values !== undefined ? withInputs(node, [attribute], { [index]: b.int64s(values) }) : undefined
  }

/** Before opset 13 these operators flattened their input to a matrix at the axis (1 by default). */
const flattening: Upgrade = (node, opset) =>
  opset >= 13
    ? undefined
    : { ...node, attributes: { ...node.attributes, axis: node.attributes['axis'] ?? int(1), flatten: int(1) } }

const upgrades: Readonly<Record<string, Upgrade>> = {
  ...Object.fromEntries(['Squeeze', 'Unsqueeze', 'ReduceSum'].map((op) => [op, moved(13, 'axes', 1)])),
  ...Object.fromEntries(
    ['Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare'].map((op) => [
      `Reduce${op}`,
      moved(18, 'axes', 1),
    ]),
  ),
  Split: (node, opset, state) => {
    const upgraded = moved(13, 'split', 1)(node, opset, state) ?? node
    if (upgraded.inputs[1]) return upgraded === node ? undefined : upgraded
    // The last part is smaller where the length does not divide.
    const shape = state.value(node.inputs[0]!)?.shape
    const axis = number(node.attributes['axis']) ?? 0
    const length = shape?.at(axis)
    if (typeof length === 'number' && length % node.outputs.length !== 0) {
      const each = Math.ceil(length / node.outputs.length)
      const sizes = node.outputs.map((_, i) => Math.max(0, Math.min(each, length - i * each)))
      return withInputs(upgraded, ['num_outputs'], { 1: state.b.int64s(sizes) })
    }
    if (upgraded.attributes['num_outputs'] !== undefined) return upgraded === node ? undefined : upgraded
    return { ...upgraded, attributes: { ...upgraded.attributes, num_outputs: int(node.outputs.length) } }
  },
  ...Object.fromEntries(['Softmax', 'LogSoftmax', 'Hardmax'].map((op) => [op, flattening])),
  Clip: (node, opset, { b, graph }) => {
    if (opset >= 11) return undefined
    const [low, high] = [number(node.attributes['min']), number(node.attributes['max'])]
    const dtype = graph.values.get(node.inputs[0]!)?.dtype ?? 'float32'
    return withInputs(node, ['min', 'max'], {
      1: low === undefined ? undefined : b.scalar(low, dtype),
      2: high === undefined ? undefined : b.scalar(high, dtype),
    })
  },
  Slice: (node, opset, { b }) => {
    const [starts, ends, axes] = ['starts', 'ends', 'axes'].map((name) => list(node.attributes[name]))
    if (opset >= 10 || starts === undefined || ends === undefined) return undefined
    return withInputs(node, ['starts', 'ends', 'axes'], { 1: b.int64s(starts), 2: b.int64s(ends), 3: axes && b.int64s(axes) })
  },
  Pad: (node, opset, { b, graph }) => {
    const pads = list(node.attributes['pads'])
    if (opset >= 11 || pads === undefined) return undefined
    const value = number(node.attributes['value']) ?? 0
    const dtype = graph.values.get(node.inputs[0]!)?.dtype ?? 'float32'
    return withInputs(node, ['pads', 'value'], { 1: b.int64s(pads), 2: value === 0 ? undefined : b.scalar(value, dtype) })
  },
  TopK: (node, opset, { b }) => {
    const k = number(node.attributes['k'])
    return opset < 10 && k !== undefined ? withInputs(node, ['k'], { 1: b.int64s([k]) }) : undefined
  },
  // Scatter is ScatterElements under its old name.
  Scatter: (node) => ({ ...node, op: 'ScatterElements' }),
  Upsample: (node, _opset, { b, graph }) => {
    const scales = list(node.attributes['scales'])
    const given =
      scales === undefined
        ? undefined
        : b.constant({ dtype: 'float32', shape: [scales.length], data: Float32Array.from(scales) }, 'scales')
    const mode = node.attributes['mode'] ?? string('nearest')
    const attributes = { mode, coordinate_transformation_mode: string('asymmetric'), nearest_mode: string('floor') }
    const input = given ?? graph.values.get(node.inputs[1]!)
    return { ...withInputs({ ...node, op: 'Resize', inputs: [node.inputs[0]!] }, [], { 2: input }), attributes }
  },
  Resize: (node, opset) =>
    opset >= 11
      ? undefined
      : {
          ...node,
          inputs: [node.inputs[0]!, '', node.inputs[1]!],
          attributes: { ...node.attributes, coordinate_transformation_mode: string('asymmetric'), nearest_mode: string('floor') },
        },
  GroupNormalization: (node, opset) =>
    opset >= 21 ? undefined : { ...node, attributes: { ...node.attributes, per_group: int(1) } },
  BatchNormalization: (node, opset) => {
    if (opset < 9 && number(node.attributes['spatial']) === 0)
      throw new UnsupportedOpError(`BatchNormalization "${node.name}": spatial = 0 (statistics per position) is not supported`)
    return undefined
  },
  Gemm: (node) => ({
    ...node,
    // Flags that say nothing; alpha and beta may be written as integers.
    attributes: Object.fromEntries(
      Object.entries(node.attributes).filter(([name, a]) => {
        const value = number(a)
        return name === 'alpha' || name === 'beta' ? value !== 1 : value !== 0
      }),
    ),
  }),
  Reshape: (node, _opset, { b }) => {
    const shape = list(node.attributes['shape'])
    if (shape !== undefined && node.inputs.length === 1) return withInputs(node, ['shape'], { 1: b.int64s(shape) })
    return undefined
  },
}

/** The same node in opset 21, or undefined where nothing changed. Constants it needs are added to `state.graph`. */
export function upgradeNode(node: Node, opset: number, state: InferState): Node | undefined {
  if (node.domain !== '') return undefined
  return Object.hasOwn(upgrades, node.op) ? upgrades[node.op]!(node, opset, state) : undefined
}

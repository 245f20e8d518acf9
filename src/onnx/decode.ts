/** @file The bytes of an ONNX `ModelProto` to a graph. */
import { fromBinary } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type ValueInfoProto,
} from 'onnx-buf'
import { InvalidModelError } from '../errors.js'
import { toInt64 } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { dtypeFromOnnx } from '../graph/dtypes.js'
import type { Attribute, Dim, DType, Node, Shape } from '../graph/types.js'
import { decodeTensor } from './decode-tensor.js'
import { checkFunctions, functionKey } from './functions.js'
import { remember, shellOf, type Origin } from './origin.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** Options of {@link decodeModel}. */
export interface DecodeOptions {
  /** Folder of the model file, in which its external data lies. Nothing is read: such weights stay in their files. */
  readonly folder?: string
  /** What the bytes are, for messages; usually the path of the file. */
  readonly source?: string
}

const decodeOptionKeys = { folder: true, source: true } satisfies OptionKeys<DecodeOptions>

/**
 * Decodes an ONNX model.
 *
 * Initializers stay views of `bytes` or references to external files. Shapes are those the file declares: inner values
 * without `value_info` are not in `graph.values` until shape inference adds them. A dimension without a name gets one
 * from its value. Sub-graphs (of `If`, `Loop`, `Scan`), functions of the model's own, doc strings and unknown fields are
 * carried through unchanged.
 *
 * @throws InvalidModelError if the bytes are no ONNX model, are cut off, or contradict themselves
 * @example
 * const graph = decodeModel(await readFile('model.onnx'), { folder: '.', source: 'model.onnx' })
 */
export function decodeModel(bytes: Uint8Array, options: DecodeOptions = {}): Graph {
  checkKeys(options, decodeOptionKeys, 'decodeModel')
  const source = options.source ?? 'ONNX model'
  let model: ModelProto
  try {
    model = fromBinary(ModelProtoSchema, bytes)
  } catch (cause) {
    throw new InvalidModelError(
      `${source}: not an ONNX model, or cut off: ${(cause as Error).message} (${bytes.byteLength} bytes)`,
      { cause },
    )
  }
  const proto = model.graph
  if (proto === undefined || model.opsetImport.length === 0)
    throw new InvalidModelError(
      `${source}: not an ONNX model: it has no ${proto === undefined ? 'graph' : 'operator set version'}`,
    )
  const functions = new Map(model.functions.map((f) => [functionKey(f.domain, f.name, f.overload), f]))
  checkFunctions(functions, source)
  if (proto.sparseInitializer.length > 0)
    throw new InvalidModelError(`${source}: sparse initializers are not supported; store them dense`)

  const graph = new Graph(proto.name)
  graph.opsets.clear()
  for (const { domain, version } of model.opsetImport) graph.opsets.set(normalDomain(domain), Number(version))
  decodeValues(graph, proto, options.folder, source)
  graph.nodes = proto.node.map((node) => decodeNode(node, options.folder, source))
  checkNames(graph, proto, source)
  graph.origin = { model: shellOf(model), functions, folder: options.folder } satisfies Origin
  graph.sort()
  return graph
}

export const normalDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain)

function decodeValues(graph: Graph, proto: GraphProto, folder: string | undefined, source: string): void {
  for (const tensor of proto.initializer)
    graph.addInitializer(tensor.name, remember(decodeTensor(tensor, `${source}: initializer "${tensor.name}"`, folder), tensor))
  for (const info of proto.input) {
    // Old files list initializers among the inputs.
    if (graph.initializers.has(info.name)) continue
    const { dtype, shape } = decodeType(info, `${source}: input "${info.name}"`)
    if (shape === undefined)
      throw new InvalidModelError(`${source}: input "${info.name}" has no rank; export the model with its input shapes`)
    remember(graph.addInput(info.name, dtype, shape), info)
  }
  for (const info of proto.valueInfo) {
    if (graph.values.has(info.name) || info.type?.value.case !== 'tensorType' || info.type.value.value.elemType === 0) continue
    const { dtype, shape } = decodeType(info, `${source}: value "${info.name}"`)
    remember(graph.declare(info.name, dtype, shape), info)
  }
  graph.outputs = proto.output.map((info) => {
    const known = graph.values.get(info.name)
    if (known !== undefined) return known
    const { dtype, shape } = decodeType(info, `${source}: output "${info.name}"`)
    return remember(graph.declare(info.name, dtype, shape), info)
  })
}

function decodeType(info: ValueInfoProto, what: string): { dtype: DType; shape: Shape | undefined } {
  const type = info.type?.value
  if (type?.case !== 'tensorType')
    throw new InvalidModelError(`${what} is no tensor (${type?.case ?? 'no type'}); only tensors are supported`)
  const dtype = dtypeFromOnnx(type.value.elemType)
  if (dtype === undefined)
    throw new InvalidModelError(`${what} has element type number ${type.value.elemType}, which is not supported`)
  const shape = type.value.shape?.dim.map(({ value }, axis): Dim => {
    if (value.case === 'dimParam' && value.value !== '') return value.value
    if (value.case === 'dimValue' && value.value >= 0n) return Number(value.value)
    return `${info.name}.${axis}`
  })
  return { dtype, shape }
}

export function decodeNode(proto: NodeProto, folder: string | undefined, source: string): Node {
  const name = proto.name === '' ? (proto.output[0] ?? proto.opType) : proto.name
  const where = `${source}: ${proto.opType} "${name}"`
  if (proto.opType === '') throw new InvalidModelError(`${source}: node "${name}" has no operator; the file is damaged`)
  const node: Node = {
    op: proto.opType,
    domain: normalDomain(proto.domain),
    name,
    inputs: [...proto.input],
    outputs: [...proto.output],
    ...(proto.overload !== '' && { overload: proto.overload }),
    attributes: Object.fromEntries(
      proto.attribute.map((a) => [a.name, decodeAttribute(a, `${where}, attribute "${a.name}"`, folder)]),
    ),
    ...(proto.metadataProps.length > 0 && {
      metadata: Object.fromEntries(proto.metadataProps.map(({ key, value }) => [key, value])),
    }),
  }
  return remember(node, proto)
}

export function decodeAttribute(proto: AttributeProto, what: string, folder: string | undefined): Attribute {
  return remember(attributeOf(proto, what, folder), proto)
}

function attributeOf(proto: AttributeProto, what: string, folder: string | undefined): Attribute {
  const opaque: Attribute = { type: 'opaque', value: proto }
  if (proto.refAttrName !== '') return opaque
  switch (proto.type) {
    case AttributeType.INT:
      return isHeld(proto.i) ? { type: 'int', value: Number(proto.i) } : opaque
    case AttributeType.FLOAT:
      return { type: 'float', value: proto.f }
    case AttributeType.INTS:
      return proto.ints.every(isHeld) ? { type: 'ints', value: proto.ints.map(Number) } : opaque
    case AttributeType.FLOATS:
      return { type: 'floats', value: proto.floats }
    case AttributeType.STRING: {
      const value = text(proto.s)
      return value === undefined ? opaque : { type: 'string', value }
    }
    case AttributeType.STRINGS: {
      const values = proto.strings.map(text)
      return values.every((v) => v !== undefined) ? { type: 'strings', value: values } : opaque
    }
    case AttributeType.TENSOR:
      if (proto.t === undefined) throw new InvalidModelError(`${what} has no tensor; the file is damaged`)
      return dtypeFromOnnx(proto.t.dataType) === 'string'
        ? opaque
        : { type: 'tensor', value: decodeTensor(proto.t, what, folder) }
    default:
      return opaque
  }
}

/**
 * Whether a number holds the integer so that it is the same on the way back; the bounds of int64, which mean "to the end" in
 * slices, are written again as they were.
 */
const isHeld = (value: bigint): boolean => Number.isSafeInteger(Number(value)) || toInt64(Number(value)) === value

/** Bytes as text, undefined if they are not UTF-8 (some operators keep binary data in strings). */
function text(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Every value that is read exists, and is written once. */
function checkNames(graph: Graph, proto: GraphProto, source: string): void {
  const written = new Set([...graph.inputs.map((i) => i.name), ...graph.initializers.keys()])
  for (const node of graph.nodes)
    for (const output of node.outputs) {
      if (output === '') continue
      if (written.has(output))
        throw new InvalidModelError(`${source}: value "${output}" is written twice, again by ${node.op} "${node.name}"`)
      written.add(output)
    }
  for (const node of graph.nodes)
    for (const input of node.inputs)
      if (input !== '' && !written.has(input))
        throw new InvalidModelError(`${source}: ${node.op} "${node.name}" reads "${input}", which nothing provides`)
  for (const { name } of proto.output)
    if (!written.has(name)) throw new InvalidModelError(`${source}: output "${name}" is not computed by any node`)
}

/** @file Graph to the bytes of an ONNX `ModelProto`. */
import { create, toBinary } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
  ValueInfoProtoSchema,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf'
import { bytesOf, toInt64 } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import { dtypeToOnnx } from '../graph/dtypes.js'
import { isFileTensor, type Attribute, type Initializer, type Node, type Value } from '../graph/types.js'
import { changed, messageOf, originOf } from './origin.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** Where the encoder says a file tensor lies: the `location` of ONNX external data, relative to the model. */
export type Locate = (path: string) => string

const IR_VERSION = 10n

/** What was read and still lies in memory goes back as it was; of a tensor in a file the place may be another. */
function encodeTensor(name: string, tensor: Initializer, locate: Locate): TensorProto {
  const read = messageOf<TensorProto>(tensor)
  if (read === undefined) return plainTensor(name, tensor, locate)
  if (!isFileTensor(tensor)) return read.name === name ? read : changed(read, { name })
  const location = locate(tensor.file.path)
  const externalData = read.externalData.map((entry) => (entry.key === 'location' ? changed(entry, { value: location }) : entry))
  return changed(read, { ...(read.name !== name && { name }), externalData })
}

function plainTensor(name: string, tensor: Initializer, locate: Locate): TensorProto {
  const dims = tensor.shape.map(BigInt)
  const dataType = dtypeToOnnx(tensor.dtype)
  if (!isFileTensor(tensor)) {
    return create(TensorProtoSchema, { name, dims, dataType, rawData: bytesOf(tensor) as Uint8Array<ArrayBuffer> })
  }
  const { path, offset, length } = tensor.file
  return create(TensorProtoSchema, {
    name,
    dims,
    dataType,
    dataLocation: DataLocation.EXTERNAL,
    externalData: [
      { key: 'location', value: locate(path) },
      { key: 'offset', value: String(offset) },
      { key: 'length', value: String(length) },
    ],
  })
}

function encodeAttribute(name: string, attribute: Attribute, locate: Locate): AttributeProto {
  const read = messageOf<AttributeProto>(attribute)
  if (read === undefined || read.name !== name) return plainAttribute(name, attribute, locate)
  return attribute.type === 'tensor' ? changed(read, { t: encodeTensor(read.t?.name ?? '', attribute.value, locate) }) : read
}

function plainAttribute(name: string, attribute: Attribute, locate: Locate): AttributeProto {
  const utf8 = new TextEncoder()
  switch (attribute.type) {
    case 'int':
      return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: toInt64(attribute.value) })
    case 'float':
      return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: attribute.value })
    case 'string':
      return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: utf8.encode(attribute.value) })
    case 'ints':
      return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: attribute.value.map(toInt64) })
    case 'floats':
      return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: [...attribute.value] })
    case 'strings':
      return create(AttributeProtoSchema, {
        name,
        type: AttributeType.STRINGS,
        strings: attribute.value.map((s) => utf8.encode(s)),
      })
    case 'tensor':
      return create(AttributeProtoSchema, { name, type: AttributeType.TENSOR, t: encodeTensor('', attribute.value, locate) })
    case 'opaque':
      return attribute.value as AttributeProto
  }
}

const inFile = (attribute: Attribute): boolean => attribute.type === 'tensor' && isFileTensor(attribute.value)

function encodeNode(node: Node, locate: Locate): NodeProto {
  const attribute = (): AttributeProto[] => Object.entries(node.attributes).map(([name, a]) => encodeAttribute(name, a, locate))
  const read = messageOf<NodeProto>(node)
  if (read !== undefined) return Object.values(node.attributes).some(inFile) ? changed(read, { attribute: attribute() }) : read
  return create(NodeProtoSchema, {
    opType: node.op,
    domain: node.domain,
    name: node.name,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: attribute(),
    ...(node.overload !== undefined && { overload: node.overload }),
    metadataProps: Object.entries(node.metadata ?? {}).map(([key, value]) => ({ key, value })),
  })
}

function encodeValue(value: Value): ValueInfoProto {
  const read = messageOf<ValueInfoProto>(value)
  if (read !== undefined) return read
  return create(ValueInfoProtoSchema, {
    name: value.name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: dtypeToOnnx(value.dtype),
          ...(value.shape !== undefined && {
            shape: {
              dim: value.shape.map((dim) => ({
                value:
                  typeof dim === 'number'
                    ? { case: 'dimValue' as const, value: BigInt(dim) }
                    : { case: 'dimParam' as const, value: dim },
              })),
            },
          }),
        },
      },
    },
  })
}

/** Options of {@link encodeModel}. */
export interface EncodeOptions {
  /** Results of graphs that lowrank built are declared with their shapes, as others may want to know them. */
  readonly outputShapes?: boolean
  /**
   * So are values inside of such graphs, unless their shapes were inferred from a file. The names of their lengths tell the
   * runtime which have the same size, so that one may be written over the other; of itself it loses them at the first
   * reshape.
   */
  readonly innerShapes?: boolean
}

const encodeOptionKeys = { outputShapes: true, innerShapes: true } satisfies OptionKeys<EncodeOptions>

/**
 * Encodes a graph as an ONNX model. Weights in files are referenced, never read. What a decoded model said beside its
 * graph (functions, notes, doc strings, unknown fields) is written back.
 *
 * @param locate gives the external-data location of a file, relative to the folder the runtime is told.
 * @example
 * await writeFile('model.onnx', encodeModel(graph))
 */
export function encodeModel(graph: Graph, locate: Locate = (path) => path, options: EncodeOptions = {}): Uint8Array {
  checkKeys(options, encodeOptionKeys, 'encodeModel')
  const { outputShapes = false, innerShapes = false } = options
  const origin = originOf(graph)
  const fields = {
    input: graph.inputs.map(encodeValue),
    initializer: [...graph.initializers].map(([name, tensor]) => encodeTensor(name, tensor, locate)),
    node: graph.nodes.map((node) => encodeNode(node, locate)),
  }
  const opsetImport = [...graph.opsets].map(([domain, version]) => ({ domain, version: BigInt(version) }))
  if (origin !== undefined) return toBinary(ModelProtoSchema, withOrigin(graph, origin.model, fields, opsetImport))
  // The run decides the lengths of results: a symbolic sum such as "1+cache" means nothing to the runtime.
  const output = graph.outputs.map((o) => encodeValue(outputShapes ? o : { ...o, shape: undefined }))
  const valueInfo = innerShapes && !graph.inferred ? innerValues(graph).map(encodeValue) : []
  const model = {
    irVersion: IR_VERSION,
    producerName: 'lowrank',
    opsetImport,
    graph: create(GraphProtoSchema, { name: graph.name, ...fields, output, valueInfo }),
  }
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, model))
}

/** What nodes give to one another, as far as its shape is known. */
function innerValues(graph: Graph): Value[] {
  const results = new Set(graph.outputs.map(({ name }) => name))
  return graph.nodes.flatMap(({ op, outputs }) =>
    // In which element type a normalisation gives its statistics is for the runtime to say.
    outputs.slice(0, op.endsWith('LayerNormalization') ? 1 : undefined).flatMap((name) => {
      const value = name === '' || results.has(name) ? undefined : graph.values.get(name)
      return value?.shape === undefined ? [] : [value]
    }),
  )
}

/** The model that was read with the graph as it is now. */
function withOrigin(
  graph: Graph,
  model: ModelProto,
  fields: Pick<GraphProto, 'input' | 'initializer' | 'node'>,
  opsets: readonly { domain: string; version: bigint }[],
): ModelProto {
  const read = model.graph!
  const same = new Map(read.output.map((info) => [info.name, info]))
  // Old files list weights among the inputs: as inputs that have a default.
  const defaults = read.input.filter(({ name }) => graph.initializers.has(name))
  const declared = read.valueInfo.filter(({ name }) => {
    const value = graph.values.get(name)
    return messageOf(graph.initializers.get(name) ?? value ?? read) !== undefined || value === undefined
  })
  const proto = changed(read, {
    ...fields,
    ...(read.name !== graph.name && { name: graph.name }),
    input: [...fields.input, ...defaults],
    output: graph.outputs.map((value) => same.get(value.name) ?? encodeValue({ ...value, shape: undefined })),
    valueInfo: declared,
  })
  const kept = new Map(model.opsetImport.map((entry) => [entry.domain === 'ai.onnx' ? '' : entry.domain, entry]))
  const opsetImport = opsets.map(({ domain, version }) => {
    const entry = kept.get(domain)
    return entry?.version === version ? entry : create(OperatorSetIdProtoSchema, { domain, version })
  })
  return changed(model, { graph: proto, opsetImport })
}

/** @file Graph to the bytes of an ONNX `ModelProto`. */
import { create, toBinary } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
  ValueInfoProtoSchema,
  type AttributeProto,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf'
import { bytesOf } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import { dtypeToOnnx } from '../graph/infer.js'
import { isFileTensor, type Attribute, type Initializer, type Value } from '../graph/types.js'

/** Where the encoder says a file tensor lies: the `location` of ONNX external data, relative to the model. */
export type Locate = (path: string) => string

const IR_VERSION = 10n

function encodeTensor(name: string, tensor: Initializer, locate: Locate): TensorProto {
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
  const utf8 = new TextEncoder()
  switch (attribute.type) {
    case 'int':
      return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(attribute.value) })
    case 'float':
      return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: attribute.value })
    case 'string':
      return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: utf8.encode(attribute.value) })
    case 'ints':
      return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: attribute.value.map(BigInt) })
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

function encodeValue(value: Value): ValueInfoProto {
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

/**
 * Encodes a graph as an ONNX model. Weights in files are referenced, never read.
 *
 * @param locate gives the external-data location of a file, relative to the folder the runtime is told.
 */
export function encodeModel(graph: Graph, locate: Locate = (path) => path): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: 'lowrank',
      opsetImport: [...graph.opsets].map(([domain, version]) => ({ domain, version: BigInt(version) })),
      graph: create(GraphProtoSchema, {
        name: graph.name,
        input: graph.inputs.map(encodeValue),
        // The run decides the lengths of results: a symbolic sum such as "1+cache" means nothing to the runtime.
        output: graph.outputs.map((o) => encodeValue({ ...o, shape: undefined })),
        initializer: [...graph.initializers].map(([name, tensor]) => encodeTensor(name, tensor, locate)),
        node: graph.nodes.map((node) =>
          create(NodeProtoSchema, {
            opType: node.op,
            domain: node.domain,
            name: node.name,
            input: [...node.inputs],
            output: [...node.outputs],
            attribute: Object.entries(node.attributes).map(([name, attribute]) => encodeAttribute(name, attribute, locate)),
            metadataProps: Object.entries(node.metadata ?? {}).map(([key, value]) => ({ key, value })),
          }),
        ),
      }),
    }),
  )
}

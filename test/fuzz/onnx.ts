/** @file Mutations of ONNX models field by field: shapes, places of weights, edges, functions, sub-graphs. */
import { clone, create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type ModelProto,
} from 'onnx-buf'
import type { Random } from './random.js'

const numbers = [0n, 1n, -1n, 2n, 3n, 1n << 31n, 1n << 40n, (1n << 63n) - 1n, -(1n << 63n)]
export const outside = [
  '../../etc/passwd',
  '/etc/passwd',
  'a/../../x',
  '..\\x',
  'C:\\x',
  '',
  'x\0y',
  'link/passwd',
  'file:///etc/passwd',
  './..',
]
const names = ['__proto__', 'constructor', 'toString', '', 'x'.repeat(5000), '../x']
const ops = ['If', 'Loop', 'Scan', 'Constant', 'ConstantOfShape', 'Range', 'Expand', 'Tile', 'Reshape', 'Transpose', 'Pad', 'Slice', 'Resize', 'Einsum', 'OneHot', 'Shape', 'Concat', 'Split', 'Gather', 'MatMulNBits', 'DequantizeLinear', 'Conv', 'Gemm', 'toString', '__proto__'] // prettier-ignore

type Edit = (model: ModelProto, graph: GraphProto, random: Random) => void

const edits: readonly Edit[] = [
  (_, { initializer }, random) => {
    const tensor = random.pick(initializer)
    if (tensor === undefined) return
    if (random.below(3) === 0) tensor.dims.push(random.pick(numbers))
    else if (tensor.dims.length > 0) tensor.dims[random.below(tensor.dims.length)] = random.pick(numbers)
    if (random.below(2) === 0) tensor.rawData = new Uint8Array()
  },
  (_, { initializer }, random) => {
    const tensor = random.pick(initializer)
    if (tensor === undefined) return
    const entry = (key: string, value: string) => ({ $typeName: 'onnx.StringStringEntryProto' as const, key, value })
    tensor.dataLocation = DataLocation.EXTERNAL
    tensor.rawData = new Uint8Array()
    tensor.externalData = [
      entry('location', random.pick([...outside, 'weights.bin'])),
      entry('offset', random.pick(['0', '-8', '1e3', '9'.repeat(30), '64'])),
      ...(random.below(2) === 0 ? [entry('length', random.pick(['0', '-1', '16', '9007199254740992']))] : []),
    ]
  },
  (_, { initializer }, random) => {
    const tensor = random.pick(initializer)
    if (tensor !== undefined) tensor.dataType = random.below(30)
  },
  (_, { initializer }, random) => {
    // Shape operands become other numbers.
    const tensor = random.pick(initializer.filter((t) => t.dataType === 7 && t.rawData.length >= 8))
    if (tensor === undefined) return
    tensor.rawData = tensor.rawData.slice()
    new DataView(tensor.rawData.buffer).setBigInt64(8 * random.below(tensor.rawData.length >> 3), random.pick(numbers), true)
  },
  (_, { input, output, valueInfo }, random) => {
    const info = random.pick([...input, ...output, ...valueInfo])
    if (info?.type?.value.case !== 'tensorType') return
    const { value } = info.type
    if (random.below(4) === 0) value.value.elemType = random.below(30)
    else {
      const dim = random.pick(value.value.shape?.dim ?? [])
      if (dim === undefined) delete value.value.shape
      else dim.value = random.pick([{ case: 'dimValue', value: random.pick(numbers) }, { case: 'dimParam', value: random.pick(['(', 'a*b', '(a+', '·', '*', ...names]) }, { case: undefined }]) // prettier-ignore
    }
  },
  // Edges: circles, values that nobody makes, and values made twice.
  (_, { node }, random) => {
    const [from, to] = [random.pick(node), random.pick(node)]
    if (from === undefined || to === undefined) return
    const name = random.pick([...from.output, ...names])
    if (random.below(3) === 0) to.output[random.below(to.output.length + 1)] = name
    else to.input[random.below(to.input.length + 1)] = name
  },
  (_, { node }, random) => {
    const one = random.pick(node)
    if (one === undefined) return
    if (random.below(2) === 0) one.input.splice(random.below(one.input.length + 1), 1)
    else one.output.splice(random.below(one.output.length + 1), 1)
  },
  (_, { node }, random) => {
    const one = random.pick(node)
    if (one === undefined) return
    one.opType = random.pick(ops)
    if (random.below(4) === 0) one.domain = random.pick(['com.microsoft', '', 'x', '__proto__'])
  },
  (_, { node }, random) => {
    const attribute = random.pick(node.flatMap((n) => n.attribute))
    if (attribute === undefined) return
    const kind = random.below(5)
    if (kind === 0) attribute.type = random.below(15)
    else if (kind === 1) attribute.name = random.pick(names)
    else if (kind === 2) attribute.i = random.pick(numbers)
    else if (kind === 3) attribute.ints[random.below(attribute.ints.length + 1)] = random.pick(numbers)
    else attribute.f = random.pick([NaN, Infinity, -0, 1e38])
  },
  ({ opsetImport }, _, random) => {
    const opset = random.pick(opsetImport)
    if (opset !== undefined) opset.version = random.pick([...numbers, 7n, 9n, 11n, 13n, 21n, 99n])
  },
  // Functions that call themselves, each other, or twice the next one.
  (model, graph, random) => {
    const depth = random.pick([1, 2, 30, 100, 400])
    const twice = random.below(2) === 0
    const end = random.below(2)
    const call = (i: number, output: string) =>
      create(NodeProtoSchema, { opType: `F${i}`, domain: 'f', input: ['x'], output: [output] })
    for (let i = 0; i < depth; i++) {
      const next = (i + 1) % (depth + end)
      model.functions.push(
        create(FunctionProtoSchema, { name: `F${i}`, domain: 'f', input: ['x'], output: ['y'], node: [call(next, 'y'), ...(twice ? [call(next, 'z')] : [])] }), // prettier-ignore
      )
    }
    const first = graph.input[0]
    if (first !== undefined)
      graph.node.push(create(NodeProtoSchema, { opType: 'F0', domain: 'f', input: [first.name], output: ['f0'] }))
  },
  // Sub-graphs in sub-graphs.
  (_, graph, random) => {
    let inner = create(GraphProtoSchema, { name: 'g' })
    for (let depth = random.pick([1, 5, 50, 300]); depth > 0; depth--) {
      const branch = (name: string) => create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g: inner })
      inner = create(GraphProtoSchema, { name: 'g', node: [create(NodeProtoSchema, { opType: 'If', input: ['c'], output: [`if${depth}`], attribute: [branch('then_branch')] })], output: [{ name: `if${depth}` }] }) // prettier-ignore
    }
    const condition = create(NodeProtoSchema, { opType: 'Constant', output: ['c'], attribute: [{ name: 'value', type: AttributeType.TENSOR, t: { dataType: 9, rawData: new Uint8Array([1]) } }] }) // prettier-ignore
    graph.node.push(condition, ...inner.node)
  },
  // A long chain.
  (_, graph, random) => {
    let value = graph.input[0]?.name
    if (value === undefined || random.below(10) > 0) return
    for (let i = 0; i < 3000; i++) {
      graph.node.push(
        create(NodeProtoSchema, { opType: random.pick(['Relu', 'Identity', 'Shape']), input: [value], output: [`chain${i}`] }),
      )
      value = `chain${i}`
    }
  },
  // Values of a constant size beyond all memory.
  (_, graph, random) => {
    const huge = create(NodeProtoSchema, { opType: 'Constant', output: ['huge'], attribute: [{ name: 'value', type: AttributeType.TENSOR, t: { dataType: 7, dims: [2n], int64Data: [1n << 31n, random.pick([1n, 64n, 1n << 31n])] } }] }) // prettier-ignore
    graph.node.push(huge, create(NodeProtoSchema, { opType: 'ConstantOfShape', input: ['huge'], output: ['zeros'] }))
  },
]

/** Decoding costs more than most cases. */
const decoded = new WeakMap<Uint8Array, ModelProto>()

/** The model with one to three edits of its fields. */
export function mutateOnnx(bytes: Uint8Array, random: Random): Uint8Array {
  const known = decoded.get(bytes) ?? fromBinary(ModelProtoSchema, bytes)
  decoded.set(bytes, known)
  const model = clone(ModelProtoSchema, known)
  for (let left = 1 + random.below(3); left > 0; left--) random.pick(edits)(model, model.graph!, random)
  return toBinary(ModelProtoSchema, model)
}

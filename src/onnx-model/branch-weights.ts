/** @file Weights that a file holds in the branches of its `If`s: found and replaced in the messages that were read. */
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from 'onnx-buf'
import type { Graph } from '../graph/graph.js'
import { isFileTensor, type FileTensor, type Node } from '../graph/types.js'
import { firstOf, type BranchPlace, type BranchStep } from '../lower/inline-if.js'
import { decodeTensor } from '../onnx/decode-tensor.js'
import { changed, messageOf, originOf, remember } from '../onnx/origin.js'
import type { StoredWeight } from './locate.js'

/** The node of the file's graph that a place lies in. */
const outermost = (graph: Graph, { path: [step] }: BranchPlace): Node | undefined =>
  graph.nodes.find(({ outputs }) => firstOf(outputs) === step!.node)

const subgraphOf = (node: Node, attribute: string): AttributeProto | undefined => {
  const found = node.attributes[attribute]
  return found?.type === 'opaque' ? (found.value as AttributeProto) : undefined
}

const valueOf = ({ attribute }: NodeProto): TensorProto | undefined => attribute.find(({ name }) => name === 'value')?.t

function tensorAt(graph: GraphProto | undefined, rest: readonly BranchStep[], place: BranchPlace): TensorProto | undefined {
  const [step, ...further] = rest
  if (step === undefined)
    return place.kind === 'initializer'
      ? graph?.initializer[place.index]
      : graph?.node[place.index] && valueOf(graph.node[place.index]!)
  const inner = graph?.node[step.node as number]?.attribute.find(({ name }) => name === step.attribute)
  return tensorAt(inner?.g, further, place)
}

/** The constant at a place; undefined where the file's graph has no such node: it came out of a function. */
export function branchWeight(graph: Graph, name: string, place: BranchPlace): StoredWeight | undefined {
  const node = outermost(graph, place)
  const message = node && tensorAt(subgraphOf(node, place.path[0]!.attribute)?.g, place.path.slice(1), place)
  if (message === undefined) return undefined
  const tensor = remember(decodeTensor(message, `"${name}"`, originOf(graph)?.folder), message)
  return { name, tensor, transposed: false, constant: undefined, place }
}

const replaced = <T>(list: readonly T[], index: number, change: (item: T) => T): T[] =>
  list.map((item, i) => (i === index ? change(item) : item))

const withTensor = (node: NodeProto, t: TensorProto): NodeProto =>
  changed(node, { attribute: node.attribute.map((a) => (a.name === 'value' ? changed(a, { t }) : a)) })

function withTensorAt(graph: GraphProto, rest: readonly BranchStep[], place: BranchPlace, t: TensorProto): GraphProto {
  const [step, ...further] = rest
  if (step === undefined)
    return place.kind === 'initializer'
      ? changed(graph, { initializer: replaced(graph.initializer, place.index, () => t) })
      : changed(graph, { node: replaced(graph.node, place.index, (node) => withTensor(node, t)) })
  const inside = (a: AttributeProto): AttributeProto =>
    a.name === step.attribute ? changed(a, { g: withTensorAt(a.g!, further, place, t) }) : a
  return changed(graph, {
    node: replaced(graph.node, step.node as number, (node) => changed(node, { attribute: node.attribute.map(inside) })),
  })
}

/** Puts a tensor in place of one in a branch; everything around it stays. */
export function replaceInBranch(graph: Graph, place: BranchPlace, tensor: TensorProto): void {
  const [{ attribute: name }, ...rest] = place.path as [BranchStep, ...BranchStep[]]
  const node = outermost(graph, place)!
  const before = subgraphOf(node, name)!
  const value = changed(before, { g: withTensorAt(before.g!, rest, place, tensor) })
  const copy: Node = { ...node, attributes: { ...node.attributes, [name]: { type: 'opaque', value } } }
  const read = messageOf<NodeProto>(node)
  if (read !== undefined) remember(copy, changed(read, { attribute: read.attribute.map((a) => (a.name === name ? value : a)) }))
  graph.nodes = graph.nodes.map((other) => (other === node ? copy : other))
}

/** Constants in sub-graphs that lie in other files. */
export function branchFiles(graph: Graph): FileTensor[] {
  const folder = originOf(graph)?.folder
  const found: FileTensor[] = []
  const note = (message: TensorProto | undefined): void => {
    if (message === undefined || message.externalData.length === 0) return
    const tensor = decodeTensor(message, `"${message.name}"`, folder)
    if (isFileTensor(tensor)) found.push(tensor)
  }
  const open = graph.nodes.flatMap(({ attributes }) =>
    Object.values(attributes).flatMap((a) => (a.type === 'opaque' ? [a.value as AttributeProto] : [])),
  )
  for (let next = open.pop(); next !== undefined; next = open.pop())
    for (const g of [next.g, ...(next.graphs ?? [])]) {
      g?.initializer.forEach(note)
      for (const { attribute } of g?.node ?? [])
        for (const a of attribute) {
          note(a.t)
          open.push(a)
        }
    }
  return found
}

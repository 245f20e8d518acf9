/** @file Sub-graphs and functions as nodes of the graph around them, under names of their own. */
import type { AttributeProto, FunctionProto, GraphProto } from 'onnx-buf'
import { InvalidModelError } from '../errors.js'
import type { Attribute, Initializer, Node } from '../graph/types.js'
import { decodeAttribute, decodeNode, normalDomain } from './decode.js'
import { decodeTensor } from './decode-tensor.js'

/** Nodes that take the place of one; they may read values of the graph around them. Nodes and constants are in the body's order. */
export interface Inlined {
  readonly nodes: readonly Node[]
  readonly initializers: ReadonlyMap<string, Initializer>
  readonly outputs: readonly string[]
}

/** What names and attribute references mean where a body stands. */
interface Scope {
  readonly rename: (name: string) => string
  /** Attributes of the function call around, for `ref_attr_name`. */
  readonly bindings: ReadonlyMap<string, Attribute>
  readonly opset: number | undefined
}

const outermost: Scope = { rename: (name) => name, bindings: new Map(), opset: undefined }

/** A sub-graph inside a body that was inlined: its names mean what they mean there. */
class ScopedGraph {
  constructor(
    readonly attribute: AttributeProto,
    readonly scope: Scope,
  ) {}
}

const isReference = (attribute: Attribute): string | undefined => {
  if (attribute.type !== 'opaque' || attribute.value instanceof ScopedGraph) return undefined
  const { refAttrName } = attribute.value as AttributeProto
  return refAttrName === '' ? undefined : refAttrName
}

function bound(attribute: Attribute, scope: Scope): Attribute | undefined {
  const reference = isReference(attribute)
  if (reference !== undefined) return scope.bindings.get(reference)
  if (attribute.type !== 'opaque') return attribute
  const proto = attribute.value as AttributeProto
  return proto.g === undefined ? attribute : { type: 'opaque', value: new ScopedGraph(proto, scope) }
}

function place(node: Node, scope: Scope, path: string): Node {
  const attributes = Object.entries(node.attributes).flatMap(([name, attribute]) => {
    const value = bound(attribute, scope)
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    ...node,
    name: path === '' ? node.name : `${path}/${node.name}`,
    inputs: node.inputs.map(scope.rename),
    outputs: node.outputs.map(scope.rename),
    attributes: Object.fromEntries(attributes),
    ...(scope.opset !== undefined && { opset: scope.opset }),
  }
}

/** Values have unique names, nodes need not: what is inlined is called after the first value of its node. */
const prefixOf = (node: Node): string => node.outputs.find((name) => name !== '') ?? node.name

/** Weights and biases of layers, whose names say what layers are called. */
const NAMED = /^\w[\w.]*\.(weight|bias)$/

/**
 * The nodes of a sub-graph, such as the branch that an `If` takes.
 * @param attribute the opaque attribute that `decodeModel` carried through
 * @param isFree whether a weight may keep its name; other values get names of their own, since branches may share them
 * @throws InvalidModelError if it is no sub-graph
 */
export function inlineSubgraph(
  attribute: unknown,
  node: Node,
  folder: string | undefined,
  isFree: (name: string) => boolean = () => false,
): Inlined {
  const [proto, around] =
    attribute instanceof ScopedGraph ? [attribute.attribute.g, attribute.scope] : [(attribute as AttributeProto).g, outermost]
  if (proto === undefined) throw new InvalidModelError(`"${node.name}" has no sub-graph; the file is damaged`)
  return body(proto, node, folder, around, isFree)
}

function body(
  proto: GraphProto,
  node: Node,
  folder: string | undefined,
  around: Scope,
  isFree: (name: string) => boolean,
): Inlined {
  const decoded = proto.node.map((n) => decodeNode(n, folder, node.name))
  const initializers = proto.initializer.map(
    (t) => [t.name, decodeTensor(t, `"${node.name}": initializer "${t.name}"`, folder)] as const,
  )
  const own = new Set([...initializers.map(([name]) => name), ...decoded.flatMap((n) => n.outputs)])
  const prefix = prefixOf(node)
  const constants = [...initializers.map(([name]) => name), ...decoded.flatMap((n) => (n.op === 'Constant' ? n.outputs : []))]
  const kept = new Set(constants.filter((name) => NAMED.test(name) && isFree(name)))
  const scope = {
    ...around,
    rename: (name: string): string =>
      name === '' || kept.has(name) ? name : own.has(name) ? `${prefix}/${name}` : around.rename(name),
  }
  return {
    nodes: decoded.map((n) => place(n, scope, '')),
    initializers: new Map(initializers.map(([name, tensor]) => [scope.rename(name), tensor])),
    outputs: proto.output.map((o) => scope.rename(o.name)),
  }
}

/**
 * The nodes of a function where it is called: its formal inputs and attributes are the call's.
 * @throws InvalidModelError if the call passes more than the function takes
 */
export function inlineFunction(definition: FunctionProto, call: Node, folder: string | undefined): Inlined {
  const where = `function "${definition.name}", called by "${call.name}"`
  if (call.inputs.length > definition.input.length || call.outputs.length > definition.output.length)
    throw new InvalidModelError(
      `${where}: ${call.inputs.length} inputs and ${call.outputs.length} outputs, it has ${definition.input.length} and ${definition.output.length}`,
    )
  // A missing optional input is missing wherever the body reads it.
  const formal = new Map(definition.input.map((name, i) => [name, call.inputs[i] ?? '']))
  const prefix = prefixOf(call)
  const bindings = new Map<string, Attribute>()
  for (const attribute of definition.attributeProto)
    bindings.set(attribute.name, decodeAttribute(attribute, `${where}, attribute "${attribute.name}"`, folder))
  for (const name of [...definition.attribute, ...bindings.keys()]) {
    const given = Object.hasOwn(call.attributes, name) ? call.attributes[name] : undefined
    if (given !== undefined) bindings.set(name, given)
  }
  const version = definition.opsetImport.find(({ domain }) => normalDomain(domain) === '')?.version
  const scope: Scope = {
    rename: (name) => (name === '' ? '' : (formal.get(name) ?? `${prefix}/${name}`)),
    bindings,
    opset: version === undefined ? call.opset : Number(version),
  }
  const nodes = definition.node.map((n) => place(decodeNode(n, folder, where), scope, call.name))
  return { nodes, initializers: new Map(), outputs: definition.output.map(scope.rename) }
}

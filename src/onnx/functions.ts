/** @file Functions of a model's own: an operator that the file itself defines by a graph. */
import type { AttributeProto, FunctionProto, NodeProto } from 'onnx-buf'
import { InvalidModelError } from '../errors.js'

/** Functions are told apart by domain, name and overload. */
export const functionKey = (domain: string, name: string, overload = ''): string =>
  `${domain === 'ai.onnx' ? '' : domain}.${name}${overload === '' ? '' : `:${overload}`}`

/** Deepest nesting of functions; exporters write a few levels, and each level is a call of ours. */
const MAX_DEPTH = 64

/** Largest number of nodes that functions may unfold to: a small file of functions that call each other twice has no end. */
const MAX_NODES = 1_000_000

function* nodesOf(nodes: readonly NodeProto[]): Generator<NodeProto> {
  const open = [...nodes]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node
    for (const attribute of node.attribute as readonly AttributeProto[]) {
      for (const graph of [...(attribute.g === undefined ? [] : [attribute.g]), ...attribute.graphs])
        for (const inner of graph.node) open.push(inner)
    }
  }
}

/**
 * @throws InvalidModelError if functions call each other in a circle, nest too deeply or unfold to too much
 */
export function checkFunctions(functions: ReadonlyMap<string, FunctionProto>, source: string): void {
  const sizes = new Map<string, number>()
  const open = new Set<string>()
  const sizeOf = (key: string, definition: FunctionProto): number => {
    const known = sizes.get(key)
    if (known !== undefined) return known
    if (open.has(key)) throw new InvalidModelError(`${source}: function "${definition.name}" calls itself; the file is damaged`)
    if (open.size >= MAX_DEPTH)
      throw new InvalidModelError(`${source}: functions nest more than ${MAX_DEPTH} deep at "${definition.name}"`)
    open.add(key)
    let size = 1
    for (const node of nodesOf(definition.node)) {
      const calledKey = functionKey(node.domain, node.opType, node.overload)
      const called = functions.get(calledKey)
      size += called === undefined ? 1 : sizeOf(calledKey, called)
    }
    if (size > MAX_NODES)
      throw new InvalidModelError(`${source}: function "${definition.name}" unfolds to more than ${MAX_NODES} nodes`)
    open.delete(key)
    sizes.set(key, size)
    return size
  }
  for (const [key, definition] of functions) sizeOf(key, definition)
}

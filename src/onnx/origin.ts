/** @file What a model file says beside its graph, so that what was read and not changed is written back as it was. */
import type { FunctionProto, ModelProto } from 'onnx-buf'
import type { Graph } from '../graph/graph.js'

/** Carried by a decoded graph and its clones. A graph that was built or lowered has none. */
export interface Origin {
  /** The message read, without nodes, weights and values. */
  readonly model: ModelProto
  /** Functions of the model's own, by `functionKey`. */
  readonly functions: ReadonlyMap<string, FunctionProto>
  readonly folder: string | undefined
}

export const originOf = (graph: Graph): Origin | undefined => graph.origin as Origin | undefined

/**
 * The message that a value, tensor, node or attribute was read from. Those objects never change, so whoever still holds
 * one may write its message back; a changed copy has none. Nothing is kept alive by this.
 */
const messages = new WeakMap<object, unknown>()

export function remember<T extends object>(decoded: T, message: unknown): T {
  messages.set(decoded, message)
  return decoded
}

export const messageOf = <M>(decoded: object): M | undefined => messages.get(decoded) as M | undefined

const shallow = <T extends object>(message: T, changes: Partial<T>): T =>
  Object.assign(Object.create(Object.getPrototypeOf(message) as object) as T, message, changes)

/** The model without what the graph holds. */
export function shellOf(model: ModelProto): ModelProto {
  const graph = shallow(model.graph!, { node: [], initializer: [] })
  return shallow(model, { graph })
}

/** A message with other fields; unknown fields and doc strings stay. */
export const changed = shallow

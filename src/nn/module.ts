/** @file The base class of layers and networks: a tree of modules whose paths are the names of their properties. */
import type { Value } from '../graph/types.js'
import { Random } from '../util/rng.js'
import type { ForwardBuilder } from './forward-builder.js'
import { ModuleBuffer, Parameter } from './parameter.js'
import { checkKeys } from '../util/option-keys.js'

/** Something of a tree of modules with its path, the name in the state dict. */
export type Named<T> = [path: string, item: T]

const join = (prefix: string, name: string): string => (prefix === '' ? name : `${prefix}.${name}`)

/** The children that a property holds: a module, a list of modules, or modules by name. */
function childrenIn(name: string, value: unknown): Named<Module>[] {
  if (value instanceof Module) return [[name, value]]
  if (Array.isArray(value)) return value.flatMap((item, i) => childrenIn(join(name, String(i)), item))
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return []
  return Object.entries(value).flatMap(([key, item]) => childrenIn(join(name, key), item))
}

/**
 * A part of a network. Properties that hold a `Parameter`, a `ModuleBuffer`, a `Module`, a list or a record of modules are its
 * state; the name of the property is the name in the state dict, as in PyTorch: `this.layers = [new Linear(…)]` gives
 * `layers.0.weight`.
 *
 * @example
 * class Block extends Module {
 *   readonly up = new Linear(8, 32, { r: 4 })
 *   readonly down = new Linear(32, 8)
 *   override forward(b: ForwardBuilder, x: Value): Value {
 *     return b.add(x, this.down.forward(b, b.relu(this.up.forward(b, x))))
 *   }
 * }
 */
export abstract class Module {
  /** Whether dropout drops and batch statistics are taken; see `train` and `eval`. */
  training = true

  /** Emits the nodes that compute the module's output. */
  abstract forward(b: ForwardBuilder, ...inputs: Value[]): Value

  /** Direct children by their paths below this module. */
  children(): Named<Module>[] {
    return Object.entries(this).flatMap(([name, value]) => this.childrenOf(name, value))
  }

  /** The children that one property holds. */
  protected childrenOf(name: string, value: unknown): Named<Module>[] {
    return childrenIn(name, value)
  }

  /** This module and all below it, parents first, by their paths; the root's is `''`. */
  namedModules(prefix = ''): Named<Module>[] {
    return [[prefix, this], ...this.children().flatMap(([name, child]) => child.namedModules(join(prefix, name)))]
  }

  private named<T>(isKind: (value: unknown) => value is T): Named<T>[] {
    return this.namedModules().flatMap(([path, module]) =>
      Object.entries(module).flatMap(([name, value]): Named<T>[] => (isKind(value) ? [[join(path, name), value]] : [])),
    )
  }

  /** Every parameter by its path. A parameter that two modules share is listed under both. */
  namedParameters(): Named<Parameter>[] {
    return this.named((value) => value instanceof Parameter)
  }

  /** Every buffer by its path. */
  namedBuffers(): Named<ModuleBuffer>[] {
    return this.named((value) => value instanceof ModuleBuffer)
  }

  /** Switches this module and all below to training mode. No tensor changes. */
  train(training = true): this {
    for (const [, module] of this.namedModules()) module.training = training
    return this
  }

  /** Switches this module and all below to evaluation mode. No tensor changes: nothing is merged. */
  eval(): this {
    return this.train(false)
  }

  /** A copy that shares nothing with this module; what is shared inside stays shared inside. */
  clone(): this {
    return copy(this, new Map()) as this
  }
}

function copy(value: unknown, seen: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value
  const known = seen.get(value)
  if (known !== undefined) return known
  if (value instanceof Parameter) {
    const twin = new Parameter(value.shape, value.init, value.requiresGrad)
    if (value.initialized) twin.data = value.data.slice()
    seen.set(value, twin)
    return twin
  }
  if (value instanceof ModuleBuffer) {
    const twin = new ModuleBuffer(value.dtype, value.shape, value.data.slice(), value.optional)
    seen.set(value, twin)
    return twin
  }
  const plain = Array.isArray(value) || value instanceof Module || Object.getPrototypeOf(value) === Object.prototype
  // Whatever else a module of the user's holds is not state.
  if (!plain) return value
  const twin: object = Array.isArray(value) ? [] : (Object.create(Object.getPrototypeOf(value)) as object)
  seen.set(value, twin)
  for (const [key, item] of Object.entries(value)) Object.assign(twin, { [key]: copy(item, seen) })
  return twin
}

/**
 * Gives every parameter its first values. Each has a random stream of its own, told apart by its path, so adding a layer
 * changes no other layer's numbers.
 * @returns the model
 * @example
 * const model = initialize(new Sequential(new Linear(4, 8, { r: 2 }), new ReLU()), { seed: 1 })
 */
export function initialize<M extends Module>(model: M, options: { readonly seed?: number } = {}): M {
  checkKeys(options, { seed: true }, 'initialize')
  const { seed = 0 } = options
  const done = new Set<Parameter>()
  for (const [path, parameter] of model.namedParameters())
    if (!done.has(parameter)) {
      parameter.reset(Random.derive(seed, 'nn', path))
      done.add(parameter)
    }
  return model
}

/** Gives those parameters values that have none, with seed 0. */
export function initializeRest(model: Module): void {
  for (const [path, parameter] of model.namedParameters())
    if (!parameter.initialized) parameter.reset(Random.derive(0, 'nn', path))
}

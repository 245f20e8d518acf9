/** @file From a model to a graph, and compiled graphs that follow what changes in the model. */
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { DROPOUT_SEED } from '../graph/dropout.js'
import { Graph } from '../graph/graph.js'
import { tensor } from '../graph/constants.js'
import { formatShape, type HostTensor, type Shape, type Value } from '../graph/types.js'
import { only } from '../runtime/feeds.js'
import type { Runtime, Session } from '../runtime/runtime.js'
import { SessionStore, SharedSession } from '../runtime/session-store.js'
import { ForwardBuilder } from './forward-builder.js'
import { initializeRest, type Module } from './module.js'
import type { ModuleBuffer } from './parameter.js'
import { type Parameter } from './parameter.js'

/** An input of a model: one tensor, or one for each argument of `forward`. */
export type ModelInput = HostTensor | readonly HostTensor[]

/** The inputs as a list. */
export const inputsOf = (input: ModelInput): readonly HostTensor[] =>
  Array.isArray(input) ? (input as readonly HostTensor[]) : [input as HostTensor]

/** Type and shape of an input of a graph; lengths may be names. */
export interface InputType {
  /** Element type. */
  readonly dtype: HostTensor['dtype']
  /** Lengths of the axes; names stand for lengths known at the run only. */
  readonly shape: Shape
}

/** The graph of a model. */
export interface BuiltGraph {
  /** Its one output is the model's. */
  readonly graph: Graph
  /** What the model gives. */
  readonly output: Value
  /** What it takes, in the order of the arguments. */
  readonly inputs: readonly Value[]
  /** What emitted the nodes; it knows the parameters and buffers. */
  readonly builder: ForwardBuilder
}

/** Name of the first axis of every input. */
export const BATCH = 'batch'

/** Types of given tensors, the first axis any length. @throws InvalidDataError for a scalar or unequal first axes */
export function batchTypes(tensors: readonly HostTensor[]): InputType[] {
  const rows = tensors[0]?.shape[0]
  if (tensors.length === 0) throw new InvalidDataError('a model needs at least one input')
  return tensors.map(({ dtype, shape }, i) => {
    if (shape.length === 0 || shape[0] !== rows)
      throw new InvalidDataError(
        `input ${i} has shape ${formatShape(shape)}; expected a first axis of ${rows ?? 'at least one'} rows, as input 0 has`,
      )
    return { dtype, shape: [BATCH, ...shape.slice(1)] }
  })
}

/**
 * The graph of a model on inputs of the given types, in the modes that its modules are in. Inputs are named `input_0`, …;
 * trainable parameters and buffers are further inputs, by their paths.
 * @example
 * const { graph } = buildGraph(model, [{ dtype: 'float32', shape: ['batch', 8] }])
 */
export function buildGraph(model: Module, inputs: readonly InputType[], name = 'nn'): BuiltGraph {
  initializeRest(model)
  const graph = new Graph(name)
  const paths = new Map<Parameter | ModuleBuffer, string>()
  for (const [path, item] of [...model.namedParameters(), ...model.namedBuffers()]) if (!paths.has(item)) paths.set(item, path)
  const values = inputs.map(({ dtype, shape }, i) => graph.addInput(`input_${i}`, dtype, shape))
  const builder = new ForwardBuilder(graph, paths)
  const output = model.forward(builder, ...values)
  graph.outputs = [output]
  return { graph, output, inputs: values, builder }
}

/** What all graphs of a model are fed: its trainable parameters, its buffers, the seed of its dropout. */
export function stateFeeds(builder: ForwardBuilder, seed: number): Record<string, HostTensor> {
  const feeds: Record<string, HostTensor> = {}
  for (const [{ dtype, shape, data }, value] of builder.trainable) feeds[value.name] = { dtype, shape, data }
  for (const [buffer, value] of builder.buffers) feeds[value.name] = buffer.tensor
  feeds[DROPOUT_SEED] = tensor('uint32', [1], [seed >>> 0])
  return feeds
}

const ids = new WeakMap<object, number>()
let nextId = 0
/** A number that stands for an object, so that keys can tell arrays apart. */
const idOf = (object: object): number => {
  const id = ids.get(object) ?? nextId++
  ids.set(object, id)
  return id
}

/** Everything about a model that its graph depends on: modes, what is trainable, the arrays of what is frozen. */
export function signatureOf(model: Module, inputs: readonly InputType[]): string {
  const modes = model.namedModules().map(([, module]) => (module.training ? 't' : 'e'))
  const parameters = model.namedParameters().map(([, p]) => (p.requiresGrad ? 'g' : `f${idOf(p.data)}`))
  const types = inputs.map(({ dtype, shape }) => `${dtype}${shape.join('x')}`)
  return [types.join(';'), modes.join(''), parameters.join(',')].join('|')
}

/** A compiled graph and what belongs to it. */
export interface Compiled<T> {
  readonly session: Session
  /** Names of its inputs. */
  readonly inputs: ReadonlySet<string>
  readonly built: T
}

/** Graphs that are kept compiled: inputs of a few shapes, training and not. */
const MOST_GRAPHS = 4

/** Compiled graphs by signature, the latest few. */
export class SessionCache<T> {
  private readonly sessions = new SessionStore<SharedSession<Compiled<T>>>()

  constructor(private readonly runtime: Runtime) {}

  /** Runs something on the graph of that signature; `build` is called at once if there is none. */
  async use<R>(key: string, build: () => { graph: Graph; built: T }, run: (compiled: Compiled<T>) => Promise<R>): Promise<R> {
    const entry = this.sessions.put(key, this.sessions.peek(key) ?? this.compile(build()))
    for (const [oldest] of this.sessions.entries.slice(0, -MOST_GRAPHS)) void this.sessions.retire(oldest)
    return entry.use(run)
  }

  private compile({ graph, built }: { graph: Graph; built: T }): SharedSession<Compiled<T>> {
    const inputs = new Set(graph.inputs.map(({ name }) => name))
    return new SharedSession(this.runtime.createSession(graph).then((session) => ({ session, inputs, built })))
  }

  /** Frees the compiled graphs; what is running ends first. */
  release(): Promise<void> {
    return this.sessions.dispose()
  }
}

/**
 * Runs a model. Compiles when first asked and again when the model changes in what its graph depends on; values of
 * trainable parameters are fed, so training needs no new graph.
 */
export class Predictor {
  private readonly cache: SessionCache<BuiltGraph>

  /** A model and the runtime that runs it; nothing is compiled yet. */
  constructor(
    /** The model that is run. */
    readonly model: Module,
    runtime: Runtime,
  ) {
    this.cache = new SessionCache(runtime)
  }

  /**
   * The model's output in evaluation mode, whatever mode the model is in.
   * @param input first axes are the batch
   */
  async run(input: ModelInput): Promise<HostTensor> {
    const tensors = inputsOf(input)
    const types = batchTypes(tensors)
    const { model } = this
    initializeRest(model)
    return this.inEvaluation(types, async ({ session, inputs, built }) => {
      const feeds = { ...stateFeeds(built.builder, 0), ...namedInputs(tensors) }
      const results = await session.run(only(feeds, inputs))
      return results[built.output.name]!
    })
  }

  /** The graph is built before anything is waited for, so that nobody sees the modes change. */
  private inEvaluation(
    types: readonly InputType[],
    run: (compiled: Compiled<BuiltGraph>) => Promise<HostTensor>,
  ): Promise<HostTensor> {
    const { model } = this
    const modes = model.namedModules().map(([, module]) => [module, module.training] as const)
    model.eval()
    try {
      const build = (): { graph: Graph; built: BuiltGraph } => {
        const built = buildGraph(model, types)
        if (built.inputs.includes(built.output))
          throw new InvalidOptionError('the model gives its input back: there is nothing to run')
        built.graph.prune()
        return { graph: built.graph, built }
      }
      return this.cache.use(signatureOf(model, types), build, run)
    } finally {
      for (const [module, training] of modes) module.training = training
    }
  }

  /** Frees the compiled graphs. */
  release(): Promise<void> {
    return this.cache.release()
  }
}

/** Inputs under the names that a graph gives them. */
export const namedInputs = (tensors: readonly HostTensor[]): Record<string, HostTensor> =>
  Object.fromEntries(tensors.map((t, i) => [`input_${i}`, t]))

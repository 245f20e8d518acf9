/**
 * @file The compiled graphs of a model: one for every kind of run, shared by all adapters of low-rank branches.
 *
 * Each session holds the base once more in memory, arranged for its products. So adapters with branches on different layers
 * do not get one each: a shared graph has a branch on every layer that any of them adapts, and an adapter without one there
 * is fed zeros. A layer that is new to it takes a new session, which takes the place of the old one.
 */
import { attachParts } from '../adapters/attach.js'
import type { Part } from '../adapters/part.js'
import { joinBranches, zeroBranch } from '../adapters/serving/branch-tensors.js'
import { ServedLora } from '../adapters/serving/served-lora.js'
import type { Serving } from '../adapters/serving/serving.js'
import type { Graph } from '../graph/graph.js'
import type { HostTensor } from '../graph/types.js'
import type { ModelGraph } from '../models/architecture.js'
import type { Session } from '../runtime/runtime.js'
import { SessionStore, SharedSession } from '../runtime/session-store.js'
import type { Model } from './model.js'

/** A kind of run: how its graph is built from the model's, and compiled. */
export interface RunKind {
  /** Tells kinds apart. */
  readonly name: string
  build(model: Model, positions: number): ModelGraph
  compile(model: Model, graph: Graph): Promise<Session>
}

/** A compiled graph, and what it must be fed beside the adapter's own tensors. */
export interface CompiledGraph {
  readonly session: Session
  readonly inputs: ReadonlySet<string>
  /** Zeros for the layers that an adapter may lack. */
  readonly zeros: Readonly<Record<string, HostTensor>>
  readonly built: ModelGraph
}

class PooledSession extends SharedSession<CompiledGraph> {
  constructor(
    compiled: Promise<CompiledGraph>,
    /** Name of the kind of run. */
    readonly kind: string,
    /** Names of layers with a branch; undefined in a graph of parts of its own. */
    readonly layers: ReadonlySet<string> | undefined,
    readonly positions: number,
  ) {
    super(compiled)
  }
}

/** Sessions of one kind for parts that cannot be shared (DoRA, saved modules): the one that was used longest ago goes. */
const MOST_OWN = 3

const SHARED = 'shared'

/** Whether a part is a low-rank branch and nothing else: its tensors are A and B with the scale in them. */
const isPlainBranch = (model: Model, { kind, module }: Part): boolean => kind === 'lora' && model.modules.has(module)

/** Positions that a graph serves at least, so that rotary tables need no rebuilding for every longer text. */
const FEWEST_POSITIONS = 1024

/** Positions to build for: the graph for longer rows takes the place of one for shorter ones. 0 where nothing limits them. */
export function positionsFor({ maxPositions }: Model, length: number): number {
  if (maxPositions === 0 || !Number.isFinite(maxPositions)) return 0
  let positions = FEWEST_POSITIONS
  while (positions < length) positions *= 2
  return Math.min(positions, maxPositions)
}

const pools = new WeakMap<Model, SessionPool>()

/** The pool of a model, made when it is first asked for. */
export function sessionsOf(model: Model): SessionPool {
  let pool = pools.get(model)
  if (pool === undefined) pools.set(model, (pool = new SessionPool(model)))
  return pool
}

/** Gives back the sessions of a model, if it has any. */
export const releaseSessions = (model: Model): Promise<void> => pools.get(model)?.dispose() ?? Promise.resolve()

export class SessionPool {
  /** By kind and layout. */
  private readonly sessions = new SessionStore<PooledSession>()

  constructor(private readonly model: Model) {}

  /** Sessions that are held, in use or not. */
  get size(): number {
    return this.sessions.size
  }

  /**
   * Runs something on the session for these parts; it stays until that has ended, whatever happens meanwhile.
   * @param positions that the graph must serve
   */
  use<T>(kind: RunKind, parts: Serving['parts'], positions: number, run: (compiled: CompiledGraph) => Promise<T>): Promise<T> {
    return this.entry(kind, parts, positions).use(run)
  }

  /** Releases every session; what is running ends first. */
  dispose(): Promise<void> {
    return this.sessions.dispose()
  }

  private entry(kind: RunKind, parts: readonly Part[], positions: number): PooledSession {
    const isShared = parts.every((part) => isPlainBranch(this.model, part))
    const key = JSON.stringify([kind.name, isShared ? SHARED : parts.map((part) => [part.module, part.kind])])
    const known = this.sessions.peek(key)
    const has = (name: string): boolean => known?.layers?.has(name) === true
    if (known !== undefined && known.positions >= positions && (!isShared || parts.every(({ module }) => has(module))))
      return this.sessions.put(key, known)
    const layers = isShared ? new Set([...(known?.layers ?? []), ...parts.map(({ module }) => module)]) : undefined
    const all = layers === undefined ? parts : this.branches(layers)
    // The old one goes first, so that the base is not there twice.
    const before = this.sessions.retire(key)
    const isIdle = known === undefined || known.isIdle
    const longest = Math.max(positions, known?.positions ?? 0)
    const compiled = (isIdle ? before : Promise.resolve()).then(() => this.compile(kind, all, longest, layers !== undefined))
    const entry = this.sessions.put(key, new PooledSession(compiled, kind.name, layers, longest))
    if (layers === undefined) this.dropOldest(kind)
    return entry
  }

  /** Branches in the order of the model, as adapters have them. */
  private branches(layers: ReadonlySet<string>): ServedLora[] {
    const plain = { rescaled: false, shifted: false, mixed: false }
    return [...this.model.modules.values()].filter(({ name }) => layers.has(name)).map((module) => new ServedLora(module, plain))
  }

  private async compile(kind: RunKind, parts: readonly Part[], positions: number, isShared: boolean): Promise<CompiledGraph> {
    const built = kind.build(this.model, positions)
    // The scale goes into the tensors: adapters of any alpha, and of any rank, share the graph.
    const { graph } = attachParts(built.graph, parts, { scaling: 'tensors' })
    const session = await kind.compile(this.model, graph)
    const zeros: Record<string, HostTensor> = {}
    if (isShared)
      for (const part of parts as readonly ServedLora[]) {
        const { A, B } = joinBranches([{ branch: zeroBranch(part.layer), weight: 1 }])
        zeros[part.A.name] = A
        zeros[part.B.name] = B
      }
    return { session, inputs: new Set(graph.inputs.map(({ name }) => name)), zeros, built }
  }

  private dropOldest(kind: RunKind): void {
    const own = this.sessions.entries.filter(([, entry]) => entry.layers === undefined && entry.kind === kind.name)
    for (const [key] of own.slice(0, Math.max(0, own.length - MOST_OWN))) void this.sessions.retire(key)
  }
}

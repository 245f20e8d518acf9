/** @file An optimizer over one flat vector of parameters, whatever they belong to: its graph in the runtime, and its state. */
import { float32 } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import type { HostTensor } from '../graph/types.js'
import type { Runtime, Session } from '../runtime/runtime.js'

/** What an optimizer keeps: the moments of every parameter, in the order of the graph, and the number of updates. */
export interface OptimizerState {
  /** By the names of the graph's inputs: `moment1`, and of AdamW `moment2`. Each [parameters]. */
  moments: Readonly<Record<string, Float32Array>>
  updates: number
}

/** One update: what it goes by. */
export interface Update {
  /** [parameters]; they are changed in place. */
  readonly parameters: Float32Array
  /** [parameters] */
  readonly gradient: Float32Array
  /** What the gradient is multiplied by first: one over what a summed loss counts. */
  readonly scale: number
  /** One rate for all, or one for each parameter. */
  readonly learningRate: number | Float32Array
}

/** What came of an update. */
export interface UpdateResult {
  /** Global norm of the scaled gradient before clipping. */
  readonly norm: number
  /** False if the gradient or the new parameters are not finite: then nothing was changed. */
  readonly applied: boolean
}

/** How a graph is used. */
export interface FlatOptimizerOptions {
  /** Number of parameters. */
  readonly count: number
  /** Decays of AdamW's moments, for their bias; zeros for SGD, and where it is not corrected. */
  readonly betas: readonly [number, number]
  /** Largest global norm of the gradient; Infinity clips nothing. */
  readonly maxGradNorm: number
  /** What the graph is fed beside, the same at every update, each [parameters]. */
  readonly constants?: Readonly<Record<string, Float32Array>> | undefined
  /** Most parameters of a run of the graph. */
  readonly pieceLength?: number
}

/**
 * Parameters of a run of the graph, unless told: up to 4 million all of them, as of nearly every adapter; of more 262,144, which is a MB of
 * each vector, so that what an update computes on the way stays in the processor's cache and needs no memory of the size of a model.
 */
const pieceLengthFor = (count: number): number => (count <= 1 << 22 ? Math.max(count, 1) : 1 << 18)

/** A graph of `adamWGraph` or `sgdGraph`, compiled, with its state. */
export class FlatOptimizer {
  readonly state: OptimizerState

  private constructor(
    private readonly session: Session,
    private readonly options: FlatOptimizerOptions,
    moments: readonly string[],
  ) {
    this.state = { moments: Object.fromEntries(moments.map((name) => [name, new Float32Array(options.count)])), updates: 0 }
  }

  static async create(runtime: Runtime, graph: Graph, options: FlatOptimizerOptions): Promise<FlatOptimizer> {
    const moments = graph.inputs.map(({ name }) => name).filter((name) => name.startsWith('moment'))
    return new FlatOptimizer(await runtime.createSession(graph), options, moments)
  }

  /**
   * One update after clipping by the global norm (Pascanu et al., 2013), unless something is not finite: then parameters and state are
   * as they were.
   */
  async update(update: Update): Promise<UpdateResult> {
    const { gradient, scale } = update
    const norm = globalNorm(gradient) * scale
    if (!Number.isFinite(norm)) return { norm, applied: false }
    const clipped = scale * clipFactor(norm, this.options.maxGradNorm)
    const pieces = this.pieces()
    const [first] = pieces
    // A finite gradient can still carry parameters out of float32's range, with a rate of 1e38 for one: of several pieces none may
    // change before all are known to stay in it.
    const kept = pieces.length === 1 ? await this.run(update, clipped, first!) : undefined
    for (const piece of pieces) {
      const results = kept ?? (await this.run(update, clipped, piece))
      if (!areFinite(results['new_parameters']!.data as Float32Array)) return { norm, applied: false }
    }
    for (const piece of pieces) {
      const results = kept ?? (await this.run(update, clipped, piece))
      update.parameters.set(results['new_parameters']!.data as Float32Array, piece.begin)
      for (const [name, moments] of Object.entries(this.state.moments))
        moments.set(results[`new_${name}`]!.data as Float32Array, piece.begin)
    }
    this.state.updates++
    return { norm, applied: true }
  }

  private pieces(): Piece[] {
    const { count, pieceLength = pieceLengthFor(this.options.count) } = this.options
    return Array.from({ length: Math.max(1, Math.ceil(count / pieceLength)) }, (_, i) => ({
      begin: i * pieceLength,
      end: Math.min(count, (i + 1) * pieceLength),
    }))
  }

  /** @param scale of the gradient, clipping in it */
  private run(
    { parameters, gradient, learningRate }: Update,
    scale: number,
    { begin, end }: Piece,
  ): Promise<Readonly<Record<string, HostTensor>>> {
    const { betas, constants } = this.options
    const vector = (data: Float32Array): HostTensor => float32([end - begin], data.subarray(begin, end))
    const scalar = (value: number): HostTensor => float32([], Float32Array.of(value))
    const step = this.state.updates + 1
    return this.session.run({
      parameters: vector(parameters),
      gradient: vector(gradient),
      ...Object.fromEntries(Object.entries({ ...this.state.moments, ...constants }).map(([name, data]) => [name, vector(data)])),
      gradient_scale: scalar(scale),
      learning_rate: typeof learningRate === 'number' ? float32([1], Float32Array.of(learningRate)) : vector(learningRate),
      bias_correction1: scalar(1 - betas[0] ** step),
      bias_correction2: scalar(1 - betas[1] ** step),
    })
  }

  release(): Promise<void> {
    return this.session.release()
  }
}

/** Parameters from `begin` to before `end`. */
interface Piece {
  readonly begin: number
  readonly end: number
}

/** Infinity where the sum of the squares is beyond float32, as of torch. */
function globalNorm(gradient: Float32Array): number {
  let sum = 0
  for (let i = 0; i < gradient.length; i++) sum += gradient[i]! ** 2
  return Math.sqrt(Math.fround(sum))
}

/** torch.nn.utils.clip_grad_norm_: min(1, maxNorm / (norm + 1e-6)) */
const clipFactor = (norm: number, maxGradNorm: number): number => Math.min(1, maxGradNorm / (norm + 1e-6))

function areFinite(values: Float32Array): boolean {
  // NaN once, NaN for ever.
  let zero = 0
  for (let i = 0; i < values.length; i++) zero += values[i]! * 0
  return zero === 0
}

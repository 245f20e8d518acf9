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
  /** Parameters before it, [parameters]; they are not changed. */
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

/** A graph of `adamWGraph` or `sgdGraph`, compiled, with its state. */
export class FlatOptimizer {
  readonly state: OptimizerState

  private constructor(
    private readonly session: Session,
    private readonly betas: readonly [number, number],
    moments: readonly string[],
    private readonly count: number,
    private readonly constants: Readonly<Record<string, Float32Array>>,
  ) {
    this.state = { moments: Object.fromEntries(moments.map((name) => [name, new Float32Array(count)])), updates: 0 }
  }

  /**
   * @param graph of the update
   * @param betas decays of AdamW's moments, for their bias; zeros for SGD, and where it is not corrected
   * @param count number of parameters
   * @param constants what the graph is fed beside, the same at every update, each [parameters]
   */
  static async create(
    runtime: Runtime,
    graph: Graph,
    betas: readonly [number, number],
    count: number,
    constants: Readonly<Record<string, Float32Array>> = {},
  ): Promise<FlatOptimizer> {
    const moments = graph.inputs.map(({ name }) => name).filter((name) => name.startsWith('moment'))
    return new FlatOptimizer(await runtime.createSession(graph), betas, moments, count, constants)
  }

  /**
   * One update, unless something is not finite: then the state is as it was.
   * @param take is given the new parameters, [parameters], if they are taken
   */
  async update(
    { parameters, gradient, scale, learningRate }: Update,
    take: (parameters: Float32Array) => void,
  ): Promise<UpdateResult> {
    const { state, betas } = this
    const vector = (data: Float32Array): HostTensor => float32([this.count], data)
    const scalar = (value: number): HostTensor => float32([], Float32Array.of(value))
    const rates = typeof learningRate === 'number' ? Float32Array.of(learningRate) : learningRate
    const step = state.updates + 1
    const results = await this.session.run({
      parameters: vector(parameters),
      gradient: vector(gradient),
      ...Object.fromEntries(
        [...Object.entries(state.moments), ...Object.entries(this.constants)].map(([name, data]) => [name, vector(data)]),
      ),
      gradient_scale: scalar(scale),
      learning_rate: float32([rates.length], rates),
      bias_correction1: scalar(1 - betas[0] ** step),
      bias_correction2: scalar(1 - betas[1] ** step),
    })
    const norm = Number(results['gradient_norm']!.data[0])
    const updated = results['new_parameters']!.data as Float32Array
    // A finite gradient can still carry parameters out of float32's range, with a rate of 1e38 for one.
    if (!Number.isFinite(norm) || !updated.every(Number.isFinite)) return { norm, applied: false }
    take(updated)
    const names = Object.keys(state.moments)
    state.moments = Object.fromEntries(names.map((name) => [name, results[`new_${name}`]!.data as Float32Array]))
    state.updates = step
    return { norm, applied: true }
  }

  release(): Promise<void> {
    return this.session.release()
  }
}

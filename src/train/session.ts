/** @file The two compiled graphs of a run: gradients of a micro-batch, and the update. */
import { float32, tensor } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import type { HostTensor } from '../graph/types.js'
import { adamWGraph, type AdamWOptions } from '../optim/adamw.js'
import { recompute } from '../autodiff/recompute.js'
import { lowerLogSumExp } from '../lower/log-sum-exp.js'
import type { Model } from '../model/model.js'
import type { Parameters } from '../adapter/parameters.js'
import { createModelSession, packsWeights } from '../base/quantized-base.js'
import type { BaseScheme } from '../quantize/index.js'
import type { Session } from '../runtime/runtime.js'
import { mix32 } from '../adapters/dropout.js'
import { gradientGraph, lossGraph } from './gradient-graph.js'
import type { Objective, ObjectiveGraph, Scores } from './objective.js'
import { defaultObjective } from './objectives/index.js'
import type { Trainee } from './trainee.js'
import type { Batch } from '../data/batch.js'
import { batchParts, POSITIONS_PER_PART } from './parts.js'

/** Length that the chunks of the loss are sized for when rows may be as long as the model allows. */
const USUAL_LENGTH = 1024

/**
 * Blocks of queries for rows of up to `positions` tokens, of 128 each: smaller ones spare more scores that lie in the future,
 * and spend it on operators (measured with heads of 8 and of 64, 64 to 256 queries a block); beyond 8 blocks little is left.
 */
const queryBlocks = (positions: number): number => Math.min(8, Math.ceil(positions / 128))

/**
 * Bytes of the logits of a chunk. A head in float32 is arranged anew for every chunk (`packsWeights`), one in 4 bits is
 * widened for it; only in 8 bits it lies there as it is multiplied, and smaller chunks cost nothing.
 */
const lossChunkBytes = (base: BaseScheme = 'fp32'): number => (base === 'int8' ? 64 : 128) * 2 ** 20

export interface LossSessionOptions {
  readonly packed: boolean
  /** Longest row that will be fed. */
  readonly positions: number
  /** Usual number of positions in a batch, to choose the chunks of the loss; more is slower on memory, not wrong. */
  readonly tokens: number
  readonly objective: Objective
  /** Compute activations again in the backward pass rather than keep them; when gradients are asked for. */
  readonly recompute?: boolean
}

/** What a loss session needs to know of its batches. */
export function lossOptions(
  model: Model,
  batchSize: number,
  maxLength: number | undefined,
  packed = false,
  objective = defaultObjective(model),
): LossSessionOptions {
  const positions = Math.min(maxLength ?? model.maxPositions, model.maxPositions)
  return { packed, positions, tokens: batchSize * Math.min(positions, maxLength ?? USUAL_LENGTH), objective }
}

interface Compiled {
  readonly session: Session
  readonly inputs: ReadonlySet<string>
  readonly objective: Objective
  /** Names of the results: a model may have an output of its own called `loss`. */
  readonly loss: string
  readonly count: string | undefined
  /** Names of the objective's sums, and of the results that hold them. */
  readonly sums: readonly (readonly [name: string, output: string])[]
  /** Beside loss and count: the gradient, or what the scores read. */
  readonly others: readonly string[]
  /** Fewest positions of a row: one for each block of queries. */
  readonly shortest: number
}

/** The graph of a micro-batch, and what of it is not told by its outputs. */
export interface StepGraph {
  readonly graph: Graph
  readonly built: ObjectiveGraph
  /** Fewest positions of a row: one for each block of queries. */
  readonly shortest: number
}

/** The graph that a session of these options compiles, weights as they are stored. */
export function stepGraph(trainee: Trainee, options: LossSessionOptions, training: boolean): StepGraph {
  const { model } = trainee
  const { objective } = options
  const blocks = objective.causal ? queryBlocks(options.positions) : 1
  const prepared = trainee.build({
    mode: 'full',
    packed: options.packed,
    positions: options.positions,
    queryBlocks: blocks,
    training,
  })
  const built = objective.attach({
    graph: prepared.graph,
    hidden: prepared.hidden,
    positions: Math.min(options.tokens, Math.max(POSITIONS_PER_PART, options.positions)),
    vocabularySize: model.vocabularySize,
    chunkBytes: lossChunkBytes(model.environment.base),
    reference: () => model.build({ mode: 'full', packed: options.packed, positions: options.positions, queryBlocks: blocks }),
  })
  let final = training ? gradientGraph(built.graph, built.loss, prepared.parameters, built.count, built.sums) : lossGraph(built)
  if (training && options.recompute === true) final = recompute(final, final.outputs[0]!.name)
  return { graph: lowerLogSumExp(final), built, shortest: blocks }
}

async function compile(trainee: Trainee, options: LossSessionOptions, training: boolean): Promise<Compiled> {
  const { graph: final, built, shortest } = stepGraph(trainee, options, training)
  const { environment } = trainee.model
  const session = await createModelSession(environment, final, { disablePrepacking: !packsWeights(final, environment.base) })
  const [loss, ...rest] = final.outputs.map(({ name }) => name)
  const count = built.count && rest.shift()
  const sums = Object.keys(built.sums ?? {}).map((name) => [name, rest.shift()!] as const)
  return {
    session,
    inputs: new Set(final.inputs.map((i) => i.name)),
    objective: options.objective,
    loss: loss!,
    count,
    sums,
    others: rest,
    shortest,
  }
}

/** The runs that a batch takes. */
function runsOf(batch: Batch, { objective, shortest }: Compiled): Readonly<Record<string, HostTensor>>[] {
  return objective.divisible ? batchParts(batch, POSITIONS_PER_PART, shortest).map((part) => part.feeds) : [batch.feeds]
}

type Results = Readonly<Record<string, HostTensor>>

/** What runs add up to. */
class Total {
  private loss = 0
  private count = 0
  private readonly sums: Record<string, number>

  constructor(
    private readonly compiled: Compiled,
    private readonly batch: Batch,
  ) {
    this.sums = Object.fromEntries(compiled.sums.map(([name]) => [name, 0]))
  }

  add(results: Results): void {
    const { loss, count, sums } = this.compiled
    const number = (name: string): number => Number(results[name]!.data[0])
    this.loss += number(loss)
    if (count !== undefined) this.count += number(count)
    for (const [name, output] of sums) this.sums[name]! += number(output)
  }

  result(): LossResult {
    const { loss, sums, batch } = this
    return { loss, count: this.compiled.count === undefined ? batch.tokens : this.count, sums }
  }
}

/** Only what the graph asks for: an architecture without positions takes none, a graph without dropout no seed. */
const only = (feeds: Record<string, HostTensor>, inputs: ReadonlySet<string>): Record<string, HostTensor> =>
  Object.fromEntries(Object.entries(feeds).filter(([name]) => inputs.has(name)))

/** Seed of the dropout masks of a micro-batch: all 53 bits of the run's seed count. */
export const dropoutSeedOf = (seed: number, microBatch: number): number =>
  mix32(mix32(seed) ^ mix32(~Math.floor(seed / 2 ** 32)) ^ Math.imul(microBatch + 1, 0x9e3779b1))

export interface LossResult {
  /** Sum over what is counted. */
  readonly loss: number
  /** What the loss is summed over: labelled units, or what a loss of the user's own counts. */
  readonly count: number
  /** The objective's further sums, by name. */
  readonly sums: Readonly<Record<string, number>>
}

export interface GradientResult extends LossResult {
  /** Gradient of that sum, in the order of the parameters. */
  readonly gradient: Float32Array
}

/** Loss and gradient of micro-batches. */
export class GradientSession {
  private constructor(
    private readonly compiled: Compiled,
    private readonly parameters: Parameters,
  ) {}

  static async create(trainee: Trainee, options: LossSessionOptions): Promise<GradientSession> {
    return new GradientSession(await compile(trainee, options, true), trainee.parameters)
  }

  /**
   * Sums over the parts of the batch, one run of the graph each; a batch without rows adds up to zeros.
   * @param dropoutSeed another number for each micro-batch of a run, see `dropoutSeedOf`
   */
  async run(batch: Batch, dropoutSeed = 0): Promise<GradientResult> {
    const total = new Total(this.compiled, batch)
    let gradient: Float32Array | undefined
    let seed = mix32(dropoutSeed)
    const { session, inputs, others } = this.compiled
    for (const run of runsOf(batch, this.compiled)) {
      const feeds = {
        ...run,
        ...Object.fromEntries(this.parameters.tensors),
        dropout_seed: tensor('uint32', [1], [seed]),
      }
      const results = await session.run(only(feeds, inputs))
      total.add(results)
      const addend = results[others[0]!]!.data as Float32Array
      if (gradient === undefined) gradient = addend
      else for (let i = 0; i < gradient.length; i++) gradient[i]! += addend[i]!
      // Each part draws its own masks.
      seed = mix32(seed + 1)
    }
    return { ...total.result(), gradient: gradient ?? new Float32Array(this.parameters.count) }
  }

  release(): Promise<void> {
    return this.compiled.session.release()
  }
}

/** Loss alone, for evaluation. */
export class LossSession {
  private constructor(
    private readonly compiled: Compiled,
    private readonly parameters: Parameters,
  ) {}

  static async create(trainee: Trainee, options: LossSessionOptions): Promise<LossSession> {
    return new LossSession(await compile(trainee, options, false), trainee.parameters)
  }

  get objective(): Objective {
    return this.compiled.objective
  }

  /** @param scores told the outputs of every run */
  async run(batch: Batch, scores?: Pick<Scores, 'add'>): Promise<LossResult> {
    const total = new Total(this.compiled, batch)
    const { session, inputs, others } = this.compiled
    for (const run of runsOf(batch, this.compiled)) {
      const results = await session.run(only({ ...run, ...Object.fromEntries(this.parameters.tensors) }, inputs))
      total.add(results)
      scores?.add(Object.fromEntries(others.map((name) => [name, results[name]!])), run)
    }
    return total.result()
  }

  release(): Promise<void> {
    return this.compiled.session.release()
  }
}

/** The optimizer's state: two moments of every parameter and the number of updates. */
export interface OptimizerState {
  moment1: Float32Array
  moment2: Float32Array
  updates: number
}

export interface UpdateResult {
  /** Global norm of the mean gradient before clipping. */
  readonly norm: number
  /** False if the gradient or the new parameters are not finite: then nothing was changed. */
  readonly applied: boolean
}

/** Clipping and AdamW on the flat parameter vector. */
export class UpdateSession {
  private constructor(
    private readonly session: Session,
    private readonly parameters: Parameters,
    private readonly options: AdamWOptions,
    readonly state: OptimizerState,
    private readonly rateFactors: Float32Array | undefined,
  ) {}

  /** @param rateFactors what the learning rate is multiplied by for each parameter; 1 unless said */
  static async create(trainee: Trainee, options: AdamWOptions, rateFactors?: Float32Array): Promise<UpdateSession> {
    const session = await trainee.model.environment.runtime.createSession(adamWGraph(options))
    const zeros = (): Float32Array => new Float32Array(trainee.parameters.count)
    const state = { moment1: zeros(), moment2: zeros(), updates: 0 }
    return new UpdateSession(session, trainee.parameters, options, state, rateFactors)
  }

  /**
   * One update in place, unless something is not finite: then nothing changes.
   * @param gradient of the summed loss
   * @param scale one over the number of labelled tokens
   */
  async run(gradient: Float32Array, scale: number, learningRate: number): Promise<UpdateResult> {
    const { state, parameters, options } = this
    const n = [parameters.count]
    const scalar = (value: number): HostTensor => float32([], Float32Array.of(value))
    const step = state.updates + 1
    const results = await this.session.run({
      parameters: float32(n, parameters.data),
      gradient: float32(n, gradient),
      moment1: float32(n, state.moment1),
      moment2: float32(n, state.moment2),
      gradient_scale: scalar(scale),
      learning_rate: this.rates(learningRate),
      bias_correction1: scalar(1 - options.beta1 ** step),
      bias_correction2: scalar(1 - options.beta2 ** step),
    })
    const norm = Number(results['gradient_norm']!.data[0])
    const updated = results['new_parameters']!.data as Float32Array
    // A finite gradient can still carry parameters out of float32's range, with a rate of 1e38 for one.
    if (!Number.isFinite(norm) || !updated.every(Number.isFinite)) return { norm, applied: false }
    parameters.data.set(updated)
    state.moment1 = results['new_moment1']!.data as Float32Array
    state.moment2 = results['new_moment2']!.data as Float32Array
    state.updates = step
    return { norm, applied: true }
  }

  private rates(learningRate: number): HostTensor {
    const { rateFactors } = this
    if (rateFactors === undefined) return float32([1], Float32Array.of(learningRate))
    return float32(
      [rateFactors.length],
      rateFactors.map((factor) => factor * learningRate),
    )
  }

  release(): Promise<void> {
    return this.session.release()
  }
}

/** @file Training a model built from modules: an async generator of events, as `train` is. */
import { differentiate } from '../autodiff/differentiate.js'
import { InvalidOptionError, TrainingError } from '../errors.js'
import type { Environment } from '../environment.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { type HostTensor, type Value } from '../graph/types.js'
import { learningRateAt, type ScheduleName } from '../optim/schedule.js'
import { only } from '../runtime/feeds.js'
import { GRADIENT_OUTPUT, joinGradients } from '../train/gradient-graph.js'
import { dropoutSeedOf } from '../train/gradient-session.js'
import { batchesOf, rowsOf, type ModuleBatch } from './batches.js'
import { batchTypes, buildGraph, inputsOf, namedInputs, SessionCache, signatureOf, stateFeeds } from './build.js'
import type { ForwardBuilder } from './forward-builder.js'
import { attachModuleLoss, LABELS_INPUT, type LossChoice } from './losses.js'
import { initializeRest, type Module } from './module.js'
import { Optimizer, type OptimizerChoice } from './optimizer.js'
import type { ModuleBuffer, Parameter } from './parameter.js'
import { atLeast, callback, choice, number, seed, toggle, whole } from '../util/option-kinds.js'
import { resolveOptions, type OptionTable, type Resolved } from '../util/option-table.js'

/** Options of {@link trainModule}. */
export interface TrainModuleOptions {
  /** Runtime and clock: `nodeEnvironment()` in Node. */
  readonly environment: Pick<Environment, 'runtime' | 'now'>
  /** All rows, cut into batches here; or the batches of a pass, made by the caller. */
  readonly data: ModuleBatch | ((epoch: number) => Iterable<ModuleBatch> | AsyncIterable<ModuleBatch>)
  /** What is minimised: a name, or a function that builds it. */
  readonly loss: LossChoice
  /** Passes over the data; 1 by default. */
  readonly epochs?: number
  /** Stops after so many steps, whatever the epochs. Needed for the schedules `linear` and `cosine` with batches of one's own. */
  readonly steps?: number
  /** Rows of a batch; 32 by default. */
  readonly batchSize?: number
  /** Whether each pass has an order of its own, yes by default. */
  readonly shuffle?: boolean
  /** Step size of the optimizer; 1e-3 where it is not given. */
  readonly learningRate?: number
  /** How the learning rate changes over the steps; `constant` where it is not given. */
  readonly schedule?: Exclude<ScheduleName, 'piecewise'>
  /** Steps in which it rises to its full size; 0 by default. */
  readonly warmupSteps?: number
  /** `{ name: 'adamw' }` by default. */
  readonly optimizer?: OptimizerChoice
  /** Clips the global norm of the gradient; by default, nothing is clipped. */
  readonly maxGradNorm?: number
  /** Of the order and of the dropout masks; 0 by default. */
  readonly seed?: number
  /** Called after a step with its number; what it gives back is reported as an `eval` event. */
  readonly evaluate?: (step: number) => Promise<Readonly<Record<string, number>> | undefined>
}

export const trainModuleOptionTable = {
  environment: { effect: true },
  data: { effect: true },
  loss: { effect: true },
  epochs: { is: whole(1), default: 1 },
  steps: { is: whole(1) },
  batchSize: { is: whole(1), default: 32 },
  shuffle: { is: toggle, default: true },
  learningRate: { is: atLeast(0), default: 1e-3 },
  schedule: { is: choice(['constant', 'linear', 'cosine', 'inverse_sqrt']), default: 'constant' },
  warmupSteps: { is: atLeast(0), default: 0 },
  optimizer: { effect: true, default: { name: 'adamw' } },
  maxGradNorm: { is: number('be at least 0', (value) => value >= 0, 0) },
  seed: { is: seed, default: 0 },
  evaluate: { effect: callback },
} as const satisfies OptionTable<TrainModuleOptions>

type ResolvedOptions = Resolved<TrainModuleOptions, typeof trainModuleOptionTable>

/** What {@link trainModule} reports; `event` tells them apart. */
export type ModuleTrainEvent = ModuleStartEvent | ModuleStepEvent | ModuleEvalEvent | ModuleDoneEvent

/** The training begins. */
export interface ModuleStartEvent {
  /** Tells the events apart. */
  readonly event: 'start'
  /** Numbers that are trained. */
  readonly trainableParameters: number
  /** Numbers of all parameters. */
  readonly totalParameters: number
}

/** An update of the parameters. */
export interface ModuleStepEvent {
  /** Tells the events apart. */
  readonly event: 'step'
  /** Counted from 1. */
  readonly step: number
  /** Pass over the data, counted from 0. */
  readonly epoch: number
  /** Mean over the batch, before its update. */
  readonly loss: number
  /** Global norm of the gradient before clipping. */
  readonly gradNorm: number
  /** Of this step. */
  readonly learningRate: number
  /** Rows of the batch. */
  readonly rows: number
}

/** What the option `evaluate` gave back. */
export interface ModuleEvalEvent {
  /** Tells the events apart. */
  readonly event: 'eval'
  /** Steps done. */
  readonly step: number
  /** What was measured, by name. */
  readonly metrics: Readonly<Record<string, number>>
}

/** The training is over. */
export interface ModuleDoneEvent {
  /** Tells the events apart. */
  readonly event: 'done'
  /** Steps done. */
  readonly steps: number
  /** Loss of the last step. */
  readonly loss: number
  /** Time of the training. */
  readonly seconds: number
}

/** A compiled training graph. */
interface Step {
  readonly builder: ForwardBuilder
  readonly loss: string
  readonly gradient: string
  /** Names of the outputs that replace buffers. */
  readonly updates: ReadonlyMap<ModuleBuffer, string>
}

/** Loss, joined gradients and new buffers of a batch. */
function stepGraph(
  model: Module,
  parameters: ReadonlyMap<Parameter, string>,
  batch: ModuleBatch,
  choice: LossChoice,
): { graph: Graph; built: Step } {
  const { graph, output, builder } = buildGraph(model, batchTypes(inputsOf(batch.input)), 'nn-step')
  const unused = [...parameters].flatMap(([parameter, path]) => (builder.trainable.has(parameter) ? [] : [path]))
  if (unused.length > 0 || builder.trainable.size !== parameters.size)
    throw new InvalidOptionError(
      unused.length > 0
        ? `forward does not use what it should train: ${unused.join(', ')}; set requiresGrad = false there`
        : 'what is trainable has changed during the run; start another one',
    )
  const attached = attachModuleLoss(graph, output, choice, batch.labels)
  const values = [...parameters.keys()].map((parameter): Value => builder.trainable.get(parameter)!)
  const { graph: full, gradients } = differentiate(attached.graph, attached.loss, values)
  const b = new GraphBuilder(full)
  const gradient = joinGradients(b, values, gradients, full.uniqueName(GRADIENT_OUTPUT))
  full.outputs = [attached.loss, gradient, ...builder.updates.values()]
  full.prune()
  const updates = new Map([...builder.updates].map(([buffer, { name }]) => [buffer, name]))
  return { graph: full, built: { builder, loss: attached.loss.name, gradient: gradient.name, updates } }
}

function plannedSteps({ data, epochs, steps, batchSize, schedule }: ResolvedOptions): number {
  if (typeof data !== 'function') return Math.min(steps ?? Infinity, epochs * Math.ceil(rowsOf(data) / batchSize))
  if (steps === undefined && schedule !== 'constant' && schedule !== 'inverse_sqrt')
    throw new InvalidOptionError(`the schedule "${schedule}" needs to know how many steps there are: give "steps"`)
  return steps ?? Infinity
}

/**
 * Trains what is trainable of a model, in place, in the modes that its modules are in (`model.train()`, with frozen
 * normalisation layers put back by `eval()`).
 * @throws TrainingError when a loss or a gradient is not finite; the parameters are then those before that step
 * @example
 * markOnlyLoraAsTrainable(model)
 * for await (const event of trainModule(model, { environment: nodeEnvironment(), data: { input, labels }, loss: 'crossEntropy' }))
 *   if (event.event === 'step') console.log(event.step, event.loss)
 */
export async function* trainModule(model: Module, given: TrainModuleOptions): AsyncGenerator<ModuleTrainEvent> {
  const options = resolveOptions(trainModuleOptionTable, given, 'trainModule')
  const totalSteps = plannedSteps(options)
  initializeRest(model)
  const all = new Map<Parameter, string>()
  for (const [path, parameter] of model.namedParameters()) if (!all.has(parameter)) all.set(parameter, path)
  const trainable = new Map([...all].filter(([parameter]) => parameter.requiresGrad))
  if (trainable.size === 0) throw new InvalidOptionError('nothing is trainable: every parameter has requiresGrad = false')
  if ([...trainable.keys()].some((parameter) => training.has(parameter)))
    throw new InvalidOptionError('this model is being trained already; wait until that run ends, or leave its loop')
  for (const parameter of trainable.keys()) training.add(parameter)
  try {
    return yield* trainParameters(model, options, totalSteps, all, trainable)
  } finally {
    for (const parameter of trainable.keys()) training.delete(parameter)
  }
}

/** What is being trained at this moment. */
const training = new WeakSet<Parameter>()

async function* trainParameters(
  model: Module,
  options: ResolvedOptions,
  totalSteps: number,
  all: ReadonlyMap<Parameter, string>,
  trainable: ReadonlyMap<Parameter, string>,
): AsyncGenerator<ModuleTrainEvent> {
  const { environment, data, loss: chosen, epochs, batchSize, shuffle, seed } = options
  const { learningRate, schedule: name, warmupSteps } = options
  const count = (parameters: Iterable<Parameter>): number => [...parameters].reduce((sum, p) => sum + p.size, 0)
  yield { event: 'start', trainableParameters: count(trainable.keys()), totalParameters: count(all.keys()) }

  const cache = new SessionCache<Step>(environment.runtime)
  const optimizer = await Optimizer.create(
    environment.runtime,
    [...trainable.keys()],
    options.optimizer,
    options.maxGradNorm ?? Infinity,
  )
  const started = environment.now()
  let step = 0
  let loss = NaN
  try {
    for (let epoch = 0; epoch < epochs && step < totalSteps; epoch++) {
      const batches = typeof data === 'function' ? data(epoch) : batchesOf(data, { batchSize, shuffle, seed, epoch })
      for await (const batch of batches) {
        const rows = rowsOf(batch)
        const rate = learningRateAt(step, { name, learningRate, warmupSteps, totalSteps })
        const result = await gradients(cache, model, trainable, batch, chosen, dropoutSeedOf(seed, step))
        step++
        loss = result.loss
        const { norm, applied } = Number.isFinite(loss)
          ? await optimizer.step(result.gradient, rate)
          : { norm: NaN, applied: false }
        if (!applied)
          throw new TrainingError(
            `step ${step}: the loss is ${loss} and the gradient's norm ${norm}; lower the learning rate (${rate}), clip with maxGradNorm, or look for bad values in the data`,
          )
        for (const [buffer, values] of result.buffers) buffer.data = values.data
        yield { event: 'step', step, epoch, loss, gradNorm: norm, learningRate: rate, rows }
        const metrics = await options.evaluate?.(step)
        if (metrics !== undefined) yield { event: 'eval', step, metrics }
        if (step >= totalSteps) break
      }
    }
    yield { event: 'done', steps: step, loss, seconds: (environment.now() - started) / 1000 }
  } finally {
    await cache.release()
    await optimizer.release()
  }
}

async function gradients(
  cache: SessionCache<Step>,
  model: Module,
  trainable: ReadonlyMap<Parameter, string>,
  batch: ModuleBatch,
  choice: LossChoice,
  seed: number,
): Promise<{ loss: number; gradient: Float32Array; buffers: [ModuleBuffer, HostTensor][] }> {
  const inputs = inputsOf(batch.input)
  const { dtype, shape } = batch.labels
  const key = `${signatureOf(model, batchTypes(inputs))}|${dtype}${shape.slice(1).join('x')}`
  const build = (): ReturnType<typeof stepGraph> => stepGraph(model, trainable, batch, choice)
  return cache.use(key, build, async ({ session, inputs: names, built }) => {
    const feeds = { ...stateFeeds(built.builder, seed), ...namedInputs(inputs), [LABELS_INPUT]: batch.labels }
    const results = await session.run(only(feeds, names))
    return {
      loss: Number(results[built.loss]!.data[0]),
      gradient: results[built.gradient]!.data as Float32Array,
      buffers: [...built.updates].map(([buffer, output]) => [buffer, results[output]!]),
    }
  })
}

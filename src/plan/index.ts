/** @file What a training run will need, before anything is loaded: `planTraining`, and `lowrank train --dry-run`. */
import { Adapter } from '../adapter/adapter.js'
import { packsWeights } from '../base/quantized-base.js'
import type { Batch } from '../data/batch.js'
import type { Dataset } from '../data/dataset.js'
import { InvalidDataError } from '../errors.js'
import { BoundDims } from './bind-dims.js'
import type { Graph } from '../graph/graph.js'
import { liveMemory } from './liveness.js'
import { planQuantization, quantizeProducts } from '../quantize/index.js'
import { bestRule, checkMetricForBest } from '../train/best.js'
import { checkData } from '../train/check-data.js'
import { metricNames } from '../train/evaluate.js'
import type { CheckingEvent } from '../train/events.js'
import { batchOptions, dataToCheck, extentOf, openData } from '../train/run-data.js'
import { resolveTrainOptions, type ResolvedTrainOptions } from '../train/option-table.js'
import type { TrainOptions } from '../train/options.js'
import { Sampler } from '../train/samples.js'
import { gradientOptions, lossOptions, stepGraph, type LossSessionOptions, type StepGraph } from '../train/step-graph.js'
import { Tracking } from '../train/tracking.js'
import { adapterTrainee, type Trainee } from '../train/trainee.js'
import { measureRates, secondsOf, type MachineRates } from './rates.js'
import { lengthsOf } from './shapes.js'
import { weightMemory } from './weights.js'
import { noOperations, workOf, type ProductKind, type Work } from './work.js'
import { traineeArgument } from '../train/trainee-argument.js'
import { checkArgument } from '../util/arguments.js'
import { presetModel } from '../train/preset-model.js'

/** The prediction, also the JSON that `lowrank train --dry-run --json` prints. Bytes and seconds. */
export interface TrainingPlan {
  /** Tells it apart from the events of a run. */
  readonly event: 'plan'
  /** Largest resident memory of the process; the sum of the bytes below. */
  readonly peakMemoryBytes: number
  /** Of one update, all its micro-batches together. */
  readonly secondsPerStep: number
  /** Frozen weights as the sessions hold them, copies arranged for products included. */
  readonly weightsBytes: number
  /** Values that are alive at the same time in forward and backward pass (and in evaluation). */
  readonly activationBytes: number
  /** Parameters, gradients, moments and the update. */
  readonly optimizerBytes: number
  /** Process, libraries and the compiled graph. */
  readonly runtimeBytes: number
  /** Operations of the products of one update, but for those with the thin matrices of LoRA. */
  readonly operationsPerStep: number
  /** Tokens of one update that are no padding, on average. */
  readonly tokensPerStep: number
  /** Updates of the run. */
  readonly steps: number
  /** Numbers that are trained. */
  readonly trainableParameters: number
  /** Those of the frozen model and the trained ones together. */
  readonly totalParameters: number
  /** Nodes of the graph of a step. */
  readonly nodes: number
}

/** Batches that are looked at: their longest rows decide on memory. */
const BATCHES = 64
/** Batches whose time is predicted. */
const TIMED_BATCHES = 8

/** Node and the library without a model, where the platform does not tell. */
const PROCESS_BYTES = 130e6
/** ONNX Runtime's own code and tables, once it has run something. */
const RUNTIME_BYTES = 24e6
/** What a compiled node takes. */
const NODE_BYTES = 9e3
/** Space between values that the allocator cannot use, in units of the largest value. */
const FRAGMENTATION = 1.75

/** The graph on a quantised base, whose tensors have types and shapes alone: nothing is packed or read. */
function onBase(graph: Graph, trainee: Trainee): Graph {
  const scheme = trainee.model.environment.base ?? 'fp32'
  if (scheme === 'fp32') return graph
  const plan = planQuantization(graph, scheme, graph.outputs[0]!.name)
  const specs = new Map(plan.flatMap((matrix) => matrix.specs.map((spec) => [spec.name, spec] as const)))
  return quantizeProducts(graph, scheme, plan, (name) => {
    const { dtype, shape } = specs.get(name)!
    return { dtype, shape, file: { path: '', offset: 0, length: 0 } }
  })
}

/** A session that the run will have: its graph, and the sub-batches that it runs for a batch. */
interface Planned {
  readonly graph: Graph
  /** Whether the session keeps weights arranged for products. */
  readonly packs: boolean
  readonly subBatches: StepGraph['subBatches']
  /** Names of the objective's further sums. */
  readonly sums: readonly string[]
}

function planned(trainee: Trainee, options: LossSessionOptions, training: boolean): Planned {
  const { graph, built, subBatches } = stepGraph(trainee, options, training)
  const packs = packsWeights(graph, trainee.model.environment.base)
  return { graph: onBase(graph, trainee), packs, subBatches, sums: Object.keys(built.sums ?? {}) }
}

/** A session of a run, and the batches that it runs. */
interface PlannedRun {
  readonly planned: Planned
  readonly batches: readonly Batch[]
}

/** The session of an objective, after that of what it must know of each batch first. */
function plannedRuns(trainee: Trainee, options: LossSessionOptions, training: boolean, batches: readonly Batch[]): PlannedRun[] {
  const { objective } = options
  const { preliminary } = objective
  const run = (batch: Batch): Batch => (training ? objective.learned?.(batch, 0) : undefined) ?? batch
  if (preliminary === undefined) return [{ planned: planned(trainee, options, training), batches: batches.map(run) }]
  const first = planned(trainee, { ...options, objective: preliminary.objective }, false)
  return [
    { planned: first, batches: batches.flatMap((batch) => preliminary.rowsOf(batch) ?? []) },
    {
      planned: planned(trainee, options, training),
      batches: batches.map((batch) => run(preliminary.told(batch, { loss: 0, count: 1 }))),
    },
  ]
}

interface Memory {
  readonly weights: number
  readonly activations: number
}

/** Memory of a session: its weights, and its values in the largest of the runs. */
function memoryOf({ graph, packs, subBatches }: Planned, batches: readonly Batch[], trainee: Trainee): Memory {
  const { plainBytes, packedBytes } = weightMemory(graph, packs)
  const seen = new Set<string>()
  let activations = 0
  for (const subBatch of batches.flatMap(subBatches)) {
    const lengths = lengthsOf(graph, subBatch, trainee.parameters.tensors)
    const key = JSON.stringify(lengths)
    if (seen.has(key)) continue
    seen.add(key)
    // Runs are cut to about the same number of positions: a few shapes tell what all of them need.
    if (seen.size > BATCHES) break
    const { peakBytes, largestBytes } = liveMemory(graph, new BoundDims(graph, lengths))
    activations = Math.max(activations, peakBytes + FRAGMENTATION * largestBytes)
  }
  return { weights: plainBytes + packedBytes, activations }
}

/** The first batches of the run, as it will see them. */
async function firstBatches(dataset: Dataset, options: ResolvedTrainOptions, size: number, count: number): Promise<Batch[]> {
  const batches: Batch[] = []
  const iteration = { ...batchOptions(options), batchSize: size, epochs: 1 }
  for await (const batch of dataset.batches(iteration)) {
    batches.push(batch)
    if (batches.length >= count) break
  }
  if (batches.length === 0) throw new InvalidDataError('the data has no row with a label: there is nothing to plan')
  return batches
}

const add = (works: readonly Work[]): Work => {
  const operations = { ...noOperations }
  for (const work of works) for (const kind of kindsOf(work)) operations[kind] += work.operations[kind]
  return {
    operations,
    movedBytes: works.reduce((sum, w) => sum + w.movedBytes, 0),
    nodes: works.reduce((sum, w) => sum + w.nodes, 0),
  }
}

const kindsOf = ({ operations }: Work): ProductKind[] =>
  (Object.keys(operations) as ProductKind[]).filter((kind) => operations[kind] > 0)

/**
 * Predicts peak memory and time per step of `train(subject, options)`: from the graph of a step, the lengths of the run's
 * first batches, and the speed of this machine, which is measured for about a second. No weight is read, no session
 * of the model is created, nothing is written.
 *
 * Rows are checked as `train` checks them.
 *
 * @param rates of the machine, where they are known
 * @param onChecking told how far that is, about once a second
 * @throws InvalidOptionError, InvalidDataError as `train` does; ShapeError for an .onnx file whose shapes only the run tells
 * @example
 * const { peakMemoryBytes, secondsPerStep } = await planTraining(adapter, { data: 'train.jsonl' })
 */
export async function planTraining(
  subject: Adapter | Trainee,
  options: TrainOptions,
  rates?: MachineRates,
  onChecking?: (event: CheckingEvent) => void,
): Promise<TrainingPlan> {
  checkArgument(subject, traineeArgument, 'planTraining')
  const trainee = subject instanceof Adapter ? adapterTrainee(subject) : subject
  const resolved = resolveTrainOptions(options, 'planTraining', presetModel(trainee.model))
  const { model, parameters } = trainee
  const { batchSize, gradAccum, maxLength, packing, evalBatchSize } = resolved
  // What is told of a run and written on its way is checked as train does; nobody is told, and nothing written.
  Tracking.open(trainee, resolved)
  await Sampler.open(trainee, resolved)
  const { objective, dataset, evalDataset: held } = await openData(trainee, resolved)
  const stopped = (): boolean => resolved.signal?.aborted === true
  for await (const event of checkData(dataToCheck(resolved, dataset, held), model.environment.now, stopped)) onChecking?.(event)
  const batches = await firstBatches(dataset, resolved, batchSize, BATCHES)
  const optionsOf = (rows: number, packed: boolean) => ({
    ...lossOptions(model, rows, maxLength, packed, objective),
    ...gradientOptions(resolved),
  })
  const runs = plannedRuns(trainee, optionsOf(batchSize, packing), true, batches)
  const { planned: training } = runs.at(-1)!
  const memory = runs.map((each) => memoryOf(each.planned, each.batches, trainee))
  if (held !== undefined) {
    const plain = { ...resolved, shuffle: false, packing: false, groupByLength: false }
    const heldBatches = await firstBatches(held, plain, evalBatchSize, BATCHES)
    const evaluation = plannedRuns(trainee, optionsOf(evalBatchSize, false), false, heldBatches)
    checkMetricForBest(metricNames(objective, evaluation.at(-1)!.planned.sums), bestRule(resolved))
    for (const each of evaluation) memory.push(memoryOf(each.planned, each.batches, trainee))
  }
  const timed = batches.slice(0, TIMED_BATCHES)
  const works = runs.flatMap(({ planned: { graph, subBatches }, batches: ofRun }) =>
    ofRun
      .slice(0, TIMED_BATCHES)
      .flatMap(subBatches)
      .map((subBatch) => workOf(graph, new BoundDims(graph, lengthsOf(graph, subBatch, parameters.tensors)))),
  )
  const work = add(works)
  // Before the calibration, whose sessions are no part of the run.
  const processBytes = model.environment.peakMemoryBytes() || PROCESS_BYTES
  const speed = rates ?? (await measureRates(model.environment, kindsOf(work), { disablePrepacking: !training.packs }))
  const share = gradAccum / timed.length
  const weightsBytes = sum(memory.map(({ weights }) => weights))
  const activationBytes = sum(memory.map(({ activations }) => activations))
  // Values, gradients (of a run and of the sum), two moments, and the update's results beside them.
  const optimizerBytes = 4 * 8 * parameters.count
  const runtimeBytes = processBytes + RUNTIME_BYTES + NODE_BYTES * training.graph.nodes.length
  const { totalSteps } = await extentOf(dataset, resolved)
  return {
    event: 'plan',
    peakMemoryBytes: Math.round(weightsBytes + activationBytes + optimizerBytes + runtimeBytes),
    secondsPerStep: secondsOf(work, speed) * share,
    weightsBytes,
    activationBytes: Math.round(activationBytes),
    optimizerBytes,
    runtimeBytes: Math.round(runtimeBytes),
    operationsPerStep: Math.round((sum(Object.values(work.operations)) - work.operations.widening) * share),
    tokensPerStep: Math.round(sum(timed.map(({ positions }) => positions)) * share),
    steps: totalSteps,
    trainableParameters: parameters.count,
    totalParameters: trainee.totalParameters,
    nodes: training.graph.nodes.length,
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

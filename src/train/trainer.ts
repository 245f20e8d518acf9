/** @file The training loop: an async generator of events. */
import { Adapter } from '../core/adapter.js'
import { TrainingError } from '../errors.js'
import { learningRateAt } from '../optim/schedule.js'
import type { Batch } from '../data/batch.js'
import type { BatchOptions, Dataset, PositionedBatch } from '../data/dataset.js'
import { loadCheckpoint, writeCheckpoint, type RunState } from './checkpoint.js'
import { evaluateDataset, openModelDataset, type Evaluation } from './evaluate.js'
import type { DoneEvent, EvalEvent, TrainEvent } from './events.js'
import { RunLog } from './log.js'
import { MAX_SKIPPED_IN_A_ROW, resolveTrainOptions, type ResolvedTrainOptions, type TrainOptions } from './options.js'
import { GradientSession, lossOptions, LossSession, UpdateSession } from './session.js'
import { adapterTrainee, type Trainee } from './trainee.js'

/**
 * Trains an adapter (or all weights, see `fullTrainee`) and yields an event for each step, evaluation and checkpoint.
 *
 * The same seed gives the same run on the same device and thread count, and a resumed run continues bit for bit:
 * everything random is a function of the seed and the step. A step whose loss or gradient is not finite never reaches
 * the parameters.
 *
 * @throws InvalidOptionError, InvalidDataError before the first step; TrainingError if the run diverges
 * @example
 * for await (const event of train(adapter, { data: 'train.jsonl', learningRate: 2e-4, epochs: 3 }))
 *   if (event.event === 'step') console.log(event.step, event.loss)
 */
export async function* train(subject: Adapter | Trainee, options: TrainOptions): AsyncGenerator<TrainEvent, DoneEvent> {
  const trainee = subject instanceof Adapter ? adapterTrainee(subject) : subject
  const resolved = resolveTrainOptions(options)
  const run = await Run.prepare(trainee, resolved)
  try {
    return yield* run.log.recording(run.events())
  } finally {
    await run.release()
  }
}

class Run {
  private state: RunState

  private constructor(
    private readonly trainee: Trainee,
    private readonly options: ResolvedTrainOptions,
    private readonly dataset: Dataset,
    private readonly evalDataset: Dataset | undefined,
    private readonly totalSteps: number,
    private readonly gradients: GradientSession,
    private readonly update: UpdateSession,
    private readonly evaluation: LossSession | undefined,
    readonly log: RunLog,
    state: RunState,
  ) {
    this.state = state
  }

  static async prepare(trainee: Trainee, options: ResolvedTrainOptions): Promise<Run> {
    const { model } = trainee
    const { files } = model.environment
    const dataset = await openModelDataset(model, options.data, options.maxLength)
    const evalDataset = options.evalData === undefined ? undefined : await openModelDataset(model, options.evalData, options.maxLength)
    const batchesPerEpoch = await dataset.batchesPerEpoch(batchOptions(options))
    const totalSteps = options.steps ?? Math.max(1, Math.ceil((batchesPerEpoch * options.epochs) / options.gradAccum))

    const update = await UpdateSession.create(trainee, {
      beta1: options.beta1,
      beta2: options.beta2,
      epsilon: options.epsilon,
      weightDecay: options.weightDecay,
      maxGradNorm: options.maxGradNorm === 0 ? Infinity : options.maxGradNorm,
    })
    const fingerprint = runFingerprint(trainee, options, dataset, totalSteps)
    let state: RunState = {
      step: 0,
      updates: 0,
      position: { epoch: 0, batch: 0 },
      microBatches: 0,
      bestEvalLoss: null,
      evaluationsSinceBest: 0,
      skippedInARow: 0,
      lastLoss: null,
      lastEvalLoss: null,
      fingerprint,
    }
    if (options.resume) {
      const loaded = await loadCheckpoint(files, options.out!, fingerprint, trainee.parameters, update.state)
      if (loaded !== undefined) state = loaded.state
    }
    const log = await RunLog.open(files, options.out, state.step)
    // Proof that the folder can be written, before hours of work depend on it.
    if (options.out !== undefined) await files.makeFolder(options.out)
    const gradients = await GradientSession.create(trainee, lossOptions(model, options.batchSize, options.maxLength, options.packing))
    const evaluation =
      evalDataset === undefined ? undefined : await LossSession.create(trainee, lossOptions(model, options.evalBatchSize, options.maxLength))
    return new Run(trainee, options, dataset, evalDataset, totalSteps, gradients, update, evaluation, log, state)
  }

  async release(): Promise<void> {
    await Promise.all([this.gradients.release(), this.update.release(), this.evaluation?.release()])
  }

  async *events(): AsyncGenerator<TrainEvent, DoneEvent> {
    const { options, trainee } = this
    const { now } = trainee.model.environment
    const started = now()
    yield {
      event: 'start',
      steps: this.totalSteps,
      resumedAt: this.state.step,
      trainableParameters: trainee.parameters.count,
      totalParameters: trainee.totalParameters,
      rows: this.dataset.length,
    }
    let stoppedEarly = false
    let evaluatedAt = -1
    let savedAt = this.state.step
    const batches = this.dataset.batches({ ...batchOptions(options), epochs: Infinity, start: this.state.position })
    try {
      while (this.state.step < this.totalSteps && !stoppedEarly) {
        const epoch = this.state.position.epoch
        yield* this.step(batches)
        const last = this.state.step === this.totalSteps
        const epochEnded = this.state.position.epoch !== epoch
        const due = options.evalEvery === undefined ? epochEnded : this.state.step % options.evalEvery === 0
        if (this.evaluation !== undefined && (due || last)) {
          yield await this.evaluate()
          evaluatedAt = this.state.step
          stoppedEarly = options.earlyStopping !== undefined && this.state.evaluationsSinceBest >= options.earlyStopping && !last
        }
        const aborted = options.signal?.aborted === true
        if (options.out !== undefined && (aborted || (options.checkpointEvery > 0 && this.state.step % options.checkpointEvery === 0))) {
          yield { event: 'checkpoint', step: this.state.step, path: await this.checkpoint() }
          savedAt = this.state.step
        }
        if (aborted) break
      }
    } finally {
      await batches.return(undefined)
    }
    const aborted = options.signal?.aborted === true && this.state.step < this.totalSteps
    if (this.evaluation !== undefined && evaluatedAt !== this.state.step && !aborted) yield await this.evaluate()
    if (options.out !== undefined && !aborted) {
      if (options.checkpointEvery > 0 && savedAt !== this.state.step) yield { event: 'checkpoint', step: this.state.step, path: await this.checkpoint() }
      await trainee.save(options.out)
    }
    const done: DoneEvent = {
      event: 'done',
      steps: this.state.step,
      loss: this.state.lastLoss ?? Number.NaN,
      ...(this.state.lastEvalLoss !== null && { evalLoss: this.state.lastEvalLoss }),
      trainableParameters: trainee.parameters.count,
      totalParameters: trainee.totalParameters,
      peakMemoryBytes: trainee.model.environment.peakMemoryBytes(),
      seconds: (now() - started) / 1000,
      stoppedEarly,
      ...(options.out !== undefined && { out: options.out }),
    }
    yield done
    return done
  }

  /** One update from `gradAccum` micro-batches, weighted by their labelled tokens. */
  private async *step(batches: AsyncGenerator<PositionedBatch>): AsyncGenerator<TrainEvent> {
    const { options, state } = this
    const { now } = this.trainee.model.environment
    const started = now()
    let sum = 0
    let labelled = 0
    let tokens = 0
    let gradient: Float32Array | undefined
    let position = state.position
    let microBatches = state.microBatches
    for (let k = 0; k < options.gradAccum; k++) {
      const { value: batch, done } = await batches.next()
      if (done === true) break
      const result = await this.gradients.run(batch, options.seed ^ Math.imul(++microBatches, 0x9e3779b1))
      sum += result.loss
      labelled += batch.tokens
      tokens += countNonZero(batch)
      position = batch.next
      if (gradient === undefined) gradient = result.gradient
      else for (let i = 0; i < gradient.length; i++) gradient[i]! += result.gradient[i]!
    }
    const loss = sum / labelled
    const learningRate = learningRateAt(state.step, {
      name: options.schedule,
      learningRate: options.learningRate,
      warmupSteps: options.warmup < 1 ? Math.ceil(options.warmup * this.totalSteps) : options.warmup,
      totalSteps: this.totalSteps,
    })
    const gradNorm = Number.isFinite(loss) ? await this.update.run(gradient!, 1 / labelled, learningRate) : Number.NaN
    const finite = Number.isFinite(loss) && Number.isFinite(gradNorm)
    const step = state.step + 1
    this.state = {
      ...state,
      step,
      updates: this.update.state.updates,
      position: await this.normalized(position),
      microBatches,
      skippedInARow: finite ? 0 : state.skippedInARow + 1,
      lastLoss: finite ? loss : state.lastLoss,
    }
    if (!finite) yield* this.nonFinite(step, loss, gradNorm)
    yield {
      event: 'step',
      step,
      epoch: position.epoch,
      loss,
      gradNorm,
      learningRate,
      tokens,
      tokensPerSecond: tokens / Math.max(1e-9, (now() - started) / 1000),
    }
  }

  /** The end of an epoch is the beginning of the next, so that a checkpoint does not depend on which was reached first. */
  private async normalized(position: RunState['position']): Promise<RunState['position']> {
    const perEpoch = await this.dataset.batchesPerEpoch(batchOptions(this.options))
    return position.batch >= perEpoch ? { epoch: position.epoch + 1, batch: 0 } : position
  }

  private async *nonFinite(step: number, loss: number, gradNorm: number): AsyncGenerator<TrainEvent> {
    const what = Number.isFinite(loss) ? `the gradient's norm is ${gradNorm}` : `the loss is ${loss}`
    const advice = 'Lower the learning rate, warm up, or check the rows of this batch'
    if (this.options.onNan === 'stop')
      throw new TrainingError(`step ${step}: ${what}. The parameters were not changed by this step. ${advice}, or skip such steps with onNan: "skip" (--on-nan skip).`)
    if (this.state.skippedInARow >= MAX_SKIPPED_IN_A_ROW)
      throw new TrainingError(`step ${step}: ${what}, for the ${this.state.skippedInARow}th step in a row: the run has diverged. ${advice}.`)
    yield { event: 'warning', step, message: `${what}: the update was skipped` }
    await Promise.resolve()
  }

  private async evaluate(): Promise<EvalEvent> {
    const result: Evaluation = await evaluateDataset(this.evaluation!, this.evalDataset!, this.options.evalBatchSize)
    const best = this.state.bestEvalLoss === null || result.loss < this.state.bestEvalLoss
    this.state = {
      ...this.state,
      bestEvalLoss: best ? result.loss : this.state.bestEvalLoss,
      evaluationsSinceBest: best ? 0 : this.state.evaluationsSinceBest + 1,
      lastEvalLoss: result.loss,
    }
    return { event: 'eval', step: this.state.step, ...result, best }
  }

  private checkpoint(): Promise<string> {
    return writeCheckpoint(this.trainee.model.environment.files, this.options.out!, this.state, this.trainee.parameters, this.update.state, {
      saveModel: (folder) => this.trainee.save(folder),
      keep: this.options.saveTotalLimit,
    })
  }
}

const batchOptions = (o: ResolvedTrainOptions): BatchOptions => ({
  batchSize: o.batchSize,
  shuffle: o.shuffle,
  seed: o.seed,
  bucket: o.groupByLength,
  packing: o.packing,
})

const countNonZero = ({ attentionMask }: Batch): number => {
  let count = 0
  for (const value of attentionMask.data as BigInt64Array) if (value !== 0n) count++
  return count
}

/** What must be equal for a continuation to be the same run. Lengths, output and evaluation may change. */
function runFingerprint(trainee: Trainee, o: ResolvedTrainOptions, dataset: Dataset, totalSteps: number): string {
  const { batchSize, gradAccum, learningRate, schedule, warmup, weightDecay, maxGradNorm, beta1, beta2, epsilon } = o
  const { maxLength, shuffle, seed, groupByLength, packing } = o
  return JSON.stringify({
    ...{ batchSize, gradAccum, learningRate, schedule, warmup, weightDecay, maxGradNorm, beta1, beta2, epsilon },
    ...{ maxLength, shuffle, seed, groupByLength, packing },
    // A constant rate without relative warm-up does not depend on the length of the run, so it may be prolonged.
    ...(schedule === 'constant' && (warmup >= 1 || warmup === 0) ? {} : { totalSteps }),
    data: dataset.fingerprint,
    trained: trainee.fingerprint,
  })
}

/** @file The training loop: an async generator of events. */
import { Adapter } from '../core/adapter.js'
import type { BatchOptions, Dataset, PositionedBatch, RowReport } from '../data/dataset.js'
import type { Position } from '../data/order.js'
import { anyOf } from '../distributed/communicator.js'
import { TrainingError } from '../errors.js'
import { loraPlusRates } from '../optim/lora-plus.js'
import { learningRateAt } from '../optim/schedule.js'
import { loadCheckpoint, refuseCheckpoints, removeLeftovers, writeCheckpoint } from './checkpoint.js'
import {
  checkDivisible,
  checkSameRun,
  optionsOfRank,
  shareGradients,
  shareStart,
  shareUpdate,
  type Gradients,
  type Update,
} from './distributed.js'
import { chooseObjective, evaluateDataset, openTaskDataset } from './evaluate.js'
import type { DoneEvent, EvalEvent, TrainEvent, WarningEvent } from './events.js'
import { runFingerprint } from './fingerprint.js'
import { RunLog } from './log.js'
import { MAX_SKIPPED_IN_A_ROW, resolveTrainOptions, type ResolvedTrainOptions, type TrainOptions } from './options.js'
import { RowNotes, TurnEnds } from './row-notes.js'
import { writeRunCard } from './run-card.js'
import { initialState, type RunState } from './run-state.js'
import { dropoutSeedOf, GradientSession, lossOptions, LossSession, UpdateSession } from './session.js'
import { adapterTrainee, type Trainee } from './trainee.js'

/**
 * Trains an adapter (or all weights, see `fullTrainee`) and yields an event for each step, evaluation and checkpoint.
 *
 * The same seed gives the same run on the same device and thread count, and a resumed run continues bit for bit:
 * everything random is a function of the seed and the step. A step whose loss, gradient or result is not finite never
 * reaches the parameters.
 *
 * @throws InvalidOptionError, InvalidDataError before the first step; InvalidDataError naming a row when it is met;
 * TrainingError if the run diverges; FileError if the output cannot be written
 * @example
 * for await (const event of train(adapter, { data: 'train.jsonl', learningRate: 2e-4, epochs: 3 }))
 *   if (event.event === 'step') console.log(event.step, event.loss)
 */
export async function* train(subject: Adapter | Trainee, options: TrainOptions): AsyncGenerator<TrainEvent, DoneEvent> {
  const trainee = subject instanceof Adapter ? adapterTrainee(subject) : subject
  const run = await Run.prepare(trainee, optionsOfRank(resolveTrainOptions(options)))
  try {
    return yield* run.log.recording(run.events())
  } finally {
    await run.release()
  }
}

interface Sessions {
  readonly update: Update
  readonly gradients: Gradients
  readonly evaluation: LossSession | undefined
}

/** How far the data goes: batches of an epoch, and of the whole run (Infinity if the number of steps decides). */
interface Extent {
  readonly perEpoch: number
  readonly end: number
  readonly totalSteps: number
}

async function extentOf(dataset: Dataset, options: ResolvedTrainOptions): Promise<Extent> {
  const perEpoch = await dataset.batchesPerEpoch(batchOptions(options))
  if (options.steps !== undefined) return { perEpoch, end: Infinity, totalSteps: options.steps }
  // 0.1 of 30 batches are 3, not the 4 that rounding up 3.0000000000000004 gives.
  const end = Math.max(1, Math.ceil(perEpoch * options.epochs - 1e-9))
  return { perEpoch, end, totalSteps: Math.ceil(end / options.gradAccum) }
}

class Run {
  /** Set when the data ends before the planned steps do, for rows were skipped. */
  private dataEnded = false
  /** Set when this or another process was asked to stop. */
  private aborted = false

  private constructor(
    private readonly trainee: Trainee,
    private readonly options: ResolvedTrainOptions,
    readonly dataset: Dataset,
    readonly evalDataset: Dataset | undefined,
    private readonly notes: RowNotes,
    private readonly ends: TurnEnds,
    private readonly extent: Extent,
    private readonly sessions: Sessions,
    readonly log: RunLog,
    private state: RunState,
  ) {}

  static async prepare(trainee: Trainee, options: ResolvedTrainOptions): Promise<Run> {
    const { model, parameters } = trainee
    const { files } = model.environment
    const { out, batchSize, evalBatchSize, maxLength, packing, communicator } = options
    const ends = new TurnEnds()
    const notes = new RowNotes({ maxLength, maxPositions: model.maxPositions, ends })
    const { onSkip, onRow } = notes
    const rows = { maxLength, unlabelled: options.unlabelled, onSkip, onRow }
    const objective = await chooseObjective(model, options.data, options)
    checkDivisible(communicator, objective)
    const dataset = await openTaskDataset(model, objective, options.data, rows)
    // How the turns of evaluation rows end is not learned.
    const evalRows = { ...rows, onRow: ({ turnEnd: _, ...report }: RowReport) => onRow(report) }
    const { evalData } = options
    const evalDataset = evalData === undefined ? undefined : await openTaskDataset(model, objective, evalData, evalRows)
    const extent = await extentOf(dataset, options)
    const fingerprint = await runFingerprint(trainee, options, objective, dataset, extent.totalSteps)
    await checkSameRun(communicator, fingerprint, options, extent.totalSteps, evalDataset)

    const open: { release(): Promise<void> }[] = []
    const opened = <T extends { release(): Promise<void> }>(session: T): T => {
      open.push(session)
      return session
    }
    try {
      const update = opened(
        await UpdateSession.create(
          trainee,
          {
            beta1: options.beta1,
            beta2: options.beta2,
            epsilon: options.epsilon,
            weightDecay: options.weightDecay,
            maxGradNorm: options.maxGradNorm === 0 ? Infinity : options.maxGradNorm,
          },
          rateFactors(trainee, options),
        ),
      )
      let state = initialState(fingerprint)
      if (out !== undefined) {
        if (options.resume) state = (await loadCheckpoint(files, out, fingerprint, parameters, update.state))?.state ?? state
        else await refuseCheckpoints(files, out)
        await removeLeftovers(files, out)
      }
      // Also the proof that the folder can be written, before hours of work depend on it.
      const log = await RunLog.open(files, out, state.step)
      state = await shareStart(communicator, state, parameters)
      const lossOf = (rows: number, packed: boolean) => lossOptions(model, rows, maxLength, packed, objective)
      const { recompute } = options
      const gradients = opened(await GradientSession.create(trainee, { ...lossOf(batchSize, packing), recompute }))
      const evaluation = evalDataset && opened(await LossSession.create(trainee, lossOf(evalBatchSize, false)))
      const sessions = {
        update: shareUpdate(communicator, update, parameters),
        gradients: shareGradients(communicator, gradients),
        evaluation,
      }
      return new Run(trainee, options, dataset, evalDataset, notes, ends, extent, sessions, log, state)
    } catch (error) {
      await Promise.all(open.map((session) => session.release()))
      throw error
    }
  }

  async release(): Promise<void> {
    const { update, gradients, evaluation } = this.sessions
    await Promise.all([update.release(), gradients.release(), evaluation?.release()])
  }

  private get finished(): boolean {
    return this.dataEnded || this.state.step >= this.extent.totalSteps
  }

  /** A function of the state alone, so that resuming a run that stopped early does not prolong it. */
  private get stoppedEarly(): boolean {
    const { earlyStopping } = this.options
    return earlyStopping !== undefined && this.state.evaluationsSinceBest >= earlyStopping && !this.finished
  }

  /** Asked of everybody at once, so that nobody waits for one who has left. */
  private async askedToStop(): Promise<boolean> {
    this.aborted = await anyOf(this.options.communicator, this.options.signal?.aborted === true)
    return this.aborted
  }

  async *events(): AsyncGenerator<TrainEvent, DoneEvent> {
    const { options, trainee, sessions } = this
    const { now } = trainee.model.environment
    const started = now()
    yield {
      event: 'start',
      steps: this.extent.totalSteps,
      resumedAt: this.state.step,
      trainableParameters: trainee.parameters.count,
      totalParameters: trainee.totalParameters,
      rows: this.dataset.length,
      ...(options.communicator.size > 1 && { processes: options.communicator.size }),
    }
    let savedAt = this.state.step
    const batches = this.dataset.batches({ ...batchOptions(options), epochs: Infinity, start: this.state.position })
    try {
      while (!this.finished && !this.stoppedEarly && !(await this.askedToStop())) {
        const { step, position } = this.state
        yield* this.step(batches)
        if (this.state.step === step) break
        const epochEnded = this.state.position.epoch !== position.epoch
        const due = options.evalEvery === undefined ? epochEnded : this.state.step % options.evalEvery === 0
        if (sessions.evaluation !== undefined && (due || this.finished)) yield await this.evaluate()
        if (options.checkpointEvery > 0 && this.state.step % options.checkpointEvery === 0) {
          yield await this.checkpoint()
          savedAt = this.state.step
        }
      }
    } finally {
      await batches.return(undefined)
    }
    const interrupted = this.aborted && !this.finished && !this.stoppedEarly
    if (sessions.evaluation !== undefined && this.state.lastEvalStep !== this.state.step && !interrupted)
      yield await this.evaluate()
    yield* this.rowNotes()
    const wanted = options.out !== undefined && (interrupted || options.checkpointEvery > 0)
    if (wanted && savedAt !== this.state.step) yield await this.checkpoint()
    if (options.out !== undefined && !interrupted) {
      await trainee.save(options.out)
      await writeRunCard(trainee, options, this)
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
      stoppedEarly: this.stoppedEarly,
      ...(options.out !== undefined && { out: options.out }),
    }
    yield done
    return done
  }

  /** The next batch, or undefined at the end of the run's data. */
  private async nextBatch(batches: AsyncGenerator<PositionedBatch>, position: Position): Promise<PositionedBatch | undefined> {
    const { perEpoch, end } = this.extent
    const place = ({ epoch, batch }: Position): number => epoch * perEpoch + batch
    if (place(position) >= end) return undefined
    const { value, done } = await batches.next()
    return done === true || place(value.next) > end ? undefined : value
  }

  /** One update from `gradAccum` micro-batches, fewer at the end of the data, weighted by what their losses count. */
  private async *step(batches: AsyncGenerator<PositionedBatch>): AsyncGenerator<TrainEvent> {
    const { options, state, sessions } = this
    const { now } = this.trainee.model.environment
    const started = now()
    let sum = 0
    let labelled = 0
    let tokens = 0
    const sums: Record<string, number> = {}
    let gradient: Float32Array | undefined
    let position = state.position
    let microBatches = state.microBatches
    let epoch = position.epoch
    for (let k = 0; k < options.gradAccum; k++) {
      const batch = await this.nextBatch(batches, position)
      if (batch === undefined) break
      const result = await sessions.gradients.run(batch, dropoutSeedOf(options.seed, microBatches++))
      sum += result.loss
      labelled += result.count
      for (const [name, value] of Object.entries(result.sums)) sums[name] = (sums[name] ?? 0) + value
      tokens += batch.positions
      position = this.normalized(batch.next)
      epoch = batch.next.epoch
      if (gradient === undefined) gradient = result.gradient
      else for (let i = 0; i < gradient.length; i++) gradient[i]! += result.gradient[i]!
    }
    yield* this.rowNotes()
    if (gradient === undefined) {
      this.dataEnded = true
      return
    }
    const loss = sum / labelled
    const learningRate = learningRateAt(state.step, {
      name: options.schedule,
      learningRate: options.learningRate,
      warmupSteps: options.warmup < 1 ? Math.ceil(options.warmup * this.extent.totalSteps) : options.warmup,
      totalSteps: this.extent.totalSteps,
    })
    const { norm: gradNorm, applied } = Number.isFinite(loss)
      ? await sessions.update.run(gradient, 1 / labelled, learningRate)
      : { norm: Number.NaN, applied: false }
    const step = state.step + 1
    this.state = {
      ...state,
      step,
      updates: sessions.update.state.updates,
      position,
      microBatches,
      skippedInARow: applied ? 0 : state.skippedInARow + 1,
      lastLoss: applied ? loss : state.lastLoss,
    }
    if (!applied) yield this.nonFinite(loss, gradNorm)
    yield {
      event: 'step',
      step,
      epoch,
      loss,
      gradNorm,
      ...Object.fromEntries(Object.entries(sums).map(([name, value]) => [name, value / labelled])),
      learningRate,
      tokens,
      tokensPerSecond: tokens / Math.max(1e-9, (now() - started) / 1000),
    }
  }

  /** The end of an epoch is the beginning of the next, so that a checkpoint does not depend on which was reached first. */
  private normalized(position: Position): Position {
    return position.batch >= this.extent.perEpoch ? { epoch: position.epoch + 1, batch: 0 } : position
  }

  /** @throws TrainingError if the run may not or cannot go on */
  private nonFinite(loss: number, gradNorm: number): WarningEvent {
    const { step, skippedInARow } = this.state
    const what = !Number.isFinite(loss)
      ? `the loss is ${loss}`
      : !Number.isFinite(gradNorm)
        ? `the gradient's norm is ${gradNorm}`
        : 'the update leaves the range of float32'
    const advice = 'Lower the learning rate, warm up, or check the rows of this batch'
    if (this.options.onNan === 'stop')
      throw new TrainingError(
        `step ${step}: ${what}. The parameters were not changed by this step. ${advice}, or skip such steps with onNan: "skip" (--on-nan skip).`,
      )
    if (skippedInARow >= MAX_SKIPPED_IN_A_ROW)
      throw new TrainingError(`step ${step}: ${what}, for the ${skippedInARow}th step in a row: the run has diverged. ${advice}.`)
    return { event: 'warning', step, message: `${what}: the update was skipped` }
  }

  private *rowNotes(): Generator<WarningEvent> {
    this.trainee.addEndTokens?.(this.ends.tokens)
    for (const message of this.notes.take()) yield { event: 'warning', step: this.state.step + 1, message }
  }

  private async evaluate(): Promise<EvalEvent> {
    const { state, options } = this
    const result = await evaluateDataset(
      this.sessions.evaluation!,
      this.evalDataset!,
      options.evalBatchSize,
      options.communicator,
    )
    const best = result.loss < (state.bestEvalLoss ?? Infinity)
    this.state = {
      ...state,
      bestEvalLoss: best ? result.loss : state.bestEvalLoss,
      evaluationsSinceBest: best ? 0 : state.evaluationsSinceBest + 1,
      lastEvalLoss: Number.isFinite(result.loss) ? result.loss : null,
      lastEvalStep: state.step,
    }
    return { event: 'eval', step: state.step, ...result, best }
  }

  private async checkpoint(): Promise<TrainEvent> {
    const { trainee, state, options } = this
    const path = await writeCheckpoint(
      trainee.model.environment.files,
      options.out!,
      state,
      trainee.parameters,
      this.sessions.update.state,
      { saveModel: (folder) => trainee.save(folder), keep: options.saveTotalLimit },
    )
    return { event: 'checkpoint', step: state.step, path }
  }
}

/** LoRA+: factors of the learning rate, by which the embedding's own rate follows the schedule too, as PEFT's groups do. */
function rateFactors({ parameters }: Trainee, options: ResolvedTrainOptions): Float32Array | undefined {
  const { loraPlusLrRatio, loraPlusLrEmbedding = 1e-6, learningRate } = options
  if (loraPlusLrRatio === undefined) return undefined
  return loraPlusRates(parameters.specs, 1, {
    loraPlusLrRatio,
    loraPlusLrEmbedding: learningRate === 0 ? 0 : loraPlusLrEmbedding / learningRate,
  })
}

const batchOptions = (o: ResolvedTrainOptions): BatchOptions => ({
  batchSize: o.batchSize * o.communicator.size,
  shuffle: o.shuffle,
  seed: o.seed,
  bucket: o.groupByLength,
  packing: o.packing,
})

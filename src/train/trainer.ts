/** @file The training loop: an async generator of events. */
import { Adapter } from '../adapter/adapter.js'
import type { ParameterVector } from '../adapter/parameter-vector.js'
import type { Dataset, PositionedBatch } from '../data/dataset.js'
import type { Position } from '../data/order.js'
import { anyOf } from '../distributed/communicator.js'
import { InvalidOptionError, TrainingError, messageOf } from '../errors.js'
import { loraPlusRates } from '../optim/lora-plus.js'
import { learningRateAt } from '../optim/schedule.js'
import { checkData } from './check-data.js'
import { loadCheckpoint, writeCheckpoint } from './checkpoint.js'
import {
  checkDivisible,
  checkSameRun,
  isAgreed,
  shareGradients,
  shareStart,
  shareUpdate,
  together,
  type Gradients,
  type Start,
  type Update,
} from './distributed.js'
import { bestRule, checkMetricForBest, isBetter, keepsBest, ruleText, valueForBest, type BestRule } from './best.js'
import { evaluateDataset, metricNames } from './evaluate.js'
import type {
  CheckpointEvent,
  DoneEvent,
  EndReason,
  EvalEvent,
  SamplesEvent,
  StepEvent,
  TrainEvent,
  WarningEvent,
} from './events.js'
import { runFingerprint } from './fingerprint.js'
import { RunLog } from './log.js'
import { meansOf, type Objective } from './objective.js'
import { resolveTrainOptions, type ResolvedTrainOptions } from './option-table.js'
import type { TrainOptions } from './options.js'
import { Output } from './output.js'
import { Sampler } from './samples.js'
import { RowNotes } from './row-notes.js'
import { TurnEnds } from './turn-ends.js'
import { UnpairedNotes } from './unpaired-notes.js'
import { batchOptions, dataToCheck, extentOf, openData, type Extent } from './run-data.js'
import { writeRunFile } from './run-file.js'
import { writeRunCard } from './run-card.js'
import { initialState, type RunState } from './run-state.js'
import { DisposableResource } from '../util/disposable.js'
import { Tracking } from './tracking.js'
import { UpdateSession, type UpdateOptions } from './update-session.js'
import { LossSession } from './loss-session.js'
import { dropoutSeedOf, GradientSession } from './gradient-session.js'
import { gradientOptions, lossOptions } from './step-graph.js'
import { UpdateTotal } from './update-total.js'
import { adapterTrainee, type Trainee } from './trainee.js'
import { checkArgument } from '../util/arguments.js'
import { traineeArgument } from './trainee-argument.js'
import { presetModel } from './preset-model.js'

/** Consecutive skipped updates after which `onNan: 'skip'` gives up: the run has diverged. */
const MAX_SKIPPED_IN_A_ROW = 20

/** What is being trained at this moment: its values change under whoever else would. */
const trained = new WeakSet<ParameterVector>()

/**
 * Trains an adapter (or all weights, see `fullTrainee`) and yields an event for each step, evaluation and checkpoint.
 *
 * The same seed gives the same run on the same device and thread count, and a resumed run continues bit for bit:
 * everything random is a function of the seed and the step. A step whose loss, gradient or result is not finite never
 * reaches the parameters.
 *
 * Every row is read and tokenised once before the first step. With `out`, nothing that was learned is lost: whatever error
 * ends the run, and also a loop that is left early, a checkpoint is written first, which `resume` continues; the log says so.
 *
 * When adapter or model are disposed of meanwhile, the run ends as if its loop were left, and says so in an error.
 *
 * @throws InvalidOptionError, InvalidDataError (naming up to ten bad rows) before the first step; TrainingError if the run
 * diverges; FileError if the output cannot be written or another run writes there. After the first step an `error` event
 * comes before the error
 * @example
 * for await (const event of train(adapter, { data: 'train.jsonl', learningRate: 2e-4, epochs: 3 }))
 *   if (event.event === 'step') console.log(event.step, event.loss)
 */
export async function* train(subject: Adapter | Trainee, options: TrainOptions): AsyncGenerator<TrainEvent, DoneEvent> {
  checkArgument(subject, traineeArgument, 'train')
  const trainee = subject instanceof Adapter ? adapterTrainee(subject) : subject
  const resolved = resolveTrainOptions(options, 'train', presetModel(trainee.model))
  const events = runOf(trainee, resolved, subject instanceof Adapter ? 'adapter' : 'model')
  let ended: InvalidOptionError | undefined
  /** Whether the run has come to its end by itself: what is disposed of from then on ends nothing. */
  let over = false
  const held = { 'the adapter': subject, 'the model': trainee.model }
  const forget = Object.entries(held).flatMap(([what, resource]) =>
    resource instanceof DisposableResource
      ? [
          resource.endBeforeDispose(async () => {
            if (over) return
            ended ??= disposedMeanwhile(what, resolved.out)
            await events.return(undefined as never)
          }),
        ]
      : [],
  )
  try {
    for (;;) {
      const next = await events.next()
      if (next.done !== true) {
        over = next.value.event === 'done' || next.value.event === 'error'
        resolved.onEvent?.(next.value)
        yield next.value
      } else if (ended === undefined) return next.value
      else throw ended
    }
  } finally {
    for (const each of forget) each()
    await events.return(undefined as never)
  }
}

const disposedMeanwhile = (what: string, out: string | undefined): InvalidOptionError =>
  new InvalidOptionError(
    `${what} was disposed while it was trained, which ended the run; ` +
      (out === undefined
        ? 'nothing was saved, for the run had no output folder (out)'
        : `what was learned until then is in the newest checkpoint in "${out}", which resume (--resume) continues`),
  )

/** A run, which has its adapter or model for itself. */
async function* runOf(
  trainee: Trainee,
  resolved: ResolvedTrainOptions,
  what: 'adapter' | 'model',
): AsyncGenerator<TrainEvent, DoneEvent> {
  const { parameters } = trainee
  if (trained.has(parameters))
    throw new InvalidOptionError(`this ${what} is being trained already; wait until that run ends, or leave its loop`)
  trained.add(parameters)
  const { communicator } = resolved
  let output: Output | undefined
  try {
    output = await together(communicator, () =>
      communicator.rank === 0 ? Output.take(trainee, resolved) : Promise.resolve(undefined),
    )
    const run = yield* Run.prepare({ trainee, options: resolved, output })
    try {
      return yield* run.events()
    } finally {
      await run.release()
    }
  } finally {
    trained.delete(parameters)
    await output?.release()
  }
}

interface Sessions {
  readonly update: Update
  readonly gradients: Gradients
  readonly evaluation: LossSession | undefined
}

/** What is trained, how, and where to. */
interface Assignment {
  readonly trainee: Trainee
  readonly options: ResolvedTrainOptions
  /** Of the process that writes. */
  readonly output: Output | undefined
}

/** A run before its first step: read, checked and compiled. */
interface Prepared extends Assignment {
  readonly objective: Objective
  readonly dataset: Dataset
  readonly evalDataset: Dataset | undefined
  readonly notes: RowNotes
  readonly ends: TurnEnds
  readonly unpaired: UnpairedNotes
  readonly extent: Extent
  readonly sessions: Sessions
  readonly log: RunLog
  readonly tracking: Tracking
  readonly sampler: Sampler | undefined
  readonly start: Start
  /** The checkpoint that it continues. */
  readonly resumedFrom: string | undefined
}

class Run {
  /** Set when the data ends before the planned steps do, for rows were skipped. */
  private dataEnded = false
  /** Set when this or another process was asked to stop. */
  private aborted = false
  private state: RunState
  /** What the best evaluation was of, where the best is wanted. */
  private best: Float32Array | undefined
  private readonly rule: BestRule
  /** Step whose state is on disk. */
  private savedAt: number
  /** Step whose texts were written. */
  private sampledAt: number | undefined
  private checkpointPath: string | undefined
  private readonly trainee: Trainee
  private readonly options: ResolvedTrainOptions
  private readonly started: number

  private constructor(private readonly prepared: Prepared) {
    this.trainee = prepared.trainee
    this.options = prepared.options
    this.state = prepared.start.state
    this.best = prepared.start.best
    this.rule = bestRule(prepared.options)
    this.savedAt = this.state.step
    this.checkpointPath = prepared.resumedFrom
    this.started = this.trainee.model.environment.now()
  }

  /** Reads, checks and compiles everything that the run needs; nothing of an earlier run is touched until that is done. */
  static async *prepare(given: Assignment): AsyncGenerator<TrainEvent, Run> {
    const { trainee, output } = given
    const { model, parameters } = trainee
    const { files, now } = model.environment
    const { out, batchSize, evalBatchSize, maxLength, packing, communicator } = given.options
    // Whatever a tracker lacks is said before anything is read.
    const tracking = await together(communicator, async () =>
      Tracking.open(trainee, communicator.rank === 0 ? given.options : { ...given.options, reportTo: [] }),
    )
    const sampler = await together(communicator, () => Sampler.open(trainee, given.options))
    const ends = new TurnEnds()
    const notes = new RowNotes({ maxLength, maxPositions: model.maxPositions, valSplitBy: given.options.valSplitBy })
    // How the turns of evaluation rows end is not learned, nor which of them are desirable.
    const unpaired = new UnpairedNotes()
    const listeners = { data: [notes, ends, unpaired], evalData: [notes] }
    const { objective, dataset, evalDataset, options } = await together(communicator, () =>
      openData(trainee, given.options, listeners),
    )
    checkDivisible(communicator, objective)
    const continues = await anyOf(communicator, output?.continues === true)
    const parts = dataToCheck(options, dataset, evalDataset)
    // A run that continues has seen the same rows to train on before, as the fingerprint will say.
    const checked = checkData(parts.filter(({ name }) => !continues || name === 'evalData'), now, () => options.signal?.aborted === true) // prettier-ignore
    const failure = yield* failureOf(checked)
    await together(communicator, async () => {
      if (failure !== undefined) throw failure.error
    })
    const extent = await together(communicator, () => extentOf(dataset, options))
    const fingerprint =
      out === undefined && communicator.size === 1
        ? ''
        : await together(communicator, () => runFingerprint(trainee, options, objective, dataset, evalDataset, extent))
    await checkSameRun(communicator, fingerprint, options, extent.totalSteps, evalDataset)

    const open: { release(): Promise<void> }[] = []
    const opened = <T extends { release(): Promise<void> }>(session: T): T => {
      open.push(session)
      return session
    }
    try {
      const { update, loaded } = await together(communicator, async () => {
        const update = opened(
          await UpdateSession.create(trainee, { ...updateOptions(options), rateFactors: rateFactors(trainee, options) }),
        )
        const loaded = output?.continues === true ? await loadCheckpoint(files, output.path, fingerprint, parameters, update.state) : undefined // prettier-ignore
        return { update, loaded }
      })
      if (loaded !== undefined) checkStepsLeft(loaded.state.step, extent.totalSteps, output!.path)
      const first = { state: loaded?.state ?? initialState(fingerprint), best: loaded?.best }
      // A value of other rows is no measure for those of now.
      const ofRows = out === undefined || evalDataset === undefined ? '' : `, ${await together(communicator, () => evalDataset.fingerprint())}` // prettier-ignore
      const start = startOf(await shareStart(communicator, first, parameters), options, `${ruleText(bestRule(options))}${ofRows}`) // prettier-ignore
      const lossOf = (rows: number, packed: boolean) => lossOptions(model, rows, maxLength, packed, objective)
      const sessions = await together(communicator, async () => ({
        update: shareUpdate(communicator, update, parameters),
        gradients: shareGradients(
          communicator,
          opened(await GradientSession.create(trainee, { ...lossOf(batchSize, packing), ...gradientOptions(options) })),
        ),
        evaluation: evalDataset && opened(await LossSession.create(trainee, lossOf(evalBatchSize, false))),
      }))
      if (sessions.evaluation !== undefined)
        checkMetricForBest(metricNames(objective, sessions.evaluation.sums), bestRule(options))
      return new Run({
        ...{
          trainee,
          options,
          output,
          objective,
          dataset,
          evalDataset,
          notes,
          ends,
          unpaired,
          extent,
          sessions,
          start,
          tracking,
          sampler,
        },
        log: await together(communicator, async () => {
          await output?.prepare()
          if (output !== undefined) await writeRunFile(files, output.path, trainee, options)
          return RunLog.open(files, output?.path, start.state.step, () => output?.keep() ?? Promise.resolve())
        }),
        resumedFrom: loaded?.path,
      })
    } catch (error) {
      await Promise.all(open.map((session) => session.release()))
      throw error
    }
  }

  async release(): Promise<void> {
    const { update, gradients, evaluation } = this.prepared.sessions
    await Promise.all([update.release(), gradients.release(), evaluation?.release(), this.prepared.tracking.end('failed')])
  }

  private get finished(): boolean {
    return this.dataEnded || this.state.step >= this.prepared.extent.totalSteps
  }

  /** A function of the state alone, so that resuming a run that stopped early does not prolong it. */
  private get stoppedEarly(): boolean {
    const { earlyStopping } = this.options
    return earlyStopping !== undefined && this.state.evaluationsSinceBest >= earlyStopping && !this.finished
  }

  private get reason(): EndReason {
    return this.finished ? 'finished' : this.stoppedEarly ? 'stoppedEarly' : 'aborted'
  }

  /** Tokens that learned turns end with and that the model does not stop at. */
  private get endTokens(): readonly number[] {
    return [...new Set([...this.state.endTokens, ...this.prepared.ends.tokens])]
  }

  /** Whether process 0 writes anything; the others wait for it. */
  private get saves(): boolean {
    return this.options.out !== undefined
  }

  /** Asked of everybody at once, so that nobody waits for one who has left. */
  private async askedToStop(): Promise<boolean> {
    this.aborted = await anyOf(this.options.communicator, this.options.signal?.aborted === true)
    return this.aborted
  }

  private together<T>(task: () => Promise<T>): Promise<T> {
    return together(this.options.communicator, task)
  }

  /** An event that the log knows before the caller does. */
  private async told<E extends TrainEvent>(event: E): Promise<E> {
    await this.together(() => this.record(event))
    return event
  }

  /** Tells the log and the trackers. */
  private async record(event: TrainEvent): Promise<void> {
    await this.prepared.log.append(event)
    this.prepared.tracking.tell(event)
  }

  /** What trackers have to say, known to the log; process 0 alone has some. */
  private async trackerWarnings(): Promise<WarningEvent[]> {
    if (this.options.reportTo === undefined) return []
    return this.together(async () => {
      const { step } = this.state
      const warnings = this.prepared.tracking.warnings().map((message): WarningEvent => ({ event: 'warning', step, message }))
      for (const warning of warnings) await this.record(warning)
      return warnings
    })
  }

  async *events(): AsyncGenerator<TrainEvent, DoneEvent> {
    let outcome: 'left' | 'failed' | 'done' = 'left'
    try {
      yield* this.course()
      const result = await this.conclude()
      await this.prepared.tracking.end(result.reason === 'aborted' ? 'aborted' : 'finished')
      const warnings = await this.trackerWarnings()
      const done = await this.told(result)
      outcome = 'done'
      yield* warnings
      yield done
      return done
    } catch (error) {
      outcome = 'failed'
      yield* this.rescue(error)
      throw error
    } finally {
      if (outcome === 'left') await this.leave()
    }
  }

  private async *course(): AsyncGenerator<TrainEvent> {
    const { options, trainee } = this
    const { dataset, extent, sessions } = this.prepared
    yield await this.told({
      event: 'start',
      steps: extent.totalSteps,
      resumedAt: this.state.step,
      trainableParameters: trainee.parameters.count,
      totalParameters: trainee.totalParameters,
      rows: dataset.length,
      ...(options.communicator.size > 1 && { processes: options.communicator.size }),
    })
    // One that goes on has said what there is to say of the rows, and knows how their turns end.
    const { notes: ofRows, ends, unpaired, objective } = this.prepared
    const notes = [
      ...ofRows.take(),
      ...ends.messages,
      ...unpaired.take(objective, dataset.length % batchOptions(options).batchSize),
    ]
    this.trainee.addEndTokens?.(this.endTokens)
    if (this.state.step === 0)
      for (const message of notes) yield await this.told({ event: 'warning', step: this.state.step + 1, message })
    // Asked for, or of a run that was left, or failed, before it had evaluated.
    const atStart = options.evalAtStart && this.state.step === 0
    if (atStart) yield* this.samples()
    if (sessions.evaluation !== undefined && (atStart || this.state.evaluationDue)) yield* this.evaluate()
    const batches = dataset.batches({ ...batchOptions(options), epochs: Infinity, start: this.state.position })
    try {
      while (!this.finished && !this.stoppedEarly && !(await this.askedToStop())) {
        const { step, position } = this.state
        for (const event of await this.step(batches)) yield await this.told(event)
        yield* await this.trackerWarnings()
        if (this.state.step === step) break
        if (this.finished || this.samplesDue(position)) yield* this.samples()
        if (sessions.evaluation !== undefined && (this.state.evaluationDue || this.finished)) yield* this.evaluate()
        if (options.checkpointEvery > 0 && this.state.step % options.checkpointEvery === 0) yield* this.checkpoint()
      }
    } finally {
      await batches.return(undefined)
    }
    const interrupted = this.reason === 'aborted'
    if (this.dataEnded || this.stoppedEarly) yield* this.samples()
    if (sessions.evaluation !== undefined && this.state.lastEvalStep !== this.state.step && !interrupted) yield* this.evaluate()
    if (interrupted || options.checkpointEvery > 0) yield* this.checkpoint()
  }

  /** Saves the result of a run that came to its end. */
  private async conclude(): Promise<DoneEvent> {
    const { trainee, reason } = this
    if (reason !== 'aborted') {
      trainee.addEndTokens?.(this.endTokens)
      // The checkpoint has the newest parameters; what is wanted are the best.
      const { output } = this.prepared
      const { data } = trainee.parameters
      const newest = this.best && data.slice()
      if (this.best !== undefined) data.set(this.best)
      try {
        await this.together(async () => {
          if (output === undefined) return
          await output.keep()
          await trainee.save(output.path)
          await writeRunCard({ ...this.prepared, bestStep: this.bestSoFar.bestStep })
        })
      } catch (error) {
        if (newest !== undefined) data.set(newest)
        throw error
      }
    }
    return this.done()
  }

  /** Which evaluation is kept, where the best is. */
  private get bestSoFar(): Pick<DoneEvent, 'bestStep' | 'bestEvalLoss' | 'metricForBest' | 'bestMetric'> {
    const { bestStep, bestEvalLoss, bestMetric } = this.state
    if (this.best === undefined || bestStep === null) return {}
    const { metric } = this.rule
    // Of a loss that was not finite there is no number.
    const loss = bestEvalLoss === null ? {} : { bestEvalLoss }
    return { bestStep, ...loss, ...(metric !== 'loss' && { metricForBest: metric, bestMetric: bestMetric! }) }
  }

  private done(): DoneEvent {
    const { trainee, options, state, reason, checkpointPath } = this
    const { environment } = trainee.model
    return {
      event: 'done',
      reason,
      steps: state.step,
      loss: state.lastLoss ?? Number.NaN,
      ...(state.lastEvalLoss !== null && { evalLoss: state.lastEvalLoss }),
      trainableParameters: trainee.parameters.count,
      totalParameters: trainee.totalParameters,
      peakMemoryBytes: environment.peakMemoryBytes(),
      seconds: (environment.now() - this.started) / 1000,
      stoppedEarly: reason === 'stoppedEarly',
      ...this.bestSoFar,
      ...(options.out !== undefined && { out: options.out }),
      ...(options.out !== undefined && reason !== 'aborted' && { saved: options.out }),
      ...(checkpointPath !== undefined && { checkpoint: checkpointPath }),
    }
  }

  /** An error ends the run: what was learned until then is saved, and then everybody goes. */
  private async *rescue(error: unknown): AsyncGenerator<TrainEvent> {
    const { step } = this.state
    const agreed = isAgreed(error)
    const warnings: WarningEvent[] = []
    const saved = await this.saveState().catch((failure: unknown) => {
      warnings.push({ event: 'warning', step, message: `the checkpoint could not be written: ${messageOf(failure)}` })
      return undefined
    })
    const checkpoint = this.checkpointPath
    await this.prepared.tracking.end('failed')
    for (const message of this.prepared.tracking.warnings()) warnings.push({ event: 'warning', step, message })
    const told: TrainEvent[] = [
      ...(saved === undefined ? [] : [saved]),
      ...warnings,
      { event: 'error', step, message: messageOf(error), ...(checkpoint !== undefined && { checkpoint }) },
    ]
    // The disk may be what failed.
    for (const event of told) await this.prepared.log.append(event).catch(() => undefined)
    // Who leaves first may take the others along, in the middle of their writing.
    if (agreed) await this.options.communicator.barrier()
    yield* told
  }

  /** The caller has left its loop: nobody listens any more, but the log, and what was learned is kept. */
  private async leave(): Promise<void> {
    const saved = await this.saveState()
    if (saved !== undefined) await this.prepared.log.append(saved)
    await this.prepared.tracking.end('aborted')
    await this.prepared.log.append({ ...this.done(), reason: 'aborted' })
  }

  /** The next batch, or undefined at the end of the run's data. */
  private async nextBatch(batches: AsyncGenerator<PositionedBatch>, position: Position): Promise<PositionedBatch | undefined> {
    const { perEpoch, end } = this.prepared.extent
    const place = ({ epoch, batch }: Position): number => epoch * perEpoch + batch
    if (place(position) >= end) return undefined
    const { value, done } = await batches.next()
    return done === true || place(value.next) > end ? undefined : value
  }

  /** One update from `gradAccum` micro-batches, fewer at the end of the data, weighted as `lossMean` says. */
  private async step(batches: AsyncGenerator<PositionedBatch>): Promise<TrainEvent[]> {
    const { options, state } = this
    const { sessions, objective } = this.prepared
    const { now } = this.trainee.model.environment
    const started = now()
    const total = new UpdateTotal(options.lossMean)
    let labelled = 0
    let tokens = 0
    const sums: Record<string, number> = {}
    let position = state.position
    let microBatches = state.microBatches
    let epoch = position.epoch
    for (let k = 0; k < options.gradAccum; k++) {
      const batch = await this.together(() => this.nextBatch(batches, position))
      if (batch === undefined) break
      const result = await sessions.gradients.run(batch, dropoutSeedOf(options.seed, microBatches++))
      total.add(result)
      labelled += result.count
      for (const [name, value] of Object.entries(result.sums)) sums[name] = (sums[name] ?? 0) + value
      tokens += batch.positions
      position = this.normalized(batch.next)
      epoch = batch.next.epoch
    }
    const { gradient, count } = total
    if (gradient === undefined) {
      this.dataEnded = true
      return []
    }
    const loss = total.loss / count
    const learningRate = this.rateAt(state.step, microBatches)
    const { norm: gradNorm, applied } = Number.isFinite(loss)
      ? await sessions.update.run(gradient, 1 / count, learningRate)
      : { norm: Number.NaN, applied: false }
    const step = state.step + 1
    const skippedInARow = applied ? 0 : state.skippedInARow + 1
    // A step that ends the run is none: whoever resumes it begins with its rows.
    const warnings = applied ? [] : [this.nonFinite(step, skippedInARow, loss, gradNorm)]
    this.state = {
      ...state,
      step,
      updates: sessions.update.state.updates,
      position,
      microBatches,
      skippedInARow,
      evaluationDue: options.evalEvery === undefined ? position.epoch !== state.position.epoch : step % options.evalEvery === 0,
      lastLoss: applied ? loss : state.lastLoss,
    }
    const told: StepEvent = {
      event: 'step',
      step,
      epoch,
      loss,
      gradNorm,
      ...meansOf(objective, sums, labelled),
      learningRate,
      tokens,
      tokensPerSecond: tokens / Math.max(1e-9, (now() - started) / 1000),
    }
    return [...warnings, told]
  }

  /** The learning rate of an update. @param microBatches those of the run, its own among them */
  private rateAt(step: number, microBatches: number): number {
    const { options } = this
    const { totalSteps, totalMicroBatches } = this.prepared.extent
    const byUpdate = options.scheduleStep === 'update'
    const total = byUpdate ? totalSteps : totalMicroBatches
    return learningRateAt(byUpdate ? step : microBatches - 1, {
      name: options.schedule,
      learningRate: options.learningRate,
      warmupSteps: options.warmup < 1 ? Math.ceil(options.warmup * total) : options.warmup,
      totalSteps: total,
      points: options.schedulePoints,
    })
  }

  /** The end of an epoch is the beginning of the next, so that a checkpoint does not depend on which was reached first. */
  private normalized(position: Position): Position {
    return position.batch >= this.prepared.extent.perEpoch ? { epoch: position.epoch + 1, batch: 0 } : position
  }

  /** @throws TrainingError if the run may not or cannot go on */
  private nonFinite(step: number, skippedInARow: number, loss: number, gradNorm: number): WarningEvent {
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

  /** Whether the step that began at a position is one after which texts are written. */
  private samplesDue({ epoch }: Position): boolean {
    const { sampleSteps } = this.options
    return sampleSteps === undefined ? this.state.position.epoch !== epoch : this.state.step % sampleSteps === 0
  }

  /** Writes texts with what is learned so far; process 0 alone does. */
  private async *samples(): AsyncGenerator<TrainEvent> {
    const { step } = this.state
    if (this.prepared.sampler === undefined || this.sampledAt === step) return
    this.sampledAt = step
    const event = await this.together(async (): Promise<SamplesEvent | undefined> => {
      if (this.options.communicator.rank !== 0) return undefined
      const samples = await this.prepared.sampler!.run()
      if (samples.length === 0) return undefined
      const told = { event: 'samples', step, samples } as const
      await this.record(told)
      return told
    })
    if (event !== undefined) yield event
  }

  /** Evaluates; where the best is kept, a checkpoint follows that a kill cannot take away. */
  private async *evaluate(): AsyncGenerator<TrainEvent> {
    const event = await this.evaluation()
    yield event
    if (event.best && this.best !== undefined) yield* this.checkpoint()
  }

  private async evaluation(): Promise<EvalEvent> {
    const { state, options, trainee, rule } = this
    const { sessions, evalDataset } = this.prepared
    const result = await evaluateDataset(sessions.evaluation!, evalDataset!, options.evalBatchSize, options.communicator)
    const value = valueForBest(result, rule)
    const best = isBetter(value, state.bestMetric, rule)
    const loss = Number.isFinite(result.loss) ? result.loss : null
    this.state = {
      ...state,
      bestEvalLoss: best ? loss : state.bestEvalLoss,
      bestMetric: best ? value : state.bestMetric,
      bestStep: best ? state.step : state.bestStep,
      evaluationsSinceBest: best ? 0 : state.evaluationsSinceBest + 1,
      lastEvalLoss: loss,
      lastEvalStep: state.step,
      evaluationDue: false,
    }
    if (best && keepsBest(options)) this.best = trainee.parameters.data.slice()
    return this.told({ event: 'eval', step: state.step, ...result, best })
  }

  /** Writes a checkpoint unless this step has one; process 0 alone tells. */
  private async *checkpoint(): AsyncGenerator<TrainEvent> {
    if (!this.saves) return
    const event = await this.together(async () => {
      const saved = await this.saveState()
      if (saved !== undefined) await this.prepared.log.append(saved)
      return saved
    })
    if (event !== undefined) yield event
  }

  /** The state as a checkpoint, unless it is on disk already; undefined if there was nothing to write, or not by this process. */
  private async saveState(): Promise<CheckpointEvent | undefined> {
    const { trainee, options, best } = this
    const { output, sessions } = this.prepared
    const state = { ...this.state, endTokens: this.endTokens }
    if (output === undefined || state.step === this.savedAt) return undefined
    await output.keep()
    const path = await writeCheckpoint(
      trainee.model.environment.files,
      output.path,
      state,
      trainee.parameters,
      sessions.update.state,
      { saveModel: (folder) => trainee.save(folder), keep: options.saveTotalLimit, best },
    )
    this.savedAt = state.step
    this.checkpointPath = path
    return { event: 'checkpoint', step: state.step, path }
  }
}

/** What ends a generator, once all it yields has been passed on. */
async function* failureOf<T>(source: AsyncGenerator<T>): AsyncGenerator<T, { readonly error: unknown } | undefined> {
  try {
    yield* source
    return undefined
  } catch (error) {
    return { error }
  }
}

/** @throws InvalidOptionError if a run that goes on has made more steps than it shall make: nothing takes them back */
function checkStepsLeft(made: number, wanted: number, out: string): void {
  if (made <= wanted) return
  throw new InvalidOptionError(
    `cannot resume from ${out}: the run there has made ${made} steps, and ${wanted} are asked for; give at least as many ` +
      '(steps, --steps, or epochs, --epochs), or another folder (out, --out)',
  )
}

/**
 * A run that has not kept what the best evaluation was of, or told it by something else, begins to look for the best anew.
 * @param bestBy by which metric of which rows the best is told
 */
function startOf({ state, best }: Start, options: ResolvedTrainOptions, bestBy: string): Start {
  const anew = { ...state, bestBy, bestEvalLoss: null, bestMetric: null, bestStep: null, evaluationsSinceBest: 0 }
  if (state.bestBy !== bestBy) return { state: anew, best: undefined }
  if (!keepsBest(options)) return { state, best: undefined }
  if (best !== undefined || state.bestStep === null) return { state, best }
  return { state: anew, best }
}

const updateOptions = (o: ResolvedTrainOptions): UpdateOptions => ({
  name: o.optimizer,
  biasCorrection: o.biasCorrection,
  noDecay: o.noDecay,
  beta1: o.beta1,
  beta2: o.beta2,
  epsilon: o.epsilon,
  weightDecay: o.weightDecay,
  maxGradNorm: o.maxGradNorm === 0 ? Infinity : o.maxGradNorm,
})

/** LoRA+: factors of the learning rate, by which the embedding's own rate follows the schedule too, as PEFT's groups do. */
function rateFactors({ parameters }: Trainee, options: ResolvedTrainOptions): Float32Array | undefined {
  const { loraPlusLrRatio, loraPlusLrEmbedding = 1e-6, learningRate } = options
  if (loraPlusLrRatio === undefined) return undefined
  return loraPlusRates(parameters.specs, 1, {
    loraPlusLrRatio,
    loraPlusLrEmbedding: learningRate === 0 ? 0 : loraPlusLrEmbedding / learningRate,
  })
}

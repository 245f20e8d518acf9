/**
 * @file The training of gpt2_ft.py: GPT-2 with LoRA on queries and values, or whole, on rows of a prompt and its text. The order of
 * the rows, the loss, the optimizer, the rates, what is saved and when are the original's; only dropout and the first values of A
 * draw from other random numbers.
 */
import type { Batch } from '../../data/batch.js'
import type { Environment } from '../../environment.js'
import { FileError, InvalidOptionError, TrainingError } from '../../errors.js'
import { dropoutSeedOf, GradientSession } from '../../train/gradient-session.js'
import { LossSession } from '../../train/loss-session.js'
import { causalLm } from '../../train/objectives/causal-lm.js'
import { lossOptions } from '../../train/step-graph.js'
import type { Trainee } from '../../train/trainee.js'
import { UpdateSession } from '../../train/update-session.js'
import { openTraining, type OpenTraining } from './open-training.js'
import { checkpointName, isCheckpointName, writeLora, writeWhole } from './training-checkpoints.js'
import { Meter, type NlgTrainingDone, type NlgTrainingEvent } from './training-events.js'
import { resolveNlgTraining, type NlgTrainingOptions, type ResolvedNlgTraining } from './training-options.js'
import { trainingRate, type Schedule } from './training-rates.js'

/** Added to the number of labels that a loss is divided by. */
const LABELS_EPSILON = 1e-4

/** A smoothing up to this is none. */
const LEAST_SMOOTHING = 1e-4

/** Batches of an evaluation between two of which something is told. */
const TOLD_BATCHES = 100

/**
 * Trains as gpt2_ft.py does and yields what it prints, and every step.
 * @throws InvalidOptionError, InvalidDataError, InvalidModelError before the first step; TrainingError where loss or weights are no
 * longer finite, which changes nothing any more
 * @example
 * for await (const event of trainNlg(environment, { train_data: 'train.jsonl', valid_data: 'valid.jsonl', max_epoch: 5 }))
 *   if (event.event === 'log') console.log(event.step, event.loss)
 */
export async function* trainNlg(
  environment: Environment,
  given: NlgTrainingOptions,
): AsyncGenerator<NlgTrainingEvent, NlgTrainingDone> {
  const options = resolveNlgTraining(given)
  await checkPlace(environment, options)
  const run = await NlgRun.open(environment, options)
  try {
    return yield* run.events()
  } finally {
    await run.release()
  }
}

/** @throws FileError if an earlier run's checkpoints lie where this one's go; InvalidOptionError if the run begins with one of them */
async function checkPlace(
  { files }: Environment,
  { work_dir, overwrite, init_checkpoint, base_checkpoint }: ResolvedNlgTraining,
): Promise<void> {
  const found = (await files.isDirectory(work_dir)) ? (await files.list(work_dir)).filter(isCheckpointName) : []
  if (found.length > 0 && !overwrite)
    throw new FileError(
      `${work_dir} holds ${found[0]!} of an earlier run; name another folder with --work_dir, or give --overwrite to write over its checkpoints`,
    )
  const there = new Set(await Promise.all(found.map((name) => files.realPath(`${work_dir}/${name}`))))
  for (const path of [init_checkpoint, base_checkpoint])
    if (path !== undefined && there.has(await files.realPath(path)))
      throw new InvalidOptionError(`the run begins with ${path}, which it could write over; name another folder with --work_dir`)
}

/** A run before its first step. */
interface Prepared extends OpenTraining {
  readonly environment: Environment
  readonly options: ResolvedNlgTraining
  readonly schedule: Schedule
  readonly gradients: GradientSession
  readonly evaluation: LossSession
  readonly update: UpdateSession
}

class NlgRun {
  private step = 0
  /** Of the micro-batches since the last update. */
  private gradient: Float32Array | undefined
  private savedAt: number | undefined
  private readonly started: number

  private constructor(private readonly prepared: Prepared) {
    this.started = prepared.environment.now()
  }

  static async open(environment: Environment, options: ResolvedNlgTraining): Promise<NlgRun> {
    const opened = await openTraining(environment, options)
    const { model, trainee, rows } = opened
    const schedule = scheduleOf(options, rows.batchesPerEpoch)
    const objective = causalLm(options.label_smooth > LEAST_SMOOTHING ? options.label_smooth : 0)
    const lossOf = (batchSize: number) => lossOptions(model, batchSize, options.seq_len, false, objective)
    const open: { release(): Promise<void> }[] = []
    const opening = async <T extends { release(): Promise<void> }>(session: Promise<T>): Promise<T> => {
      open.push(await session)
      return session
    }
    try {
      return new NlgRun({
        ...{ ...opened, environment, options, schedule },
        update: await opening(UpdateSession.create(trainee, updateOptions(options, trainee))),
        gradients: await opening(GradientSession.create(trainee, lossOf(options.train_batch_size))),
        evaluation: await opening(LossSession.create(trainee, lossOf(options.valid_batch_size))),
      })
    } catch (error) {
      await Promise.all(open.map((session) => session.release()))
      throw error
    }
  }

  async release(): Promise<void> {
    const { gradients, evaluation, update } = this.prepared
    await Promise.all([gradients.release(), evaluation.release(), update.release()])
  }

  async *events(): AsyncGenerator<NlgTrainingEvent, NlgTrainingDone> {
    const { options, schedule, trainee, rows } = this.prepared
    yield {
      event: 'start',
      maxStep: schedule.maxSteps,
      rows: rows.length,
      rowsWithoutLabel: rows.withoutLabel,
      trainableParameters: trainee.parameters.count,
      totalParameters: trainee.totalParameters,
    }
    let aborted = false
    for (let epoch = 1; !aborted; epoch++) {
      yield { event: 'epoch', epoch }
      aborted = yield* this.savedOnError(epoch)
      if (this.step >= schedule.maxSteps || (options.max_epoch !== undefined && epoch >= options.max_epoch)) break
    }
    const done: NlgTrainingDone = {
      event: 'done',
      reason: aborted ? 'aborted' : 'finished',
      steps: this.step,
      seconds: this.seconds(this.started),
    }
    yield done
    return done
  }

  /** An epoch; an error in it saves what was learned before. */
  private async *savedOnError(epoch: number): AsyncGenerator<NlgTrainingEvent, boolean> {
    try {
      return yield* this.epoch(epoch)
    } catch (error) {
      if (this.step > 0 && this.savedAt !== this.step) {
        // What went wrong first is what counts.
        const saved = await this.save(false).catch(() => undefined)
        if (saved !== undefined) yield saved
      }
      throw error
    }
  }

  /** @returns whether the run was asked to stop */
  private async *epoch(epoch: number): AsyncGenerator<NlgTrainingEvent, boolean> {
    const { options, rows, schedule, lora } = this.prepared
    const meter = new Meter()
    let best: number | undefined
    let logged = this.prepared.environment.now()
    let batches = 0
    for (const batch of rows.batches(epoch)) {
      if (options.signal?.aborted === true) {
        if (this.step > 0 && this.savedAt !== this.step) yield await this.save(false)
        return true
      }
      const learningRate = trainingRate(this.step, schedule)
      const loss = await this.trainOn(batch, learningRate)
      batches++
      meter.add(loss)
      const { step } = this
      yield { event: 'step', step, epoch, loss, learningRate }
      if (step % options.log_interval === 0) {
        yield {
          ...{ event: 'log', epoch, step, batches },
          // The rate of the next step, as the script prints it.
          learningRate: trainingRate(step, schedule),
          msPerBatch: (1000 * this.seconds(logged)) / options.log_interval,
          ...{ loss, averageLoss: meter.mean, perplexity: Math.exp(meter.mean) },
        }
        logged = this.prepared.environment.now()
        meter.reset()
      }
      // Where nothing is adapted the script saves an empty file.
      if (step % options.save_interval === 0 && lora !== undefined) yield await this.save(false)
      if (step % options.eval_interval === 0) {
        const begun = this.prepared.environment.now()
        const validLoss = yield* this.evaluate()
        const perplexity = Math.exp(validLoss)
        best = Math.min(best ?? Infinity, perplexity)
        yield {
          ...{ event: 'eval', number: step / options.eval_interval, step, seconds: this.seconds(begun) },
          ...{ loss: validLoss, perplexity, bestPerplexity: best },
        }
      }
      if (step === schedule.maxSteps) break
    }
    yield await this.save(true)
    return false
  }

  /** One micro-batch, and the update where it is due. @returns its loss @throws TrainingError if it is not finite */
  private async trainOn(batch: Batch, learningRate: number): Promise<number> {
    const { options, gradients, update } = this.prepared
    const result = await gradients.run(batch, dropoutSeedOf(options.random_seed, this.step))
    const labels = result.count + LABELS_EPSILON
    const loss = result.loss / labels
    const step = this.step + 1
    if (!Number.isFinite(loss)) throw diverged(step, `the loss is ${loss}`)
    const { gradient } = result
    if (this.gradient === undefined) this.gradient = gradient.map((x) => x / labels)
    else for (let i = 0; i < gradient.length; i++) this.gradient[i]! += gradient[i]! / labels
    if (step % options.grad_acc === 0) {
      const { applied, norm } = await update.run(this.gradient, 1 / options.grad_acc, learningRate)
      if (!applied)
        throw diverged(step, Number.isFinite(norm) ? 'the update leaves the range of float32' : `the gradient's norm is ${norm}`)
      this.gradient = undefined
    }
    // A step that failed is none: what is saved then has the number of the one before.
    this.step = step
    return loss
  }

  /** The mean of the losses of batches, without smoothing, over all rows. */
  private async *evaluate(): AsyncGenerator<NlgTrainingEvent, number> {
    const { evaluation, validRows } = this.prepared
    const meter = new Meter()
    let index = 0
    // The script never tells this sampler of an epoch.
    for (const batch of validRows.batches(0)) {
      const result = await evaluation.run(batch)
      const loss = result.loss / (result.count + LABELS_EPSILON)
      meter.add(loss)
      if (index % TOLD_BATCHES === 0) yield { event: 'evalBatch', index, loss }
      index++
    }
    return meter.mean
  }

  /** Writes a checkpoint of this step. @param whole with the model, or LoRA alone */
  private async save(whole: boolean): Promise<NlgTrainingEvent> {
    const { options, model, trainee, lora, environment } = this.prepared
    const path = `${options.work_dir}/${checkpointName(this.step)}`
    if (whole || lora === undefined) await writeWhole(model, path, lora ?? trainee.parameters.tensors)
    else await writeLora(environment.files, path, lora)
    this.savedAt = this.step
    return { event: 'checkpoint', step: this.step, path, holds: whole || lora === undefined ? 'model' : 'lora' }
  }

  private seconds(since: number): number {
    return (this.prepared.environment.now() - since) / 1000
  }
}

const diverged = (step: number, what: string): TrainingError =>
  new TrainingError(
    `step ${step}: ${what}; the weights were not changed by this step. Lower --lr, or raise --warmup_step; gpt2_ft.py would go on with numbers that are none.`,
  )

function scheduleOf(options: ResolvedNlgTraining, batchesPerEpoch: number): Schedule {
  const { scheduler, lr, warmup_step, max_step, max_epoch, i_steps, i_lrs } = options
  const points = i_steps.map((step, i) => [step, i_lrs[i]!] as const)
  const maxSteps = scheduler === 'cycle' ? i_steps.at(-1)! : (max_step ?? max_epoch! * batchesPerEpoch)
  return { scheduler, lr, warmupSteps: warmup_step, maxSteps, points }
}

function updateOptions(o: ResolvedNlgTraining, { parameters }: Trainee): Parameters<typeof UpdateSession.create>[1] {
  // LoRA has no biases.
  const exempt = o.no_decay_bias && parameters.specs.some(({ name }) => name.includes('bias')) ? ['bias'] : undefined
  return {
    name: 'adamw_hf',
    ...{ beta1: o.adam_beta1, beta2: o.adam_beta2, epsilon: o.adam_epislon, weightDecay: o.weight_decay },
    ...{ biasCorrection: o.correct_bias, noDecay: exempt },
    maxGradNorm: o.clip === 0 ? Infinity : o.clip,
  }
}

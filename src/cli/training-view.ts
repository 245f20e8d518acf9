/** @file A training run for people: a bar on a terminal, now and then a line elsewhere. */
import type { DoneEvent, EvalEvent, StartEvent, StepEvent, TrainEvent } from '../index.js'
import type { Output } from './flags.js'
import { bar, clock, count, digits, megabytes, percent } from './format.js'

/** Lines that a log without a terminal gets, about. */
const LINES = 20

export class TrainingView {
  private steps = 0
  private first = 0
  private started = 0
  private speed = 0

  constructor(
    private readonly output: Output,
    /** Milliseconds from any fixed point. */
    private readonly now: () => number,
  ) {}

  show(event: TrainEvent): void {
    switch (event.event) {
      case 'start':
        return this.start(event)
      case 'step':
        return this.step(event)
      case 'eval':
        return this.evaluation(event)
      case 'checkpoint':
        return this.output.note(this.output.color.dim(`step ${event.step}: checkpoint ${event.path}`))
      case 'warning':
        return this.output.note(this.output.color.yellow(`step ${event.step}: ${event.message}`))
      case 'done':
        return this.done(event)
    }
  }

  /** Leaves the terminal clean. */
  close(): void {
    this.output.status(undefined)
  }

  private start({ steps, resumedAt, trainableParameters: trained, totalParameters: total, rows, processes }: StartEvent): void {
    this.steps = steps
    this.first = resumedAt
    this.started = this.now()
    const from = resumedAt > 0 ? `, resumed after step ${count(resumedAt)}` : ''
    const together = processes === undefined ? '' : `${processes} processes, `
    this.output.note(
      `${together}${count(rows)} rows, ${count(steps)} steps${from}; training ${count(trained)} of ${count(total)} parameters (${percent(trained / total)})`,
    )
  }

  private step({ step, loss, learningRate, tokensPerSecond }: StepEvent): void {
    const { output } = this
    // A moving mean, so that the number can be read.
    this.speed = this.speed === 0 ? tokensPerSecond : 0.9 * this.speed + 0.1 * tokensPerSecond
    const left = ((this.now() - this.started) / 1000 / Math.max(1, step - this.first)) * (this.steps - step)
    const numbers = `loss ${output.color.bold(loss.toFixed(4))}  ${count(this.speed)} tokens/s  ETA ${clock(left)}`
    if (output.live) output.status(`${output.color.cyan(bar(step / this.steps))} ${step}/${this.steps}  ${numbers}`)
    else if (step === this.first + 1 || step === this.steps || step % Math.max(1, Math.ceil(this.steps / LINES)) === 0)
      output.note(`step ${step}/${this.steps}  ${numbers}  lr ${digits(learningRate, 3)}`)
  }

  private evaluation({ step, loss, perplexity, accuracy, rewardAccuracy, pearson, best }: EvalEvent): void {
    const { color } = this.output
    const metric = Object.entries({ perplexity, accuracy, 'reward accuracy': rewardAccuracy, pearson }).find(
      ([, value]) => value !== undefined,
    )
    const shown = metric === undefined ? '' : `, ${metric[0]} ${digits(metric[1]!)}`
    this.output.note(
      `step ${step}: evaluation loss ${color.bold(loss.toFixed(4))}${shown}${best ? color.green('  best so far') : ''}`,
    )
  }

  private done({ steps, loss, evalLoss, seconds, peakMemoryBytes, stoppedEarly, out }: DoneEvent): void {
    const { color } = this.output
    this.output.status(undefined)
    const state =
      steps < this.steps ? (stoppedEarly ? color.yellow('stopped early') : color.yellow('interrupted')) : color.green('done')
    const evaluated = evalLoss === undefined ? '' : `, evaluation loss ${evalLoss.toFixed(4)}`
    this.output.print(
      `${state}: ${count(steps)} steps in ${clock(seconds)}, loss ${digits(loss)}${evaluated}, peak memory ${megabytes(peakMemoryBytes)}`,
    )
    if (out !== undefined && (stoppedEarly || steps >= this.steps))
      this.output.print(`adapter in ${out}, report in ${out}/report.html`)
  }
}

/** @file A training run for people: a bar on a terminal, now and then a line elsewhere. */
import type {
  CheckingEvent,
  DoneEvent,
  EvalEvent,
  MetricForBest,
  SamplesEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
} from '../index.js'
import type { Output } from './flags.js'
import { bar, clock, count, counted, digits, megabytes, percent } from './format.js'

/** A text in one line, its beginning or (below 0) its end alone if it is long. */
function oneLine(text: string, length: number): string {
  const line = text.replace(/\s*\n\s*/g, ' ⏎ ')
  if (line.length <= Math.abs(length)) return line
  return length < 0 ? `…${line.slice(length)}` : `${line.slice(0, length)}…`
}

/** A loss however small, and what is none. */
const lossText = (loss: number): string => (Number.isFinite(loss) ? digits(loss) : String(loss))

/** Of the metrics of an evaluation the first of these is shown, and that by which the best is told. */
const MAIN_METRICS = ['perplexity', 'accuracy', 'exactMatch', 'rewardAccuracy', 'rewardMargin', 'pearson', 'f1'] as const

/** Names of metrics as words. */
const METRIC_WORDS: Readonly<Record<string, string>> = {
  ...{
    rewardAccuracy: 'reward accuracy',
    rewardMargin: 'reward margin',
    macroF1: 'macro F1',
    f1: 'F1',
    exactMatch: 'exact match',
  },
}

/** Lines that a log without a terminal gets, about. */
const LINES = 20

export class TrainingView {
  private steps = 0
  private first = 0
  private started = 0
  private speed = 0
  private toldOfCheck = false

  constructor(
    private readonly output: Output,
    /** Milliseconds from any fixed point. */
    private readonly now: () => number,
    /** By what the best evaluation is told. */
    private readonly metricForBest: MetricForBest = 'loss',
  ) {}

  show(event: TrainEvent): void {
    switch (event.event) {
      case 'checking':
        return this.checking(event)
      // The error itself is said where the command ends.
      case 'error':
        return this.close()
      case 'start':
        return this.start(event)
      case 'step':
        return this.step(event)
      case 'eval':
        return this.evaluation(event)
      case 'samples':
        return this.samples(event)
      case 'checkpoint':
        return this.output.note(this.output.color.dim(`step ${event.step}: checkpoint ${event.path}`))
      case 'warning':
        return this.output.note(this.output.color.yellow(`step ${event.step}: ${event.message}`))
      case 'done':
        return this.done(event)
    }
  }

  /** How far the check of the rows is. */
  checking({ data, rows, of }: CheckingEvent): void {
    const what = `checking rows${data === 'evalData' ? ' for evaluation' : ''}`
    if (this.output.live)
      this.output.status(rows < of ? `${this.output.color.cyan(bar(rows / of))} ${what} ${count(rows)}/${count(of)}` : undefined) // prettier-ignore
    else if (!this.toldOfCheck) this.output.note(`${what}: ${count(of)}`)
    this.toldOfCheck = true
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
      `${together}${counted(rows, 'row')}, ${counted(steps, 'step')}${from}; training ${count(trained)} of ${count(total)} parameters (${percent(trained / total)})`,
    )
  }

  private step({ step, loss, learningRate, tokensPerSecond }: StepEvent): void {
    const { output } = this
    // A moving mean, so that the number can be read.
    this.speed = this.speed === 0 ? tokensPerSecond : 0.9 * this.speed + 0.1 * tokensPerSecond
    const left = ((this.now() - this.started) / 1000 / Math.max(1, step - this.first)) * (this.steps - step)
    const numbers = `loss ${output.color.bold(lossText(loss))}  ${count(this.speed)} tokens/s  ETA ${clock(left)}`
    if (output.live) output.status(`${output.color.cyan(bar(step / this.steps))} ${step}/${this.steps}  ${numbers}`)
    else if (step === this.first + 1 || step === this.steps || step % Math.max(1, Math.ceil(this.steps / LINES)) === 0)
      output.note(`step ${step}/${this.steps}  ${numbers}  lr ${digits(learningRate, 3)}`)
  }

  private evaluation({ step, loss, best, ...metrics }: EvalEvent): void {
    const { color } = this.output
    const first = MAIN_METRICS.find((name) => metrics[name] !== undefined)
    const shown = [...new Set([first, this.metricForBest])]
      .flatMap((name) =>
        name === undefined || name === 'loss' || metrics[name] === undefined
          ? []
          : `, ${METRIC_WORDS[name] ?? name} ${digits(metrics[name])}`,
      ) // prettier-ignore
      .join('')
    this.output.note(
      `step ${step}: evaluation loss ${color.bold(lossText(loss))}${shown}${best ? color.green('  best so far') : ''}`,
    )
  }

  private samples({ step, samples }: SamplesEvent): void {
    const { color } = this.output
    const lines = samples.map(({ prompt, text }) => `  ${color.dim(oneLine(prompt, -40))} ${oneLine(text, 120)}`)
    for (const line of [`step ${step}: samples`, ...lines]) this.output.note(line)
  }

  private done({ reason, steps, loss, evalLoss, seconds, peakMemoryBytes, saved, ...kept }: DoneEvent): void {
    const { color } = this.output
    this.output.status(undefined)
    const states = {
      finished: color.green('done'),
      stoppedEarly: color.yellow('stopped early'),
      aborted: color.yellow('interrupted'),
    }
    const evaluated = evalLoss === undefined ? '' : `, evaluation loss ${lossText(evalLoss)}`
    this.output.print(
      `${states[reason]}: ${counted(steps, 'step')} in ${clock(seconds)}, loss ${lossText(loss)}${evaluated}, peak memory ${megabytes(peakMemoryBytes)}`,
    )
    if (saved === undefined) return
    const { bestStep, bestEvalLoss, metricForBest, bestMetric } = kept
    const told = [
      ...(bestEvalLoss === undefined ? [] : [`evaluation loss ${lossText(bestEvalLoss)}`]),
      ...(metricForBest === undefined ? [] : [`${metricForBest} ${digits(bestMetric!)}`]),
    ]
    const best = bestStep === undefined ? '' : ` (the best: ${[`step ${bestStep}`, ...told].join(', ')})`
    this.output.print(`adapter in ${saved}${best}, report in ${saved}/report.html`)
  }
}

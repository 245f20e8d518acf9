/** @file A run as the report sees it: its events by kind, its curves, and what there is to say of it in a few words. */
import type {
  DoneEvent,
  ErrorEvent,
  EvalEvent,
  SamplesEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
  WarningEvent,
} from '../train/events.js'
import { duration, number, round } from './text.js'

/** What a report is made of. */
export interface ReportedRun {
  /** What tells it from the others. */
  readonly name: string
  readonly model: string
  /** The command line that asked for it. */
  readonly command?: string
  /** Name and value of every setting, in order. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Of its log, in order; those of an unfinished run are fine. */
  readonly events: readonly TrainEvent[]
}

/** The events of a run by their kinds; where steps were done again, the last telling of each. */
export interface Told {
  readonly start: StartEvent | undefined
  readonly steps: readonly StepEvent[]
  readonly evals: readonly EvalEvent[]
  readonly samples: readonly SamplesEvent[]
  readonly warnings: readonly WarningEvent[]
  readonly done: DoneEvent | undefined
  /** What ended it, if that was an error. */
  readonly failure: ErrorEvent | undefined
}

/** The curves of a run, for the page's script. */
export type Curves = Readonly<Record<string, readonly (number | null)[] | string>>

const ofKind = <E extends TrainEvent>(events: readonly TrainEvent[], kind: E['event']): E[] =>
  events.filter((e): e is E => e.event === kind)

function lastOfEachStep<E extends { readonly step: number }>(events: readonly E[]): E[] {
  const byStep = new Map<number, E>()
  for (const event of events) byStep.set(event.step, event)
  return [...byStep.values()].sort((a, b) => a.step - b.step)
}

/** Sorts the events of a run. */
export function toldBy(events: readonly TrainEvent[]): Told {
  const done = ofKind<DoneEvent>(events, 'done').at(-1)
  return {
    start: ofKind<StartEvent>(events, 'start').at(-1),
    steps: lastOfEachStep(ofKind<StepEvent>(events, 'step')),
    evals: lastOfEachStep(ofKind<EvalEvent>(events, 'eval')),
    samples: lastOfEachStep(ofKind<SamplesEvent>(events, 'samples')),
    warnings: ofKind<WarningEvent>(events, 'warning'),
    done,
    // An earlier part of a run that was resumed may have ended in an error.
    failure: done === undefined ? ofKind<ErrorEvent>(events, 'error').at(-1) : undefined,
  }
}

/**
 * Weighted mean of the past, corrected for its start as Adam's moments are: it begins at the first value, not at 0.
 * Steps without a finite value are passed over.
 */
export function smooth(values: readonly (number | null)[], decay = 0.9): (number | null)[] {
  let mean = 0
  let weight = 0
  return values.map((value) => {
    if (value === null) return null
    mean = decay * mean + (1 - decay) * value
    weight = decay * weight + (1 - decay)
    return round(mean / weight)
  })
}

/** What the charts draw. */
export function curvesOf(name: string, { steps, evals }: Told): Curves {
  const loss = steps.map((s) => round(s.loss))
  return {
    name,
    steps: steps.map((s) => s.step),
    loss,
    smooth: smooth(loss),
    learningRate: steps.map((s) => round(s.learningRate)),
    gradNorm: steps.map((s) => round(s.gradNorm)),
    tokensPerSecond: steps.map((s) => round(s.tokensPerSecond)),
    evalSteps: evals.map((e) => e.step),
    evalLoss: evals.map((e) => round(e.loss)),
  }
}

/** What an evaluation measured beside the loss. */
export const metricsOf = ({
  event: _e,
  step: _s,
  loss: _l,
  best: _b,
  tokens: _t,
  examples: _x,
  ...metrics
}: EvalEvent): [string, number][] => Object.entries(metrics)

const evaluationText = (evaluation: EvalEvent): string =>
  `${number(evaluation.loss)} (${[...metricsOf(evaluation).map(([name, value]) => `${name} ${number(value, 3)}`), `step ${evaluation.step}`].join(', ')})`

/** Names and values, in the order of the page. */
export function factsOf({ start, steps, evals, done, failure }: Told): [string, string][] {
  const lowest = evals.reduce<EvalEvent | undefined>((low, e) => (low === undefined || e.loss < low.loss ? e : low), undefined)
  const tokens = steps.reduce((sum, step) => sum + step.tokens, 0)
  const states = { finished: 'finished', stoppedEarly: 'stopped early', aborted: 'interrupted' } as const
  const state = done !== undefined ? states[done.reason] : failure !== undefined ? 'ended by an error' : 'unfinished'
  const kept = evals.find(({ step }) => step === done?.bestStep)
  const checkpoint = done?.checkpoint ?? failure?.checkpoint
  const facts: [string, string | undefined][] = [
    ['State', state],
    ['Steps', `${number(steps.at(-1)?.step ?? 0)}${start === undefined ? '' : ` of ${number(start.steps)}`}`],
    ['Training loss', `${number(steps[0]?.loss)} → ${number(steps.at(-1)?.loss)}`],
    ['Lowest evaluation loss', lowest && evaluationText(lowest)],
    ['Kept: the best evaluation', kept && evaluationText(kept)],
    ['Checkpoint', checkpoint],
    ['Tokens', number(tokens, 0)],
    [
      'Trainable parameters',
      start &&
        `${number(start.trainableParameters)} of ${number(start.totalParameters)} (${number((100 * start.trainableParameters) / start.totalParameters, 2)} %)`,
    ],
    ['Time', done && duration(done.seconds)],
    ['Peak memory', done && `${number(done.peakMemoryBytes / 2 ** 20, 0)} MiB`],
  ]
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined)
}

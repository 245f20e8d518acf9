/** @file A training run as one HTML file: curves, hyperparameters, results. It needs no network. */
import type { DoneEvent, ErrorEvent, EvalEvent, StartEvent, StepEvent, TrainEvent, WarningEvent } from '../train/events.js'
import { pageScript, pageStyle } from './page.js'

/** What the report says of the run beside its events. */
export interface RunInfo {
  readonly title: string
  readonly model: string
  /** Name and value of every setting, in order. */
  readonly hyperparameters: Readonly<Record<string, unknown>>
}

/** The chart library's own files, to be put into the page. */
export interface ReportAssets {
  readonly script: string
  readonly style: string
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escape = (value: unknown): string => String(value).replace(/[&<>"']/g, (c) => escapes[c]!)

/** JSON that may stand inside a script element. */
const embed = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c')

const round = (value: number): number | null => (Number.isFinite(value) ? Number(value.toPrecision(6)) : null)

/** Events of one kind; a resumed run may repeat steps, the last telling of each counts. */
function lastOfEachStep<E extends { readonly step: number }>(events: readonly E[]): E[] {
  const byStep = new Map<number, E>()
  for (const event of events) byStep.set(event.step, event)
  return [...byStep.values()].sort((a, b) => a.step - b.step)
}

const ofKind = <E extends TrainEvent>(events: readonly TrainEvent[], kind: E['event']): E[] =>
  events.filter((e): e is E => e.event === kind)

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

const number = (value: number | undefined, digits = 4): string =>
  value === undefined || !Number.isFinite(value) ? '–' : value.toLocaleString('en-US', { maximumFractionDigits: digits })

function duration(seconds: number): string {
  const whole = Math.round(seconds)
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  return parts[0]! > 0
    ? `${parts[0]} h ${parts[1]} min`
    : parts[1]! > 0
      ? `${parts[1]} min ${parts[2]} s`
      : `${seconds.toFixed(1)} s`
}

function facts(
  steps: readonly StepEvent[],
  evals: readonly EvalEvent[],
  start?: StartEvent,
  done?: DoneEvent,
  failure?: ErrorEvent,
): [string, string][] {
  const best = evals.reduce<EvalEvent | undefined>((low, e) => (low === undefined || e.loss < low.loss ? e : low), undefined)
  const tokens = steps.reduce((sum, step) => sum + step.tokens, 0)
  const states = { finished: 'finished', stoppedEarly: 'stopped early', aborted: 'interrupted' } as const
  const state = done !== undefined ? states[done.reason] : failure !== undefined ? 'ended by an error' : 'unfinished'
  return [
    ['State', state],
    ['Steps', `${number(steps.at(-1)?.step ?? 0)}${start === undefined ? '' : ` of ${number(start.steps)}`}`],
    ['Training loss', `${number(steps[0]?.loss)} → ${number(steps.at(-1)?.loss)}`],
    ...(best === undefined
      ? []
      : ([
          [
            'Best evaluation loss',
            `${number(best.loss)} (${[...metricsOf(best).map(([name, value]) => `${name} ${number(value, 3)}`), `step ${best.step}`].join(', ')})`,
          ],
        ] as [string, string][])),
    ...(failure === undefined ? [] : ([['Error', failure.message]] as [string, string][])),
    ...(done?.checkpoint === undefined && failure?.checkpoint === undefined
      ? []
      : ([['Checkpoint', done?.checkpoint ?? failure!.checkpoint!]] as [string, string][])),
    ['Tokens', number(tokens, 0)],
    ...(start === undefined
      ? []
      : ([
          [
            'Trainable parameters',
            `${number(start.trainableParameters)} of ${number(start.totalParameters)} (${number((100 * start.trainableParameters) / start.totalParameters, 2)} %)`,
          ],
        ] as [string, string][])),
    ...(done === undefined
      ? []
      : ([
          ['Time', duration(done.seconds)],
          ['Peak memory', `${number(done.peakMemoryBytes / 2 ** 20, 0)} MiB`],
        ] as [string, string][])),
  ]
}

/** What an evaluation measured beside the loss. */
const metricsOf = ({
  event: _e,
  step: _s,
  loss: _l,
  best: _b,
  tokens: _t,
  examples: _x,
  ...metrics
}: EvalEvent): [string, number][] => Object.entries(metrics)

const table = (rows: readonly (readonly string[])[], head?: readonly string[]): string =>
  `<table>${head === undefined ? '' : `<thead><tr>${head.map((h) => `<th scope="col">${escape(h)}</th>`).join('')}</tr></thead>`}<tbody>${rows
    .map(
      ([name, ...cells]) => `<tr><th scope="row">${escape(name)}</th>${cells.map((c) => `<td>${escape(c)}</td>`).join('')}</tr>`,
    )
    .join('')}</tbody></table>`

const show = (value: unknown): string =>
  typeof value === 'string' ? value : Array.isArray(value) ? value.map(show).join(', ') : JSON.stringify(value)

/**
 * Renders the report of a run.
 * @param events of `log.jsonl`, in order; an unfinished run is fine
 * @returns a whole HTML document, light or dark as the reader prefers
 */
export function renderReport(events: readonly TrainEvent[], info: RunInfo, assets: ReportAssets): string {
  const steps = lastOfEachStep(ofKind<StepEvent>(events, 'step'))
  const evals = lastOfEachStep(ofKind<EvalEvent>(events, 'eval'))
  const start = ofKind<StartEvent>(events, 'start').at(-1)
  const done = ofKind<DoneEvent>(events, 'done').at(-1)
  // An earlier part of a run that was resumed may have ended in an error.
  const failure = done === undefined ? ofKind<ErrorEvent>(events, 'error').at(-1) : undefined
  const warnings = ofKind<WarningEvent>(events, 'warning')
  const loss = steps.map((s) => round(s.loss))
  const data = {
    steps: steps.map((s) => s.step),
    loss,
    smooth: smooth(loss),
    learningRate: steps.map((s) => round(s.learningRate)),
    gradNorm: steps.map((s) => round(s.gradNorm)),
    tokensPerSecond: steps.map((s) => round(s.tokensPerSecond)),
    evalSteps: evals.map((e) => e.step),
    evalLoss: evals.map((e) => round(e.loss)),
  }
  const charts = [
    ['loss', 'Loss'],
    ['learning-rate', 'Learning rate'],
    ['grad-norm', 'Gradient norm before clipping'],
    ['tokens-per-second', 'Tokens per second'],
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escape(info.title)}</title>
<style>${assets.style}</style>
<style>${pageStyle}</style>
</head>
<body>
<header><h1>${escape(info.title)}</h1><p>${escape(info.model)}</p></header>
<main>
<dl class="facts">${facts(steps, evals, start, done, failure)
    .map(([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`)
    .join('')}</dl>
<div class="charts">${charts.map(([id, title]) => `<section><h2>${title}</h2><div class="chart" id="${id}"></div></section>`).join('')}</div>
${warnings.length === 0 ? '' : `<section><h2>Warnings</h2>${table(warnings.map((w) => [`step ${w.step}`, w.message]))}</section>`}
<div class="tables">
${
  evals.length === 0
    ? ''
    : `<section><h2>Evaluations</h2>${table(
        evals.map((e) => [String(e.step), number(e.loss), ...metricsOf(e).map(([, value]) => number(value, 3))]),
        ['step', 'loss', ...metricsOf(evals[0]!).map(([name]) => name)],
      )}</section>`
}
<section><h2>Hyperparameters</h2>${table(Object.entries(info.hyperparameters).map(([name, value]) => [name, show(value)]))}</section>
</div>
</main>
<script type="application/json" id="run">${embed(data)}</script>
<script>${assets.script.replaceAll('</script', '<\\/script')}</script>
<script>${pageScript}</script>
</body>
</html>
`
}

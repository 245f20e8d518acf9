/** @file Runs as one HTML file: curves, settings, results, texts. It needs no network. */
import { htmlDocument } from './document.js'
import { pageScript } from './page.js'
import { curvesOf, factsOf, metricsOf, toldBy, type ReportedRun, type Told } from './run.js'
import { embed, escape, number, show, table } from './text.js'
import { REPORT_DATA } from '../train/report-file.js'

/** The chart library's own files, to be put into the page. */
export interface ReportAssets {
  readonly script: string
  readonly style: string
}

/** A run, sorted. */
interface Shown extends ReportedRun {
  readonly told: Told
}

const section = (title: string, content: string, kind = ''): string =>
  `<section${kind === '' ? '' : ` class="${kind}"`}><h2>${escape(title)}</h2>${content}</section>`

/** Names of rows in the order in which the runs bring them, and the value of each run. */
function compared(runs: readonly (readonly (readonly [string, string])[])[]): string[][] {
  const names = [...new Set(runs.flatMap((rows) => rows.map(([name]) => name)))]
  const maps = runs.map((rows) => new Map(rows))
  return names.map((name) => [name, ...maps.map((map) => map.get(name) ?? '–')])
}

const differs = ([, ...values]: readonly string[]): boolean => new Set(values).size > 1

function summary(runs: readonly Shown[]): string {
  const facts = runs.map(({ told }) => factsOf(told))
  if (runs.length > 1)
    return section('Runs', table(compared(runs.map(({ model }, i) => [['Model', model], ...facts[i]!])), ['', ...runs.map(({ name }) => name)])) // prettier-ignore
  const cells = facts[0]!.map(([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`)
  return `<dl class="facts">${cells.join('')}</dl>`
}

/** What ended a run, where everybody sees it. */
const errors = (runs: readonly Shown[]): string =>
  runs
    .flatMap(({ name, told: { failure } }) =>
      failure === undefined
        ? []
        : [
            section(
              `${runs.length > 1 ? `${name}: ` : ''}Error after step ${failure.step}`,
              `<p>${escape(failure.message)}</p>`,
              'error',
            ),
          ],
    )
    .join('')

const charts = [
  ['loss', 'Loss'],
  ['learning-rate', 'Learning rate'],
  ['grad-norm', 'Gradient norm before clipping'],
  ['tokens-per-second', 'Tokens per second'],
] as const

const chartSections = `<div class="charts">${charts
  .map(
    ([id, title]) =>
      `<section><h2>${title}${id === 'loss' ? ' <button type="button" id="scale" aria-pressed="false">logarithmic</button>' : ''}</h2><div class="chart" id="${id}"></div></section>`,
  )
  .join('')}</div>`

/** The texts of a run, each prompt with what was made of it at each step; of several runs, at the last. */
function texts(runs: readonly Shown[]): string {
  const rows = (told: Told, prompt: string): [number, string][] =>
    told.samples.flatMap(({ step, samples }) =>
      samples.filter((s) => s.prompt === prompt).map(({ text }) => [step, text] as [number, string]),
    )
  const prompts = [
    ...new Set(runs.flatMap(({ told }) => told.samples.flatMap(({ samples }) => samples.map(({ prompt }) => prompt)))),
  ]
  if (prompts.length === 0) return ''
  const of = (prompt: string): string =>
    runs.length === 1
      ? table(rows(runs[0]!.told, prompt).map(([step, text]) => [`step ${number(step)}`, text]))
      : table(
          runs.flatMap(({ name, told }) =>
            rows(told, prompt)
              .slice(-1)
              .map(([step, text]) => [`${name}, step ${number(step)}`, text]),
          ),
        )
  return section('Texts', prompts.map((prompt) => `<div class="sample"><pre>${escape(prompt)}</pre>${of(prompt)}</div>`).join(''))
}

function warnings(runs: readonly Shown[]): string {
  const all = runs.flatMap(({ name, told }) =>
    told.warnings.map(({ step, message }) => [`${runs.length > 1 ? `${name}, ` : ''}step ${step}`, message]),
  )
  return all.length === 0 ? '' : section('Warnings', table(all))
}

/** Every evaluation of a run. */
const evaluations = (runs: readonly Shown[]): string =>
  runs
    .filter(({ told }) => told.evals.length > 0)
    .map(({ name, told: { evals } }) =>
      section(
        runs.length > 1 ? `Evaluations: ${name}` : 'Evaluations',
        table(
          evals.map((e) => [String(e.step), number(e.loss), ...metricsOf(e).map(([, value]) => number(value, 3))]),
          ['step', 'loss', ...metricsOf(evals[0]!).map(([metric]) => metric)],
        ),
      ),
    )
    .join('')

/** Every setting; of several runs those that differ first. */
function settings(runs: readonly Shown[]): string {
  const rows = compared(runs.map((run) => Object.entries(run.settings).map(([name, value]) => [name, show(value)] as const)))
  if (runs.length === 1) return section('Settings', table(rows))
  const ordered = [...rows.filter(differs), ...rows.filter((row) => !differs(row))]
  return section('Settings', table(ordered, ['', ...runs.map(({ name }) => name)], differs))
}

const commands = (runs: readonly Shown[]): string => {
  const told = runs.filter(({ command }) => command !== undefined)
  if (told.length === 0) return ''
  const lines = told.map(
    ({ name, command }) => `${runs.length > 1 ? `<h3>${escape(name)}</h3>` : ''}<pre>${escape(command)}</pre>`,
  )
  return section('Command', lines.join(''))
}

/**
 * Renders the report of a run, or of several beside each other.
 * @returns a whole HTML document, light or dark as the reader prefers
 */
export function renderReport(reported: readonly ReportedRun[], assets: ReportAssets, title: string): string {
  const runs = reported.map((run): Shown => ({ ...run, told: toldBy(run.events) }))
  const main = [
    ...[errors(runs), summary(runs), chartSections, texts(runs), warnings(runs)],
    ...['<div class="tables">', evaluations(runs), runs.length === 1 ? settings(runs) : '', '</div>'],
    ...[runs.length === 1 ? '' : settings(runs), commands(runs)],
  ]
  return htmlDocument({
    title,
    subtitle: escape([...new Set(runs.map(({ model }) => model))].join(', ')),
    main: main.join('\n'),
    styles: [assets.style],
    scripts: [
      `${REPORT_DATA}${embed({ runs: runs.map(({ name, told }) => curvesOf(name, told)) })}</script>`,
      `<script>${assets.script.replaceAll('</script', '<\\/script')}</script>`,
      `<script>${pageScript}</script>`,
    ],
  })
}

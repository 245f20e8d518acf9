/** @file Style and script of the report's page. The script runs in the reader's browser, after uPlot. */

export const pageStyle = `
:root { --back: #ffffff; --panel: #f6f7f9; --text: #1c2128; --quiet: #5b6472; --line: #dfe3e8; --a: #2563eb; --b: #ea580c; --faint: #a8c0ee; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --panel: #1c2027; --text: #e4e7eb; --quiet: #98a2b0; --line: #303641; --a: #6ea0ff; --b: #ff9a52; --faint: #3a5288; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 4rem; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1rem; margin: 0 0 .5rem; } header p { margin: .1rem 0 1.2rem; color: var(--quiet); overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .7rem; margin: 0 0 1.2rem; }
.facts div, section { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem; }
dt { color: var(--quiet); font-size: .85rem; } dd { margin: 0; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .9rem; margin-bottom: .9rem; }
.charts section:first-child { grid-column: 1 / -1; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: .9rem; align-items: start; margin-top: .9rem; }
section > table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
section > table :is(th, td) { text-align: left; font-weight: 400; padding: .25rem .5rem .25rem 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th[scope=row] { color: var(--quiet); white-space: nowrap; } thead th { border: 0; color: var(--quiet); }
.u-legend { font-size: .8rem; } .u-legend .u-value { font-variant-numeric: tabular-nums; } .u-select { background: color-mix(in srgb, var(--a) 15%, transparent); }
@media (max-width: 50rem) { .charts { grid-template-columns: 1fr; } }
`

export const pageScript = `
(() => {
  'use strict'
  const run = JSON.parse(document.getElementById('run').textContent)
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const sync = uPlot.sync('run')
  const format = (value) => (value == null ? '–' : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(4))))
  const axis = (size) => ({ stroke: () => css('--quiet'), grid: { stroke: () => css('--line'), width: 1 }, ticks: { stroke: () => css('--line'), width: 1 }, ...size })
  const line = (label, color, more) => ({ label, stroke: () => css(color), width: 1.5, spanGaps: true, value: (_, v) => format(v), ...more })
  const plots = []
  const draw = (id, height, data, series) => {
    const box = document.getElementById(id)
    const options = {
      width: box.clientWidth,
      height,
      cursor: { sync: { key: sync.key } },
      scales: { x: { time: false } },
      axes: [axis(), axis({ size: 64, values: (_, ticks) => ticks.map(format) })],
      series: [{ label: 'step', value: (_, v) => (v == null ? '–' : String(v)) }, ...series],
    }
    plots.push([box, height, new uPlot(options, data, box)])
  }
  const dots = { points: { show: run.steps.length < 3 } }
  const lossSeries = [line('training', '--faint', { width: 1, ...dots }), line('training, smoothed', '--a', { points: { show: false } })]
  const train = [run.steps, run.loss, run.smooth]
  if (run.evalSteps.length === 0) draw('loss', 320, train, lossSeries)
  else draw('loss', 320, uPlot.join([train, [run.evalSteps, run.evalLoss]]), [...lossSeries, line('evaluation', '--b', { width: 2, points: { show: true, size: 7 } })])
  draw('learning-rate', 200, [run.steps, run.learningRate], [line('learning rate', '--a', dots)])
  draw('grad-norm', 200, [run.steps, run.gradNorm], [line('gradient norm', '--a', dots)])
  draw('tokens-per-second', 200, [run.steps, run.tokensPerSecond], [line('tokens/s', '--a', dots)])
  addEventListener('resize', () => { for (const [box, height, plot] of plots) plot.setSize({ width: box.clientWidth, height }) })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { for (const [, , plot] of plots) plot.redraw(false, true) })
})()
`

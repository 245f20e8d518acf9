/** @file Style and script of the report's page. The script runs in the reader's browser, after uPlot. */

export const pageStyle = `
:root { --back: #ffffff; --panel: #f6f7f9; --text: #1c2128; --quiet: #5b6472; --line: #dfe3e8; --a: #2563eb; --b: #ea580c; --faint: #a8c0ee; --alarm: #b91c1c; --mark: #fff4d6;
  --c0: #2563eb; --c1: #ea580c; --c2: #15803d; --c3: #9333ea; --c4: #0e7490; --c5: #be185d; --c6: #854d0e; --c7: #475569; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --panel: #1c2027; --text: #e4e7eb; --quiet: #98a2b0; --line: #303641; --a: #6ea0ff; --b: #ff9a52; --faint: #3a5288; --alarm: #ff8a80; --mark: #3a3115;
  --c0: #6ea0ff; --c1: #ff9a52; --c2: #5fd08a; --c3: #c792ff; --c4: #4cc9e0; --c5: #ff7ab6; --c6: #e0b04c; --c7: #a8b4c4; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 4rem; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1rem; margin: 0 0 .5rem; } h3 { font-size: .9rem; margin: .6rem 0 .2rem; } header p { margin: .1rem 0 1.2rem; color: var(--quiet); overflow-wrap: anywhere; }
main > section { margin-bottom: .9rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .7rem; margin: 0 0 1.2rem; }
.facts div, section { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem; min-width: 0; }
dt { color: var(--quiet); font-size: .85rem; } dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.error { border-color: var(--alarm); } .error h2 { color: var(--alarm); } .error p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .9rem; margin-bottom: .9rem; }
.charts section:first-child { grid-column: 1 / -1; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: .9rem; align-items: start; margin: .9rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
table :is(th, td) { text-align: left; font-weight: 400; padding: .25rem .75rem .25rem 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; white-space: pre-wrap; }
table th[scope=row] { color: var(--quiet); white-space: nowrap; } table thead th { border: 0; color: var(--quiet); }
.differs :is(th, td) { background: var(--mark); }
pre { margin: .2rem 0; font: 13px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; } .sample + .sample { margin-top: 1rem; }
button { float: right; font: inherit; font-size: .8rem; font-weight: 400; color: var(--text); background: none; border: 1px solid var(--line); border-radius: 6px; padding: .05rem .6rem; cursor: pointer; } button[aria-pressed=true] { border-color: var(--a); color: var(--a); }
.u-legend { font-size: .8rem; } .u-legend .u-value { font-variant-numeric: tabular-nums; } .u-legend :is(th, td) { border: 0; padding: 2px 4px; white-space: normal; } .uplot .u-legend { width: auto; } .u-select { background: color-mix(in srgb, var(--a) 15%, transparent); }
@media (max-width: 50rem) { .charts { grid-template-columns: 1fr; } }
`

export const pageScript = `
(() => {
  'use strict'
  const { runs } = JSON.parse(document.getElementById('run').textContent)
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const sync = uPlot.sync('run')
  const format = (value) => (value == null ? '–' : Math.abs(value) >= 1e6 ? value.toExponential(1).replace('e+', 'e') : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(4))))
  // Of a logarithmic axis, the lines between those that are named have no value.
  const ticks = (_, values) => values.map((value) => (value == null ? '' : format(value)))
  const axis = (size) => ({ stroke: () => css('--quiet'), grid: { stroke: () => css('--line'), width: 1 }, ticks: { stroke: () => css('--line'), width: 1 }, ...size })
  const line = (label, color, more) => ({ label, stroke: () => css(color), width: 1.5, spanGaps: true, value: (_, v) => format(v), ...more })
  const plots = new Map()
  const draw = (id, height, data, series, logarithmic) => {
    const box = document.getElementById(id)
    plots.get(id)?.plot.destroy()
    const options = {
      width: box.clientWidth,
      height,
      cursor: { sync: { key: sync.key } },
      scales: { x: { time: false }, ...(logarithmic && { y: { distr: 3 } }) },
      axes: [axis(), axis({ size: 64, values: ticks })],
      series: [{ label: 'step', value: (_, v) => (v == null ? '–' : String(v)) }, ...series],
    }
    plots.set(id, { box, height, plot: new uPlot(options, data, box) })
  }
  const dots = (run) => ({ points: { show: run.steps.length < 3 } })
  const alone = runs.length === 1
  const color = (i) => (alone ? '--a' : '--c' + (i % 8))
  // Of one run every step, and their mean; of several the means.
  const losses = runs.flatMap((run, i) => [
    ...(alone ? [{ x: run.steps, y: run.loss, series: line('training', '--faint', { width: 1, ...dots(run) }) }] : []),
    { x: run.steps, y: run.smooth, series: line(alone ? 'training, smoothed' : run.name, color(i), alone ? { points: { show: false } } : dots(run)) },
    ...(run.evalSteps.length === 0 ? [] : [{ x: run.evalSteps, y: run.evalLoss, series: line(alone ? 'evaluation' : run.name + ', evaluation', alone ? '--b' : color(i), { width: 2, points: { show: true, size: 7 }, ...(!alone && { dash: [6, 4] }) }) }]),
  ])
  const joined = (curves) => (curves.length === 0 ? [[]] : uPlot.join(curves.map(({ x, y }) => [x, y])))
  const values = losses.flatMap(({ y }) => y).filter((value) => value != null)
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const drawLoss = (logarithmic) => draw('loss', 320, joined(losses), losses.map(({ series }) => series), logarithmic)
  const scale = document.getElementById('scale')
  // A logarithm has no zero; and where a loss falls to a tenth, all that follows would lie on the axis.
  scale.hidden = !(low > 0)
  const set = (logarithmic) => { scale.setAttribute('aria-pressed', String(logarithmic)); drawLoss(logarithmic) }
  scale.addEventListener('click', () => set(scale.getAttribute('aria-pressed') !== 'true'))
  set(low > 0 && high / low >= 10)
  for (const [id, key, label] of [['learning-rate', 'learningRate', 'learning rate'], ['grad-norm', 'gradNorm', 'gradient norm'], ['tokens-per-second', 'tokensPerSecond', 'tokens/s']]) {
    const curves = runs.map((run, i) => ({ x: run.steps, y: run[key], series: line(alone ? label : run.name, color(i), dots(run)) }))
    draw(id, 200, joined(curves), curves.map(({ series }) => series))
  }
  addEventListener('resize', () => { for (const { box, height, plot } of plots.values()) plot.setSize({ width: box.clientWidth, height }) })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { for (const { plot } of plots.values()) plot.redraw(false, true) })
})()
`

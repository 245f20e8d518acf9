/** @file Style of the page at `/`. */

export const pageStyle = `
:root { --back: #fff; --panel: #f6f7f9; --text: #1c2128; --quiet: #5b6472; --line: #cfd5dc; --own: #e4ecfb; --mark: #1d4ed8; --alarm: #b91c1c; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --panel: #1c2027; --text: #e4e7eb; --quiet: #a3adba; --line: #3a424e; --own: #22304a; --mark: #8ab0ff; --alarm: #ff9a90; } }
* { box-sizing: border-box; }
html { height: 100%; }
body { margin: 0 auto; max-width: 84rem; min-height: 100%; padding: 1rem; display: flex; flex-direction: column; gap: .8rem; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.2rem; margin: 0; } h2 { font-size: .95rem; margin: 0; }
header, .settings, .say, .facts { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; }
.settings { margin-top: .6rem; }
header h1 { margin-right: auto; overflow-wrap: anywhere; }
label { color: var(--quiet); font-size: .85rem; display: inline-flex; gap: .4rem; align-items: center; }
select, input, textarea, button { font: inherit; color: inherit; background: var(--back); border: 1px solid var(--line); border-radius: 6px; padding: .25rem .5rem; }
input[type=number] { width: 6rem; } #key { width: 10rem; } #system { width: 22rem; max-width: 100%; }
button { cursor: pointer; } button.main { background: var(--mark); border-color: var(--mark); color: var(--back); } button:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
.panes { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .8rem; flex: 1; min-height: 16rem; }
.pane { display: flex; flex-direction: column; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); min-width: 0; }
.pane header { padding: .5rem .8rem; border-bottom: 1px solid var(--line); } .pane header label { flex: 1; } .pane select { flex: 1; min-width: 0; }
.pane output { color: var(--quiet); font-size: .8rem; font-variant-numeric: tabular-nums; }
.turns { flex: 1; overflow-y: auto; max-height: 60vh; padding: .8rem; display: flex; flex-direction: column; gap: .6rem; }
.turns p { margin: 0; padding: .4rem .7rem; border-radius: 8px; white-space: pre-wrap; overflow-wrap: anywhere; align-self: flex-start; max-width: 100%; }
.turns p.user { background: var(--own); align-self: flex-end; } .turns p.error { color: var(--alarm); border: 1px solid currentColor; }
.say textarea { flex: 1; min-width: 12rem; min-height: 2.6rem; resize: vertical; }
.facts { margin: 0; gap: .3rem 1.6rem; } .facts div { display: flex; gap: .4rem; } dt { color: var(--quiet); } dd { margin: 0; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } table { border-collapse: collapse; } th, td { text-align: left; font-weight: 400; padding: .15rem 1.2rem .15rem 0; } th { color: var(--quiet); }
details summary { cursor: pointer; color: var(--quiet); }
.note { color: var(--quiet); font-size: .85rem; margin: 0; }
@media (max-width: 46rem) { .panes { grid-template-columns: 1fr; } }
`

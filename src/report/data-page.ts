/** @file What an inspection of rows found as one HTML file. It needs no network and no script. */
import type {
  DataInspection,
  EpochCost,
  RowPair,
  RowPlace,
  RowsInspection,
  ShownRow,
  ShownSequence,
} from '../inspect-data/data-inspection.js'
import { count, counted, mean, percent } from '../util/numbers-as-text.js'
import { htmlDocument } from './document.js'
import { escape } from './text.js'

/** Bad rows in a page; the others are counted. */
const MOST_BAD = 1000

const style = `
main > * { margin-bottom: .9rem; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: .9rem; align-items: start; }
.key { color: var(--quiet); font-size: .85rem; margin: 0 0 1rem; }
.row { margin-bottom: .9rem; } .row h3, .row h4 { font-size: .85rem; font-weight: 400; color: var(--quiet); margin: 0 0 .3rem; overflow-wrap: anywhere; } .row h4 { margin-top: .6rem; }
.tokens { font: 14px/1.9 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
.tokens span { border-radius: 3px; padding: .12em 0; background: var(--token); } .tokens span:nth-child(odd) { background: var(--token-odd); }
.tokens .l { background: var(--learned); color: var(--learned-text); } .tokens .l:nth-child(odd) { background: var(--learned-odd); }
.tokens .s { color: var(--quiet); font-style: italic; } .tokens .l.s { color: var(--learned-text); }
.tokens i { color: var(--quiet); font-style: normal; opacity: .75; } .tokens b { font-size: .75em; font-weight: 600; color: var(--b); vertical-align: super; margin-left: .15em; }
:root { --token: transparent; --token-odd: #e9ecf0; --learned: #bfe8cb; --learned-odd: #9ed9b0; --learned-text: #0b3d1c; }
@media (prefers-color-scheme: dark) { :root { --token-odd: #2a303a; --learned: #1d4a2d; --learned-odd: #27623b; --learned-text: #d6f5e0; } }
.bars { display: grid; grid-template-columns: auto auto 1fr; gap: .15rem .7rem; align-items: center; font-variant-numeric: tabular-nums; }
.bars span { text-align: right; color: var(--quiet); white-space: nowrap; } .bars div { background: var(--a); height: .8rem; border-radius: 2px; min-width: 1px; }
.bars .none { background: none; } .bad { border-color: var(--b); } .scroll { overflow-x: auto; }
table :is(td, th).n { text-align: right; white-space: nowrap; }
`

const at = ({ file, line }: RowPlace): string => `${file}:${line}`

/** White space as signs, quiet; a line break stays one, and before a space a line may break. */
const visible = (text: string): string =>
  text
    .split(/([\n\r\t ])/)
    .map((part) =>
      part === '\n'
        ? '<i>↵</i>\n'
        : part === '\r'
          ? '<i>␍</i>'
          : part === '\t'
            ? '<i>→</i>\t'
            : part === ' '
              ? '<wbr><i>·</i>'
              : escape(part),
    )
    .join('')

function tokenText({ tokens, ids, special, learned, tags }: ShownSequence): string {
  const isSpecial = new Set(special)
  const spans = tokens.map((text, i) => {
    const isLearned = learned.some(([start, end]) => i >= start && i < end)
    const kinds = [...(isLearned ? ['l'] : []), ...(isSpecial.has(i) ? ['s'] : [])].join(' ')
    const tag = tags?.[i] ?? null
    const title = `${ids[i]}${isLearned ? ', learned' : ''}`
    return `<span${kinds === '' ? '' : ` class="${kinds}"`} title="${title}">${visible(text)}${tag === null ? '' : `<b>${escape(tag)}</b>`}</span>`
  })
  return `<p class="tokens">${spans.join('')}</p>`
}

const learnedOf = ({ learned }: ShownSequence): number => learned.reduce((sum, [start, end]) => sum + end - start, 0)

const sizeOf = (sequence: ShownSequence): string =>
  `${counted(sequence.ids.length, 'token')}${learnedOf(sequence) > 0 ? `, ${count(learnedOf(sequence))} learned` : ''}`

function shownRow(row: ShownRow): string {
  const facts = [
    at(row),
    ...(row.sequences.length === 1 ? [sizeOf(row.sequences[0]!)] : []),
    ...(row.label === undefined ? [] : [`label ${[row.label].flat().join(', ')}`]),
    ...Object.entries(row.inputs ?? {}).map(([name, shape]) => `${name} [${shape.join(', ')}]`),
    ...(row.truncated ? ['cut'] : []),
  ]
  const texts = row.sequences.map(
    (sequence) =>
      `${sequence.name === undefined ? '' : `<h4>${escape(sequence.name)} · ${sizeOf(sequence)}</h4>`}${tokenText(sequence)}`,
  )
  return `<section class="row"><h3>${escape(facts.join(' · '))}</h3>${texts.join('')}</section>`
}

const facts = (rows: readonly (readonly [string, string])[]): string =>
  `<dl class="facts">${rows.map(([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`).join('')}</dl>`

function bars(title: string, rows: readonly (readonly [string, number])[]): string {
  const most = Math.max(1, ...rows.map(([, value]) => value))
  const lines = rows.map(
    ([name, value]) =>
      `<span>${escape(name)}</span><span>${count(value)}</span><div${value === 0 ? ' class="none"' : ''} style="width:${((100 * value) / most).toFixed(2)}%"></div>`,
  )
  return `<section><h2>${escape(title)}</h2><div class="bars">${lines.join('')}</div></section>`
}

/** A table whose columns but the first may hold numbers. */
const table = (head: readonly string[], rows: readonly (readonly string[])[], numbers = false): string => {
  const kind = numbers ? ' class="n"' : ''
  const line = ([first, ...cells]: readonly string[]): string =>
    `<tr><th scope="row">${escape(first)}</th>${cells.map((cell) => `<td${kind}>${escape(cell)}</td>`).join('')}</tr>`
  return `<table><thead><tr>${head.map((name, i) => `<th scope="col"${i > 0 ? kind : ''}>${escape(name)}</th>`).join('')}</tr></thead><tbody>${rows.map(line).join('')}</tbody></table>`
}

const pairs = (title: string, note: string, list: readonly RowPair[]): string =>
  list.length === 0
    ? ''
    : `<section class="scroll"><h2>${escape(title)}</h2><p class="key">${escape(note)}</p>${table(['row', 'like'], list.map(({ row, first }) => [at(row), at(first)]))}</section>` // prettier-ignore

function problemsOf({ bad, problems }: RowsInspection): string {
  if (bad.length === 0 && problems.length === 0) return ''
  const more = bad.length > MOST_BAD ? `<p class="key">and ${count(bad.length - MOST_BAD)} more</p>` : ''
  const rows = bad.slice(0, MOST_BAD).map((row) => [at(row), row.message])
  return `<section class="bad scroll"><h2>${counted(bad.length, 'row')} that a run would refuse</h2>${problems.map((problem) => `<p>${escape(problem)}</p>`).join('')}${rows.length === 0 ? '' : table(['row', 'why'], rows)}${more}</section>`
}

function part(found: RowsInspection, maxLength: number | null, more: readonly (readonly [string, string])[] = []): string {
  const { lengths, truncated, duplicates, sameInput, emptyAnswers, labels, learnedTokens } = found
  const share = (value: number, whole: number): string => percent(whole === 0 ? 0 : value / whole)
  const list: (readonly [string, string])[] = [
    ['Rows', `${count(found.rows)}${found.usable === found.rows ? ', all usable' : `, ${count(found.usable)} usable`}`],
    ...(found.skipped > 0 ? [['Left out', counted(found.skipped, 'row')] as const] : []),
    ['Tokens', count(found.tokens)],
    ...(learnedTokens === null
      ? []
      : [['Learned tokens', `${count(learnedTokens)} (${share(learnedTokens, found.tokens)})`] as const]),
    ...(lengths === undefined
      ? []
      : [
          ['Length', `${count(lengths.shortest)} to ${count(lengths.longest)}, mean ${mean(lengths.mean)}`] as const,
          ['50, 95, 99 % at most', [50, 95, 99].map((percentile) => count(lengths.percentiles[percentile]!)).join(', ')] as const,
        ]),
    [
      maxLength === null ? 'Cut' : `Cut at ${count(maxLength)} tokens`,
      truncated.rows === 0 ? 'no row' : `${counted(truncated.rows, 'row')}, ${counted(truncated.tokens, 'token')}, ${count(truncated.learnedTokens)} of them to be learned`, // prettier-ignore
    ],
    ['Duplicates', duplicates.rows === 0 ? 'no row' : counted(duplicates.rows, 'row')],
    ['Same input, other answer', sameInput.rows === 0 ? 'no row' : `${counted(sameInput.inputs, 'input')} in ${counted(sameInput.rows, 'row')}`], // prettier-ignore
    ...(learnedTokens === null || labels !== undefined
      ? []
      : [['Empty answers', emptyAnswers.rows === 0 ? 'no row' : `${counted(emptyAnswers.rows, 'row')}: ${emptyAnswers.first.slice(0, 3).map(at).join(', ')}${emptyAnswers.rows > 3 ? ', …' : ''}`] as const]), // prettier-ignore
    ...more,
  ]
  return [
    problemsOf(found),
    facts(list),
    ...(found.warnings.length === 0
      ? []
      : [`<section><h2>Warnings</h2>${found.warnings.map((warning) => `<p>${escape(warning)}</p>`).join('')}</section>`]),
    `<div class="two">${[
      lengths === undefined
        ? ''
        : bars('Tokens of a row', lengths.histogram.map(({ from, to, rows }) => [from === to ? count(from) : `${count(from)} – ${count(to)}`, rows])), // prettier-ignore
      labels === undefined || labels.length === 0
        ? ''
        : bars('Labels', labels.map(({ label, count: occurs }) => [String(label), occurs])), // prettier-ignore
      pairs('Duplicates', 'Token for token and label for label.', duplicates.first),
      pairs('Same input, other answer', 'The first row with the same input has another answer.', sameInput.first),
    ].join('')}</div>`,
  ].join('\n')
}

const costRow = (name: string, { steps, tokens, positions, padding }: EpochCost): string[] => [
  name,
  ...[steps, tokens, positions].map(count),
  percent(padding),
]

/**
 * Renders an inspection of rows.
 * @returns a whole HTML document, light or dark as the reader prefers
 */
export function renderDataPage(found: DataInspection): string {
  const { data, evalData, batching } = found
  const title = `lowrank data: ${data.files.join(', ')}`
  const costs = [
    costRow('first pass', found.epoch),
    costRow('second pass', found.secondEpoch),
    costRow('rows as they come', batching.plain),
    costRow('group by length', batching.groupByLength),
    ...(batching.packing === undefined ? [] : [costRow('packing', batching.packing)]),
  ]
  const subtitle = `${escape(found.objective)} · ${counted(found.batchSize, 'row')} in a batch${found.gradAccum > 1 ? `, ${count(found.gradAccum)} batches in a step` : ''}`
  const main = `${data.shown.length === 0 ? '' : `<p class="key tokens"><span class="l">learned</span> not learned <span class="s">special</span> <i>·</i> space <i>↵</i> line end</p>`}
${data.shown.map(shownRow).join('\n')}
${part(data, found.maxLength)}
<section class="scroll"><h2>What a pass costs</h2>${table(['', 'steps', 'tokens', 'positions computed', 'padding'], costs, true)}</section>
${
  evalData === undefined
    ? ''
    : `<h2>To evaluate on: ${escape(evalData.files.join(', '))}</h2>
${part(evalData, found.maxLength, [['Also trained on', `${counted(evalData.alsoTrainedOn.rows, 'row')}; ${counted(evalData.alsoTrainedOn.inputs, 'row')} with an input of theirs`]])}
${pairs('Also trained on', 'Rows to evaluate on, and rows to train on with the same input.', evalData.alsoTrainedOn.first)}`
}`
  return htmlDocument({ title, subtitle, main, styles: [style] })
}

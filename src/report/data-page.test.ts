/** @file The page of an inspection of rows: everything is in it, nothing is asked for, and texts of rows stay texts. */
import { describe, expect, it } from 'vitest'
import type { DataInspection, EpochCost, RowsInspection } from '../inspect-data/data-inspection.js'
import { renderDataPage } from './data-page.js'

const cost: EpochCost = { batches: 3, steps: 3, tokens: 70, positions: 100, padding: 0.3 }
const pair = { row: { file: 'rows.jsonl', line: 4 }, first: { file: 'rows.jsonl', line: 2 } }
const rows: RowsInspection = {
  ...{ files: ['<rows>.jsonl'], rows: 1234, usable: 1233, problems: ['no batch'], skipped: 0, tokens: 70, learnedTokens: 21 },
  bad: [{ file: 'rows.jsonl', line: 7, message: 'found <b>nothing</b>' }],
  lengths: {
    ...{ shortest: 3, mean: 4, longest: 9, percentiles: { 50: 4, 95: 8, 99: 9 } },
    histogram: [
      { from: 0, to: 4, rows: 10 },
      { from: 5, to: 9, rows: 5 },
    ],
  },
  truncated: { rows: 2, tokens: 11, learnedTokens: 5 },
  duplicates: { rows: 1, first: [pair] },
  sameInput: { inputs: 1, rows: 2, first: [pair] },
  emptyAnswers: { rows: 1, first: [pair.row] },
  warnings: ['nothing reads "source"'],
  shown: [
    {
      ...{ file: 'rows.jsonl', line: 1, truncated: true },
      sequences: [
        {
          ...{ ids: [1, 5, 6], labels: [-100, -100, 6], tokens: ['<s>', ' a\n', '<script>alert(1)</script>'], special: [0] },
          learned: [[2, 3]],
        },
      ],
    },
  ],
}
const found: DataInspection = {
  ...{ objective: 'causal-lm', maxLength: 9, batchSize: 2, gradAccum: 1, data: rows, epoch: cost, secondEpoch: cost },
  batching: { plain: cost, groupByLength: cost, packing: cost },
  evalData: { ...rows, shown: [], alsoTrainedOn: { rows: 6, inputs: 8, first: [pair] } },
}

describe('the page', () => {
  const page = renderDataPage(found)

  it('asks for nothing: no script, no address, no file', () => {
    expect(page).not.toMatch(/<script|<link|<img|src=|href=|url\(|https?:/i)
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
  })

  it('shows tokens with what is learned, special tokens and white space', () => {
    expect(page).toContain('<span class="s" title="1">&lt;s&gt;</span>')
    expect(page).toContain('<span title="5"><wbr><i>·</i>a<i>↵</i>\n</span>')
    expect(page).toContain('<span class="l" title="6, learned">&lt;script&gt;alert(1)&lt;/script&gt;</span>')
  })

  it('has what the terminal has', () => {
    const texts = [
      ...['1,234, 1,233 usable', '21 (30 %)', '2 rows, 11 tokens, 5 of them to be learned', '1 input in 2 rows', 'rows.jsonl:4'],
      ...[
        'found &lt;b&gt;nothing&lt;/b&gt;',
        'no batch',
        'nothing reads &quot;source&quot;',
        '6 rows; 8 rows with an input of theirs',
      ],
      ...['group by length', 'packing', '&lt;rows&gt;.jsonl', '1 row: rows.jsonl:4'],
    ]
    for (const text of texts) expect(page).toContain(text)
  })
})

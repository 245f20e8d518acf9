/** @file The compared tables as Markdown, and as a page. */
import { escape, table as htmlTable } from '../../report/text.js'
import { htmlDocument } from '../../report/document.js'
import type { ComparedRow, ComparedTable } from './compare.js'

const SOURCES =
  'Rows "paper" are Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), tables 2 and 3, with its repository\'s README; "others" are issues of microsoft/LoRA. A dash is a number that was not run, was not published, or is not defined.'

const head = ({ columns }: ComparedTable): string[] => ['', 'trained parameters', ...columns]

const cells = ({ name, parameters, cells: values }: ComparedRow, columns: readonly string[]): string[] => [
  ...[name, parameters],
  ...columns.map((column) => values[column] ?? '–'),
]

/** The tables as Markdown. */
export function comparedMarkdown(tables: readonly ComparedTable[]): string {
  const line = (row: readonly string[]): string => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return tables
    .flatMap((table) => [
      ...[`## ${table.title}`, '', line(head(table)), `|${'---|'.repeat(head(table).length)}`],
      ...table.rows.map((row) => line(cells(row, table.columns).map((cell) => (row.kind === 'mean' && cell !== '–' && cell !== '' ? `**${cell}**` : cell)))), // prettier-ignore
      ...['', ...table.notes.flatMap((note) => [note, '']), SOURCES, ''],
    ])
    .join('\n')
}

/** The tables as a page of its own. */
export function comparedHtml(tables: readonly ComparedTable[], title: string): string {
  const sections = tables.map((table) => {
    const means = new Set(table.rows.filter(({ kind }) => kind === 'mean').map(({ name }) => name))
    const rows = table.rows.map((row) => cells(row, table.columns))
    const notes = [...table.notes, SOURCES].map((note) => `<p>${escape(note)}</p>`).join('')
    return `<section><h2>${escape(table.title)}</h2>${htmlTable(rows, head(table), ([name]) => means.has(name!))}${notes}</section>`
  })
  return htmlDocument({ title, main: sections.join('\n') })
}

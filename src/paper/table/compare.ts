/** @file Runs sorted into the paper's tables: published, what others got, each seed, their mean and deviation. */
import { mean } from '../../metrics/mean.js'
import type { PaperRecord } from '../record.js'
import { paperModel, paperTables, tableOf, type Column, type PaperTable } from './layout.js'

/** A row of a table, by the names of its columns; a number that was not run is not there. */
export interface ComparedRow {
  readonly kind: 'paper' | 'others' | 'run' | 'mean'
  readonly name: string
  readonly parameters: string
  readonly cells: Readonly<Record<string, string>>
}

export interface ComparedTable {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly ComparedRow[]
  /** What a reader must know to compare. */
  readonly notes: readonly string[]
}

/** Runs that differ in seed and task alone. */
interface Group {
  readonly preset: string | undefined
  readonly family: string
  readonly model: string
  readonly trainedParameters: number
  readonly records: PaperRecord[]
}

/** A preset without its task, which is a column: `roberta-base-mnli` is of `roberta-base`. */
const family = ({ preset, task }: PaperRecord): string =>
  (preset ?? '')
    .split('-')
    .filter((part) => part !== task)
    .join('-')

/** What runs share that stand in one row for each seed, and in one mean: another rank, or all weights, is another experiment. */
export const groupKey = (record: PaperRecord): string => JSON.stringify([family(record), record.model, record.trainedParameters])

function groupsOf(records: readonly PaperRecord[]): Group[] {
  const groups = new Map<string, Group>()
  for (const record of records) {
    const key = groupKey(record)
    const { preset, model, trainedParameters } = record
    const group = groups.get(key) ?? { preset, family: family(record), model, trainedParameters, records: [] }
    group.records.push(record)
    groups.set(key, group)
  }
  return [...groups.values()]
}

/** The metric's own name and number in a record, if the record is of the column. */
function valueOf(record: PaperRecord, { task, split, metric }: Column): readonly [name: string, value: number] | undefined {
  if (record.task !== task) return undefined
  const scores = Object.entries(record.metrics[split] ?? {})
  return scores.find(([name]) => name === metric) ?? scores.find(([name]) => name.startsWith(metric))
}

const shown = (value: number, { times, digits }: Column): string => (value * times).toFixed(digits)

/** Of a sample; undefined of fewer than two. */
function deviation(values: readonly number[]): number | undefined {
  if (values.length < 2) return undefined
  const middle = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1))
}

/** The numbers of a row, and the mean of the columns where all of them are there. */
function cellsOf(
  table: PaperTable,
  valueIn: (column: Column) => number | undefined,
  show: (value: number, column: Column) => string,
): Record<string, string> {
  const values = table.columns.map((column) => [column, valueIn(column)] as const)
  const cells = Object.fromEntries(
    values.flatMap(([column, value]) => (value === undefined ? [] : [[column.name, show(value, column)]])),
  )
  const complete = values.map(([, value]) => value).filter((value) => value !== undefined)
  if (table.average !== undefined && complete.length === values.length) cells[table.average] = (100 * mean(complete)).toFixed(1)
  return cells
}

/** What a group's rows are called: its model, and its preset too where another group has the same model. */
function nameOf({ model, family }: Group, groups: readonly Group[]): string {
  if (groups.every((group) => group.model !== model || group.family === family)) return model
  return `${model} (${family === '' ? 'no preset' : family})`
}

function runRows(table: PaperTable, name: string, { trainedParameters, records }: Group): ComparedRow[] {
  const parameters = trainedParameters.toLocaleString('en-US')
  const seeds = [...new Set(records.map(({ seed }) => seed))].sort((a, b) => a - b)
  const rows = seeds.map((seed): ComparedRow => {
    const own = records.filter((record) => record.seed === seed)
    const valueIn = (column: Column): number | undefined =>
      own.map((record) => valueOf(record, column)).find((found) => found !== undefined)?.[1]
    return { kind: 'run', name: `${name}, seed ${seed}`, parameters, cells: cellsOf(table, valueIn, shown) }
  })
  if (seeds.length < 2) return rows
  const ofAll = (column: Column): number[] => records.flatMap((record) => valueOf(record, column)?.[1] ?? [])
  const meanIn = (column: Column): number | undefined => (ofAll(column).length === 0 ? undefined : mean(ofAll(column)))
  const withDeviation = (value: number, column: Column): string => {
    const spread = deviation(ofAll(column))
    return spread === undefined ? shown(value, column) : `${shown(value, column)} ± ${shown(spread, column)}`
  }
  const cells = cellsOf(table, meanIn, withDeviation)
  return [...rows, { kind: 'mean', name: `${name}, mean ± deviation`, parameters, cells }]
}

/** What was published of the model of a group, and what others got with it; all of the table's where no preset tells one. */
function paperRows(table: PaperTable, groups: readonly Group[]): ComparedRow[] {
  const wanted = new Set(groups.flatMap(({ preset }) => paperModel(preset) ?? []))
  const isWanted = ({ model }: { readonly model: string }): boolean => wanted.size === 0 || wanted.has(model)
  return [
    ...table.published.filter(isWanted).map(({ model, method, parameters, values }): ComparedRow => ({
      ...{ kind: 'paper', name: `paper: ${model}, ${method}`, parameters, cells: values },
    })),
    ...table.community.filter(isWanted).map(({ model, issues, values }): ComparedRow => ({
      ...{
        kind: 'others',
        name: `others: ${model}, LoRA (${issues.map((issue) => `#${issue}`).join(', ')})`,
        parameters: '',
        cells: values,
      },
    })),
  ]
}

function notesOf(table: PaperTable, records: readonly PaperRecord[]): string[] {
  const notes = table.columns.flatMap((column) => {
    const names = records.flatMap((record) => valueOf(record, column)?.[0] ?? [])
    return [...new Set(names)].filter((name) => name !== column.metric).map((name) => `The runs' ${column.name} is ${name}.`)
  })
  return [...new Set(notes)]
}

/** The tables of the paper to which runs belong, with what was published beside them. */
export function compareWithPaper(records: readonly PaperRecord[]): ComparedTable[] {
  return paperTables.flatMap((table) => {
    const own = records.filter((record) => tableOf(record) === table)
    if (own.length === 0) return []
    const groups = groupsOf(own)
    const columns = [...table.columns.map(({ name }) => name), ...(table.average === undefined ? [] : [table.average])]
    const rows = [...paperRows(table, groups), ...groups.flatMap((group) => runRows(table, nameOf(group, groups), group))]
    return [{ title: table.title, columns, rows, notes: notesOf(table, own) }]
  })
}

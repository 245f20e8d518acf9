/** @file The files of GLUE: TSV as it is distributed, and JSON, CSV and Parquet with the fields that `datasets` has. */
import { isDatasetId } from '../../data/dataset-id.js'
import { openRowData, type DataPlace } from '../../data/open-data.js'
import { formatOf } from '../../data/open-rows.js'
import { at, rowsOf, type Row } from '../../data/rows.js'
import { InvalidDataError, InvalidOptionError } from '../../errors.js'
import type { GlueTask } from '../../metrics/glue.js'
import { someNames, someOf } from '../../util/some-of.js'
import { glueTasks, type GlueTaskFacts } from './tasks.js'

/** A row of a task: its texts by the names of their fields, and the number of its class, or its number. */
export type GlueRow = Readonly<Record<string, string | number>>

export interface GlueRows {
  readonly rows: readonly GlueRow[]
  /** Where they were read. */
  readonly file: string
  /** Lines that lack a column, which `datasets` leaves out too: QQP has some. */
  readonly incomplete: number
}

/**
 * The rows of a part of a task.
 * @param data GLUE's folder, the task's own, or a data set of the hub (`hf:nyu-mll/glue`)
 * @param names of the part's file, see {@link glueTasks}
 * @param labelled whether each row must have a label; those of tests have none
 * @throws InvalidDataError if there is no such file, or a row does not fit the task
 */
export async function readGlue(
  place: DataPlace,
  task: GlueTask,
  data: string,
  names: readonly string[],
  labelled: boolean,
): Promise<GlueRows> {
  const found = await findGlue(place, task, data, names)
  if (found === undefined)
    throw new InvalidDataError(
      `${data}: no file of ${task} called ${someNames(names)} (.tsv, .jsonl, .json, .csv, .parquet); ` +
        `give GLUE's folder with ${someNames(glueTasks[task].folders)} in it, the task's own folder, or hf:nyu-mll/glue`,
    )
  const isTable = found.length === 1 && formatOf(found[0]!)?.format === 'tsv' && formatOf(found[0]!)?.packed === false
  const read = isTable ? await readTable(place, task, found[0]!, labelled) : await readFields(place, task, found, labelled)
  if (read.rows.length === 0) throw new InvalidDataError(`${read.file}: there is no row`)
  return read
}

/** Whether there is a file of a part. */
export const hasGlue = async (...asked: Parameters<typeof findGlue>): Promise<boolean> => (await findGlue(...asked)) !== undefined

/** The files of a part, or undefined where there is none. @throws InvalidDataError if there are several of a name */
async function findGlue(
  { files }: DataPlace,
  task: GlueTask,
  data: string,
  names: readonly string[],
): Promise<readonly string[] | undefined> {
  if (isDatasetId(data)) {
    const [id, split] = data.split('@') as [string, string?]
    if (split !== undefined)
      throw new InvalidOptionError(`"${data}" names a split; leave "@${split}" out, each part of a task has its own`)
    // The hub's own data set has a config for each task.
    const config = /^hf:[^:]+:/.test(id) ? id : `${id}:${task}`
    return [`${config}@${names.find((name) => HUB.test(name)) ?? names[0]!}`]
  }
  if (!(await files.isDirectory(data))) throw new InvalidDataError(`"${data}" is no folder; give the folder of GLUE's files`)
  const root = data.replace(/[/\\]+$/, '')
  const within = await Promise.all(
    glueTasks[task].folders.map(async (folder) =>
      (await files.isDirectory(`${root}/${folder}`)) ? `${root}/${folder}` : undefined,
    ),
  )
  const folder = within.find((each) => each !== undefined) ?? root
  const listed = (await files.list(folder)).filter((file) => formatOf(file) !== undefined)
  for (const name of names) {
    const own = listed.filter((file) => file.replace(/(-\d+-of-\d+)?\.[^.]+(\.gz)?$/, '') === name)
    const formats = new Set(own.map((file) => formatOf(file)!.format))
    if (formats.size > 1)
      throw new InvalidDataError(`${folder}: ${someOf(own)} may each be the rows called ${name}; keep one of them there`)
    if (own.length > 0) return own.map((file) => `${folder}/${file}`)
  }
  return undefined
}

/** How the hub's data set calls its splits. */
const HUB = /^(train|validation|test)(_(mis)?matched)?$/

/** Rows whose fields have names. */
async function readFields(place: DataPlace, task: GlueTask, paths: readonly string[], labelled: boolean): Promise<GlueRows> {
  const { texts } = glueTasks[task]
  const { sources, names: file } = await openRowData(place, paths)
  const rows: GlueRow[] = []
  for await (const row of rowsOf(sources)) {
    const fields = texts.map((field) => {
      const text = row.value[field]
      if (typeof text !== 'string')
        throw new InvalidDataError(
          `${at(row)}: ${task} needs the text "${field}"; the row has ${someNames(Object.keys(row.value))}`,
        )
      return [field, text] as const
    })
    rows.push(withLabel(Object.fromEntries(fields), task, row.value['label'], labelled, row))
  }
  return { rows, file, incomplete: 0 }
}

/** Where texts and label stand in a line. */
interface Columns {
  readonly texts: readonly number[]
  /** -1 where there is none. */
  readonly label: number
}

/** The columns that the first line names; undefined where it is a row. */
function namedColumns({ columns, texts }: GlueTaskFacts, first: readonly string[]): Columns | undefined {
  const of = (names: readonly string[]): number => first.findIndex((cell) => names.includes(cell))
  const places = columns.texts.map((names, i) => of([...names, texts[i]!]))
  return places.includes(-1) ? undefined : { texts: places, label: of([...columns.label, 'label']) }
}

/** Lines of tabs, in which a quote is a character like any other. */
async function readTable({ files }: DataPlace, task: GlueTask, file: string, labelled: boolean): Promise<GlueRows> {
  const facts = glueTasks[task]
  const lines = (await files.readText(file)).replace(/^\uFEFF/, '').split('\n')
  const cellsOf = (line: string): string[] => line.replace(/\r$/, '').split('\t')
  const first = cellsOf(lines[0]!)
  const named = namedColumns(facts, first)
  const unnamed = facts.places !== undefined && first.length >= facts.places.width ? facts.places : undefined
  const columns = named ?? unnamed
  if (columns === undefined)
    throw new InvalidDataError(
      `${file}: the first line names no columns of ${task} (${someNames([...facts.columns.texts.flat(), ...facts.columns.label])}), and is no row of it; it holds ${someNames(first)}`,
    )
  const rows: GlueRow[] = []
  let incomplete = 0
  for (let i = named === undefined ? 0 : 1; i < lines.length; i++) {
    if (lines[i] === '' || lines[i] === '\r') continue
    const cells = cellsOf(lines[i]!)
    const needed = Math.max(...columns.texts, columns.label)
    if (cells.length <= needed) {
      incomplete++
      continue
    }
    const texts = Object.fromEntries(facts.texts.map((field, t) => [field, cells[columns.texts[t]!]!]))
    rows.push(withLabel(texts, task, cells[columns.label], labelled, { file, line: i + 1 }))
  }
  return { rows, file, incomplete }
}

/** A row with its label as a number; rows of tests have none, or -1. @throws InvalidDataError for a label that the task does not have */
function withLabel(
  texts: Readonly<Record<string, string>>,
  task: GlueTask,
  given: unknown,
  labelled: boolean,
  where: Pick<Row, 'file' | 'line' | 'unit'>,
): GlueRow {
  if (!labelled) return texts
  const { labels } = glueTasks[task]
  const named = labels.indexOf(String(given))
  const number = named >= 0 ? named : given === '' || given === null || given === undefined ? Number.NaN : Number(given)
  const fits =
    labels.length === 0 ? number >= 0 && number <= 5 : Number.isInteger(number) && number >= 0 && number < labels.length
  if (fits) return { ...texts, label: number }
  throw new InvalidDataError(
    `${at(where)}: the label of ${task} must be ${labels.length === 0 ? 'a number from 0 to 5' : `one of ${labels.join(', ')}, or its number from 0 to ${labels.length - 1}`}, got ${JSON.stringify(given) ?? 'none'}`,
  )
}

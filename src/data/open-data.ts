/** @file Rows opened from wherever they come: files, folders of files, data sets of the hub, blobs, memory. */
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import { renameColumns } from './columns.js'
import type { Columns } from './column-names.js'
import { isDatasetId } from './dataset-id.js'
import { filesOfPart, type Part } from './data-folder.js'
import { memorySource } from './memory-rows.js'
import { checkHeader, formatOf, openBlob, openRows, type RowPlace } from './open-rows.js'
import { filesOf, listRows, type RowData } from './row-data.js'
import type { GivenReading } from './row-reading.js'
import type { RowSource } from './rows.js'

/** Where rows are found. */
export interface DataPlace extends RowPlace {
  /**
   * The files of a data set of the hub, `hf:owner/name[:config][@split]`, as paths or addresses that `files` can read.
   * @throws HubError if there is none, or it has several configs and none was named
   */
  readonly findDataset?: ((id: string) => Promise<readonly string[]>) | undefined
}

export interface OpenDataOptions extends Partial<GivenReading> {
  /** What messages call rows that have no file; `data` by default. */
  readonly name?: string
  /** What is taken of a folder; `train` by default. */
  readonly part?: Part
}

/** Rows that are open, to be read by index, any number of times. */
export class OpenedRows {
  /**
   * @param sources in the order in which they were given
   * @param beside files with rows for evaluation that lie in the same folders
   */
  constructor(
    readonly sources: readonly RowSource[],
    readonly beside: readonly string[] = [],
  ) {}

  /** What the rows lie in, for messages. */
  get names(): string {
    return [...new Set(this.sources.map(({ file }) => file))].join(', ')
  }

  /** The same with columns under the names of fields. @throws InvalidDataError for a column that there is not */
  async renamed(columns: Columns | undefined): Promise<OpenedRows> {
    return columns === undefined ? this : new OpenedRows(await renameColumns(this.sources, columns), this.beside)
  }
}

/**
 * Opens rows. Iterables in memory are read, files are scanned once for the places of their rows.
 * @throws FileError for a file that is missing; InvalidDataError if one is of no known kind or damaged, or there is no row, or no
 * such column; InvalidOptionError where there is to be no header and the rows have names of their fields
 */
export async function openRowData(
  place: DataPlace,
  data: RowData,
  { name = 'data', part = 'train', columns, ...reading }: OpenDataOptions = {},
): Promise<OpenedRows> {
  const files = filesOf(data)
  if (files === undefined) {
    checkHeader(name, reading)
    const rows = await listRows(data, name)
    if (rows.length === 0) throw new InvalidDataError(`no row in ${name}: the data set is empty.`)
    return new OpenedRows([memorySource(rows, name)]).renamed(columns)
  }
  const sources: RowSource[] = []
  const beside: string[] = []
  for (const [index, file] of files.entries()) {
    if (typeof file !== 'string') {
      sources.push(await openBlob(file, files.length === 1 ? name : `${name}[${index}]`, place, reading))
      continue
    }
    const found = await pathsOf(place, file, part)
    beside.push(...found.beside)
    for (const path of found.paths)
      sources.push(await openRows(place.files, path, { cacheFolder: place.cacheFolder, ...reading }))
  }
  const opened = new OpenedRows(sources, beside)
  if (sources.every((source) => source.length === 0))
    throw new InvalidDataError(`no row in ${opened.names}: the data set is empty.`)
  return opened.renamed(columns)
}

/** The files with rows for evaluation that lie beside those to train on; of what is no folder none. */
export async function filesBeside(place: DataPlace, data: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(data.filter((path) => !isDatasetId(path)).map((path) => pathsOf(place, path, 'train')))
  return found.flatMap(({ beside }) => beside)
}

interface Found {
  readonly paths: readonly string[]
  readonly beside: readonly string[]
}

async function pathsOf({ files, findDataset }: DataPlace, path: string, part: Part): Promise<Found> {
  if (isDatasetId(path)) {
    if (findDataset === undefined)
      throw new InvalidOptionError(
        `"${path}" is a data set of the hub, which this environment does not fetch; give files of rows`,
      )
    return { paths: await findDataset(path), beside: [] }
  }
  if (formatOf(path) !== undefined || !(await isFolder(files, path))) return { paths: [path], beside: [] }
  return filesOfPart(files, path, part)
}

/** An address is no folder: a server does not list what it has. */
const isFolder = async (files: Files, path: string): Promise<boolean> => !/^(https?|blob):/i.test(path) && files.isDirectory(path)

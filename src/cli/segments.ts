/** @file The segments that `lowrank score` is given: text files of references and hypotheses, or rows. */
import { openRowData } from '../data/open-data.js'
import { at, foundFields, kindOf, rowsOf, type Row } from '../data/rows.js'
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { segmentsOfFiles, type Segment, type TextFile } from '../metrics/index.js'
import { checkNoReading, readingOf, type ReadingFlags } from './sources.js'
import { UsageError } from './usage-error.js'

/** The flags that say where segments are. */
export interface SegmentFlags extends ReadingFlags {
  readonly references: string | undefined
  readonly hypotheses: string | undefined
  readonly 'num-refs': number | undefined
  readonly data: readonly string[] | undefined
}

/** Segments, and whether their hypotheses are a text file whose last line is ended. */
export interface FoundSegments {
  readonly segments: readonly Segment[]
  readonly lineEnded: boolean
}

/** What GenerationEval calls its files in a folder. */
const IN_FOLDER = 'reference'

/** @throws UsageError for flags that do not belong together */
export function checkSegmentFlags(flags: SegmentFlags): void {
  const { references, hypotheses, data, 'num-refs': count } = flags
  const files = references !== undefined || hypotheses !== undefined || count !== undefined
  if (data !== undefined && files)
    throw new UsageError('--data has references and hypotheses; leave out --references, --hypotheses and --num-refs.')
  if (data === undefined) checkNoReading(flags)
  if (data === undefined && (references === undefined || hypotheses === undefined))
    throw new UsageError('lowrank score needs --references REFS and --hypotheses HYPS, or --data FILE.')
}

/** Opens what the flags name. @throws InvalidDataError where numbers differ or a row lacks its texts; FileError for a missing file */
export async function openSegments(files: Files, flags: SegmentFlags): Promise<FoundSegments> {
  if (flags.data !== undefined) return { segments: await segmentsOfRows(files, flags.data, flags), lineEnded: false }
  const read = async (name: string): Promise<TextFile> => ({ name, text: await files.readText(name) })
  const hypotheses = await read(flags.hypotheses!)
  const names = await referenceNames(files, flags.references!, flags['num-refs'])
  const references = typeof names === 'string' ? await read(names) : await Promise.all(names.map(read))
  return { segments: segmentsOfFiles(hypotheses, references), lineEnded: hypotheses.text.endsWith('\n') }
}

/** The files that the flags name, none of which is to be written. */
export async function segmentFiles(
  files: Files,
  { references, hypotheses, data, 'num-refs': count }: SegmentFlags,
): Promise<string[]> {
  if (references === undefined || hypotheses === undefined) return [...(data ?? [])]
  return [hypotheses, ...[await referenceNames(files, references, count)].flat()]
}

/** One file of groups, or a list of files whose lines belong together. */
async function referenceNames(files: Files, name: string, count: number | undefined): Promise<string | readonly string[]> {
  const folder = await files.isDirectory(name)
  if (!folder && count === undefined) return name
  if (!folder && count === 1) return [(await files.exists(name)) ? name : `${name}0`]
  const prefix = folder ? `${name.replace(/\/+$/, '')}/${IN_FOLDER}` : name
  if (count !== undefined) return Array.from({ length: count }, (_, i) => `${prefix}${i}`)
  const found: string[] = []
  while (await files.exists(`${prefix}${found.length}`)) found.push(`${prefix}${found.length}`)
  if (found.length === 0) throw new InvalidDataError(`"${name}" is a folder without ${IN_FOLDER}0; it needs ${IN_FOLDER}0, ${IN_FOLDER}1, …, or name a file`) // prettier-ignore
  return found
}

async function segmentsOfRows(files: Files, data: readonly string[], flags: ReadingFlags): Promise<Segment[]> {
  const findDataset = async (id: string): Promise<readonly string[]> => (await import('../hub/node-dataset.js')).findDataset(id)
  const { sources } = await openRowData({ files, findDataset }, data, { part: 'test', ...readingOf(flags) })
  const segments: Segment[] = []
  for await (const row of rowsOf(sources)) segments.push(segmentOf(row))
  return segments
}

function segmentOf(row: Row): Segment {
  const { hypothesis, references } = row.value
  if (hypothesis === undefined || references === undefined)
    throw new InvalidDataError(`${at(row)}: ${foundFields(row)}; expected {"hypothesis", "references"}. Other names are told by columns (--columns hypothesis=…,references=…).`) // prettier-ignore
  if (typeof hypothesis !== 'string') throw new InvalidDataError(`${at(row)}: "hypothesis" must be text, but is ${kindOf(hypothesis)}.`) // prettier-ignore
  const list: readonly unknown[] = Array.isArray(references) ? references : [references]
  const wrong = list.findIndex((text) => typeof text !== 'string')
  if (list.length === 0 || wrong >= 0)
    throw new InvalidDataError(`${at(row)}: "references" must be a text or a list of one or more, but ${list.length === 0 ? 'is empty' : `reference ${wrong + 1} is ${kindOf(list[wrong])}`}.`) // prettier-ignore
  return { hypothesis, references: list as readonly string[] }
}

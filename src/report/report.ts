/** @file Reports of runs that lie in folders. */
import { InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import type { TrainEvent } from '../train/events.js'
import { LOG_FILE, parseEvents } from '../train/log.js'
import { readRunFile } from '../train/run-file.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { renderReport, type ReportAssets } from './html.js'
import type { ReportedRun } from './run.js'
import { checkArgument, type ArgumentKind } from '../util/arguments.js'

/** Options of `report`. */
export interface ReportOptions {
  /** File that is written, in place of one that is there; nothing is written without it. */
  readonly out?: string
  /** Heading of the page; the names of the runs by default. */
  readonly title?: string
}

export const reportOptionKeys = { out: true, title: true } satisfies OptionKeys<ReportOptions>

/** The shortest ends of some paths that tell them apart. */
export function namesOf(paths: readonly string[]): string[] {
  const parts = paths.map((path) => path.split(/[\\/]+/).filter((part) => part !== '' && part !== '.'))
  const longest = Math.max(...parts.map(({ length }) => length))
  for (let length = 1; length < longest; length++) {
    const names = parts.map((part) => part.slice(-length).join('/'))
    if (new Set(names).size === names.length) return names
  }
  return [...paths]
}

/** Reads the log of a run; of one that is under way or was killed, as far as it goes. */
async function readEvents(files: Files, run: string): Promise<TrainEvent[]> {
  const path = `${run}/${LOG_FILE}`
  if (!(await files.exists(path)))
    throw new InvalidOptionError(
      `"${run}" holds no run: ${LOG_FILE} is missing. Name the output folder (--out) of a training run.`,
    )
  const text = await files.readText(path)
  // A line that is being written, or was cut off.
  return parseEvents(text.slice(0, text.lastIndexOf('\n') + 1), path)
}

async function readRun(files: Files, path: string, name: string): Promise<ReportedRun> {
  const events = await readEvents(files, path)
  const file = await readRunFile(files, path)
  return {
    name,
    events,
    model: file?.model ?? '',
    settings: file === undefined ? {} : { ...file.settings, lowrank: file.lowrank },
    ...(file?.command !== undefined && { command: file.command }),
  }
}

const runsArgument: ArgumentKind<string | readonly string[]> = {
  must: 'be the output folder of a run, or a list of them',
  fits: (value): value is string | readonly string[] =>
    typeof value === 'string' || (Array.isArray(value) && value.every((each) => typeof each === 'string')),
}

/** `report`, over files and the chart library. */
export async function reportOf(
  files: Files,
  assets: ReportAssets,
  runs: string | readonly string[],
  options: ReportOptions = {},
): Promise<string> {
  checkArgument(runs, runsArgument, 'report')
  checkKeys(options, reportOptionKeys, 'report')
  const paths = typeof runs === 'string' ? [runs] : [...runs]
  if (paths.length === 0) throw new InvalidOptionError('report needs at least one folder of a run')
  const names = namesOf(paths)
  const read = await Promise.all(paths.map((path, i) => readRun(files, path, names[i]!)))
  const html = renderReport(read, assets, options.title ?? `lowrank: ${names.join(', ')}`)
  if (options.out !== undefined) await files.write(options.out, html)
  return html
}

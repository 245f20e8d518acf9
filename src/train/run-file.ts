/** @file What a run was asked to do, beside its log: `run.json`, from which reports are made. */
import { loraFieldTable } from '../adapters/lora-fields.js'
import type { LoraConfig } from '../adapters/lora-config.js'
import { fileNamesOf, type RowData } from '../data/row-data.js'
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { isObject, parseJsonObject } from '../util/json.js'
import { VERSION } from '../util/version.js'
import { optionsWhere, tellable, type ResolvedTrainOptions } from './option-table.js'
import type { Trainee } from './trainee.js'

export const RUN_FILE = 'run.json'

/** What {@link RUN_FILE} holds. */
export interface RunFile {
  /** The version of lowrank that ran it last. */
  readonly lowrank: string
  /** Hub id or path of the base model. */
  readonly model: string
  /** The command line that asked for it, where there was one. */
  readonly command?: string
  /** The adapter's configuration and the options of the run, defaults included. */
  readonly settings: Readonly<Record<string, unknown>>
}

/** Whether a text is a run's file: others may have one of its name. */
export const isRunFile = (text: string): boolean => text.startsWith('{\n  "lowrank":')

/** Where rows come from: those in memory have no name. */
function rowsName(data: RowData): unknown {
  const names = fileNamesOf(data)
  return names === undefined ? 'rows in memory' : names.length === 1 ? names[0] : names
}

/** Every setting of a run that text can tell. */
function settingsOf({ config, model }: Trainee, options: ResolvedTrainOptions): Record<string, unknown> {
  const adapter = (Object.keys(loraFieldTable) as (keyof LoraConfig)[]).map((name) => [name, config?.[name]] as const)
  const own = optionsWhere(() => true).filter((name) => name !== 'command')
  const all = [
    ...adapter,
    ...own.map((name) => [name, options[name]] as const),
    ['base', model.environment.base ?? 'fp32'] as const,
  ]
  const said = (value: unknown): boolean =>
    value !== undefined && value !== null && !(isObject(value) && Object.keys(value).length === 0)
  return Object.fromEntries(
    all
      .filter(([, value]) => said(value))
      .map(([name, value]) => [name, name === 'data' || name === 'evalData' ? rowsName(value as RowData) : tellable(value)]),
  )
}

/** Writes what a run is asked to do into its folder. */
export async function writeRunFile(files: Files, out: string, trainee: Trainee, options: ResolvedTrainOptions): Promise<void> {
  const { command } = options
  const content: RunFile = {
    lowrank: VERSION,
    model: trainee.model.id,
    ...(command !== undefined && { command }),
    settings: settingsOf(trainee, options),
  }
  await files.write(`${out}/${RUN_FILE}`, `${JSON.stringify(content, null, 2)}\n`)
}

/** @returns undefined where an earlier version ran, which wrote none. @throws InvalidDataError if it is damaged */
export async function readRunFile(files: Files, out: string): Promise<RunFile | undefined> {
  const path = `${out}/${RUN_FILE}`
  if (!(await files.exists(path))) return undefined
  const json = parseJsonObject(await files.readText(path), path, InvalidDataError, 'remove it to do without')
  const { model, command, settings } = json
  if (typeof model !== 'string' || !isObject(settings) || (command !== undefined && typeof command !== 'string'))
    throw new InvalidDataError(`${path} is damaged: expected "model", "settings" and "command" of a run; remove it to do without`)
  return json as unknown as RunFile
}

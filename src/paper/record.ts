/** @file `paper.json`: what a run of the paper's experiments leaves in its folder for the table. */
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { isObject, parseJsonObject } from '../util/json.js'

/** Data sets of the paper's text generation. */
export const nlgTasks = ['e2e', 'webnlg', 'dart'] as const
/** Tasks of GLUE, by the names of the original scripts. */
export const nluTasks = ['mnli', 'sst2', 'mrpc', 'cola', 'qnli', 'qqp', 'rte', 'stsb'] as const

export type PaperTask = (typeof nlgTasks)[number] | (typeof nluTasks)[number]

/** A finished run. */
export interface PaperRecord {
  readonly format: typeof FORMAT
  readonly task: PaperTask
  /** Of which row of the paper the settings are: `e2e-gpt2-medium-lora`, `roberta-base-mnli`. */
  readonly preset?: string
  /** Folder or hub id of the base. */
  readonly model: string
  readonly seed: number
  /** Numbers that were trained, but for a new head, as the paper counts them. */
  readonly trainedParameters: number
  /** Scores as they were computed, by split (`dev`, `matched`, `seen`, …) and by the metric's name. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>
}

const FORMAT = 'lowrank-paper-1'
export const RECORD_FILE = 'paper.json'

/** Writes the record of a run, and whatever else the run wants to be remembered of it. */
export async function writeRecord<More extends object>(
  files: Files,
  folder: string,
  record: Omit<PaperRecord, 'format'> & More,
): Promise<void> {
  await files.write(`${folder}/${RECORD_FILE}`, `${JSON.stringify({ format: FORMAT, ...record }, null, 2)}\n`)
}

/** Removes the record of an earlier run in a folder whose weights are about to become those of another. */
export const removeRecord = (files: Files, folder: string): Promise<void> => files.remove(`${folder}/${RECORD_FILE}`)

/** @throws InvalidDataError naming the file and what it lacks */
export function parseRecord(text: string, file: string): PaperRecord {
  const value = parseJsonObject(text, file, InvalidDataError, 'run the experiment again')
  if (value['format'] !== FORMAT)
    throw new InvalidDataError(`${file} is no record of this version ("format": "${FORMAT}"); run the experiment again`)
  const wrong = (what: string): InvalidDataError => new InvalidDataError(`${file}: ${what}`)
  const { task, preset, model, seed, trainedParameters, metrics } = value
  const tasks: readonly unknown[] = [...nlgTasks, ...nluTasks]
  if (!tasks.includes(task)) throw wrong(`"task" must be one of ${tasks.join(', ')}, got ${JSON.stringify(task)}`)
  if (preset !== undefined && typeof preset !== 'string') throw wrong('"preset" must be a name')
  if (typeof model !== 'string') throw wrong('"model" must be a folder or a hub id')
  if (!Number.isInteger(seed)) throw wrong('"seed" must be a whole number')
  if (!Number.isInteger(trainedParameters)) throw wrong('"trainedParameters" must be a whole number')
  const isScores = (scores: unknown): scores is Record<string, number | null> =>
    isObject(scores) && Object.values(scores).every((score) => score === null || typeof score === 'number')
  if (!isObject(metrics) || !Object.values(metrics).every(isScores))
    throw wrong('"metrics" must hold numbers by metric, by split')
  return { ...value, metrics: definedScores(metrics as Record<string, Record<string, number | null>>) } as unknown as PaperRecord
}

/** Without what JSON has null for: scores that are not defined, as a correlation with predictions that are all the same. */
const definedScores = (metrics: Readonly<Record<string, Readonly<Record<string, number | null>>>>): PaperRecord['metrics'] =>
  Object.fromEntries(
    Object.entries(metrics).map(([split, scores]) => [
      split,
      Object.fromEntries(Object.entries(scores).filter((entry): entry is [string, number] => entry[1] !== null)),
    ]),
  )

/** @file The label of a row: a class by number or name, several of them, or numbers. */
import { InvalidDataError } from '../errors.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import type { ProblemType, Task } from '../models/task.js'
import { someNames } from '../util/some-of.js'
import type { Columns } from './column-names.js'
import { at, firstField, foundFields, kindOf, takeField, type Row } from './rows.js'

/** Names under which a row brings its label; one label a token; the score of a pair. */
const names = ['label', 'labels'] as const
const tokenNames = ['ner_tags', ...names] as const
const scoreNames = ['score', ...names] as const

/** All of them: what is learned from, and not read where a model predicts. */
const labelFields: ReadonlySet<string> = new Set([...tokenNames, ...scoreNames])

/** Columns without those of labels, which a training run names and rows to predict may lack; undefined where none are left. */
export function unlabelledColumns(columns: Columns | undefined): Columns | undefined {
  const read = Object.entries(columns ?? {}).filter(([field]) => !labelFields.has(field))
  return read.length === 0 ? undefined : Object.fromEntries(read)
}

/** The name under which a row brings its label, if it does. */
export const findLabelField = (row: Row): string | undefined => firstField(row, names)

/** The name under which a row brings a label for each of its tokens, if it does. */
export const findTokenLabelField = (row: Row): string | undefined => firstField(row, tokenNames)

/** The name under which a pair brings its score, if it does. */
export const findScoreField = (row: Row): string | undefined => firstField(row, scoreNames)

/** The name under which a row brings its label, which counts as read. @throws InvalidDataError if it brings none */
export const labelField = (row: Row): string => taken(row, findLabelField(row))

/** As {@link labelField}, of labels for each token. */
export const tokenLabelField = (row: Row): string => taken(row, findTokenLabelField(row))

function taken(row: Row, field: string | undefined): string {
  if (field === undefined)
    throw new InvalidDataError(
      `${at(row)}: ${foundFields(row)}, but no label; expected "label" beside the text. A column of another name is told by columns (--columns label=…).`,
    )
  takeField(row, field)
  return field
}

/** A number as tables hold it: as text. `007` is a code, and no number. */
const NUMBER_TEXT = /^\s*-?(?:0|[1-9]\d*)(?:\.\d+)?\s*$/

/** The number that a label is, or is the text of; undefined of a name. */
export function labelNumber(value: unknown): number | undefined {
  if (typeof value === 'string') return NUMBER_TEXT.test(value) ? Number(value) : undefined
  return typeof value === 'number' ? value : undefined
}

/**
 * The number of a class, given as a number or by its name in `id2label`; -100 does not count.
 * @param place what is behind the field's name in messages, such as `[3]`
 */
export function classNumber(row: Row, field: string, value: unknown, { numLabels, labels }: Task, place = ''): number {
  const isClass = (number: number): boolean => Number.isInteger(number) && number >= 0 && number < numLabels
  const named = typeof value === 'string' || typeof value === 'number' ? labels.indexOf(String(value)) : -1
  if (typeof value === 'number' && named >= 0 && named !== value && isClass(value))
    throw new InvalidDataError(
      `${at(row)}: "${field}"${place} is ${value}, which is the name of class ${named} and the number of class ${value}, "${labels[value]}"; write the name as text, "${value}".`,
    )
  const number = named >= 0 ? named : labelNumber(value)
  if (number === IGNORED_LABEL) return IGNORED_LABEL
  if (number !== undefined && isClass(number)) return number
  const shown = typeof value === 'string' ? JSON.stringify(value) : kindOf(value)
  const names = labels.length > 0 && typeof value === 'string' ? `, or one of ${someNames(labels)}` : ''
  throw new InvalidDataError(
    `${at(row)}: "${field}"${place} is ${shown}; the model has ${numLabels} labels: expected a whole number from 0 to ${numLabels - 1}${names}.`,
  )
}

/** The class of a row. */
export function readClass(row: Row, task: Task): number {
  const field = labelField(row)
  return classNumber(row, field, row.value[field], task)
}

/** One number per label: a list of as many from 0 to 1, or a list of the names that apply. */
export function readMultiLabel(row: Row, task: Task): number[] {
  const field = labelField(row)
  const value = listOf(row.value[field])
  const expected = `expected a list of ${task.numLabels} numbers from 0 to 1, or of the names of the labels that apply`
  if (!Array.isArray(value)) throw new InvalidDataError(`${at(row)}: "${field}" is ${kindOf(value)}; ${expected}.`)
  if (value.every((entry) => typeof entry === 'string')) {
    const given = new Set(value.map((entry, i) => classNumber(row, field, entry, task, `[${i}]`)))
    return Array.from({ length: task.numLabels }, (_, i) => Number(given.has(i)))
  }
  const wrong = value.findIndex((entry) => typeof entry !== 'number' || !(entry >= 0 && entry <= 1))
  if (wrong >= 0) throw new InvalidDataError(`${at(row)}: "${field}"[${wrong}] is ${kindOf(value[wrong])}; ${expected}.`)
  if (value.length !== task.numLabels)
    throw new InvalidDataError(`${at(row)}: "${field}" holds ${value.length} numbers; ${expected}.`)
  return value as number[]
}

/** The numbers of a row to be predicted: one, or a list of as many as the model has outputs. */
export function readNumbers(row: Row, { numLabels }: Task): number[] {
  const field = labelField(row)
  const value = listOf(row.value[field])
  const list = (Array.isArray(value) ? (value as unknown[]) : [value]).map((entry) =>
    typeof entry === 'string' && entry.trim() !== '' ? Number(entry) : entry,
  )
  const wrong = list.findIndex((entry) => typeof entry !== 'number' || !Number.isFinite(entry))
  if (wrong >= 0 || list.length !== numLabels)
    throw new InvalidDataError(
      `${at(row)}: "${field}" is ${Array.isArray(value) ? `a list of ${list.length}` : typeof value === 'string' ? JSON.stringify(value) : kindOf(value)}; expected ${numLabels === 1 ? 'a number' : `a list of ${numLabels} numbers`}.`,
    )
  return list as number[]
}

/** The number under a field, or its text. @throws InvalidDataError naming file, line and field */
export function readNumber(row: Row, field: string): number {
  const value = takeField(row, field)
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number === 'number' && Number.isFinite(number)) return number
  throw new InvalidDataError(`${at(row)}: "${field}" must be a number, found ${kindOf(value)}.`)
}

/** Tables hold lists as text. */
export function listOf(value: unknown): unknown {
  if (typeof value !== 'string' || !value.trimStart().startsWith('[')) return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

/**
 * What kind of labels a row has where the model does not say, as transformers infers it from their type: one output is
 * regression; a class's number or name a single label; a list several labels.
 * @throws InvalidDataError for a number that is no class, which transformers would take for several labels
 */
export function inferProblemType(row: Row, { numLabels, problemType }: Task): ProblemType {
  if (problemType !== undefined) return problemType
  if (numLabels === 1) return 'regression'
  const field = labelField(row)
  const value = listOf(row.value[field])
  if (Array.isArray(value)) return 'multi_label_classification'
  if (typeof value === 'number' && !Number.isInteger(value))
    throw new InvalidDataError(
      `${at(row)}: "${field}" is ${value}, but the model has ${numLabels} labels; expected a class's number or name, or a list of numbers. Regression needs a model of one label.`,
    )
  return 'single_label_classification'
}

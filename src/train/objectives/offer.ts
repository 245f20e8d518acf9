/** @file Rows for a task that a model without a head could learn with one. */
import { FolderModel } from '../../model/folder-model.js'
import type { Model } from '../../model/model.js'
import { findLabelField, findTokenLabelField } from '../../data/labels.js'
import { at, hasField, type Row } from '../../data/rows.js'
import { findTextFields, findWordsField } from '../../data/text-fields.js'
import { InvalidDataError, InvalidModelError } from '../../errors.js'
import { tasksOf } from '../../models/registry.js'
import type { TaskName } from '../../models/task.js'

const isText = (value: unknown): boolean => typeof value === 'string' && value.trim() !== '' && Number.isNaN(Number(value))

/** The task that a row is for, where it is none of embeddings: those learn from two texts, and a number. */
function taskOfRow(row: Row): TaskName | undefined {
  const has = (...names: string[]): boolean => names.some((name) => hasField(row, name))
  if (findWordsField(row) !== undefined && findTokenLabelField(row) !== undefined) return 'token-classification'
  if (has('question') && has('context') && has('answers', 'start_positions')) return 'question-answering'
  const label = findLabelField(row)
  if (label === undefined) return undefined
  const texts = findTextFields(row)
  if (texts?.length === 2) return isText(row.value[label]) ? 'sequence-classification' : undefined
  return texts !== undefined || has('input_ids') ? 'sequence-classification' : undefined
}

/** Whether the folder holds the head of a masked language model. */
function hasMaskedLmHead(model: FolderModel): boolean {
  if (!tasksOf(model.architecture).includes('masked-lm')) return false
  try {
    model.withHead({ task: 'masked-lm' })
    return true
  } catch (error) {
    if (error instanceof InvalidModelError) return false
    throw error
  }
}

const isOneText = (row: Row): boolean => findTextFields(row)?.length === 1 && findLabelField(row) === undefined

/** Says what a model without a head can be opened as, for rows that it cannot learn from as it is. @throws InvalidDataError */
export function offerHead(model: Model, row: Row): void {
  if (!(model instanceof FolderModel)) return
  if (isOneText(row) && hasMaskedLmHead(model))
    throw new InvalidDataError(
      `${at(row)}: the row holds one text, but ${model.path} would become an embedding model, which learns from two. ` +
        "Its head of a masked language model learns from one: open it with { task: 'masked-lm' } (--task masked-lm) to hide tokens and ask for them",
    )
  const task = taskOfRow(row)
  if (task === undefined || !tasksOf(model.architecture).includes(task)) return
  const labels = task === 'question-answering' ? '' : ', labels: […]'
  throw new InvalidDataError(
    `${at(row)}: the row is for ${task}, but ${model.path} has no head for it and would become an embedding model, which learns from pairs of texts. ` +
      `Open it with { task: '${task}'${labels} } (--task ${task}) to train a fresh head with the adapter`,
  )
}

/**
 * @file Fields that say "do not learn this", of a row or of a message: obeyed, or refused by name, never dropped.
 *
 * OpenAI, Mistral, Together and axolotl write `weight` on a message, ms-swift and xtuner `loss`, axolotl also `train` or
 * `training`, torchtune `masked`; KTO's rows have a `label`, which its own objective reads otherwise. Where such a field
 * speaks of nothing that could be learned, or asks for a share of it, that is an error.
 */
import { InvalidDataError } from '../errors.js'
import type { Message } from './messages.js'
import { at, hasField, kindOf, takeField, type Row } from './rows.js'

/** Fields of a message, and what they say where they are true or 1. */
const ofMessages: Readonly<Record<string, 'learn' | 'leave out'>> = {
  ...{ weight: 'learn', loss: 'learn', loss_weight: 'learn', loss_mask: 'learn', loss_scale: 'learn' },
  ...{ train: 'learn', training: 'learn', trainable: 'learn', train_on_turn: 'learn', learn: 'learn' },
  ...{ masked: 'leave out', is_masked: 'leave out', ignore_loss: 'leave out' },
}

/** Fields of a message whose meaning differs from program to program, or that speak of parts of a turn. */
const refusedOfMessages = ['mask', 'train_detail', 'training_detail', 'weights']

/** Fields of a row that say whether it is to be learned. */
const ofRows = ['label', 'weight', 'sample_weight', 'loss_weight', 'train', 'trainable', 'learn', 'loss'] as const

/** Those whose numbers have another meaning often enough, such as a loss that was measured. */
const mayBeOther = new Set<string>(['train', 'trainable', 'learn', 'loss'])

/** Fields of text that KTO's `label` judges. */
const judged = ['completion', 'messages', 'conversations', 'output']

/** What to do with rows of another objective. */
const KTO =
  ' (a row of KTO: learn from desirable and undesirable completions with objective "kto" (--objective kto), or from the desirable ones alone with --unlabelled skip)'

/** Whether a field of a message says if it is to be learned. */
export const isLearningSign = (name: string): boolean => Object.hasOwn(ofMessages, name)

/** True or false, as JSON, Python or a table writes them; undefined of everything else. */
export function truth(value: unknown): boolean | undefined {
  if (value === true || value === 1) return true
  if (value === false || value === 0) return false
  if (typeof value === 'bigint') return truth(Number(value))
  // 1.0 of Python.
  if (typeof value === 'object' && value !== null && 'value' in value && typeof value.value === 'number')
    return truth(value.value)
  if (typeof value !== 'string') return undefined
  const text = value.trim().toLowerCase()
  return ['true', '1', '1.0'].includes(text) ? true : ['false', '0', '0.0'].includes(text) ? false : undefined
}

/**
 * Which messages are to be learned: the assistant's, without those that say otherwise.
 * @param field of the row, for messages
 * @param learned whether this list is learned at all: the turns of a prompt are not
 * @throws InvalidDataError for a sign that cannot be obeyed
 */
export function learnedTurns(row: Row, field: string, messages: readonly Message[], learned = true): readonly boolean[] {
  return messages.map((message, index) => {
    const place = `${at(row)}: "${field}"[${index}]`
    const refused = refusedOfMessages.find((name) => message[name] !== undefined && message[name] !== null)
    if (refused !== undefined)
      throw new InvalidDataError(
        `${place}.${refused} says what of a turn is learned in a way that is not known here; write "weight": 0 on turns that shall not be learned.`,
      )
    const isLearned = learned && message.role === 'assistant'
    let wanted = isLearned
    for (const [name, meaning] of Object.entries(ofMessages)) {
      const value = message[name]
      if (value === undefined || value === null) continue
      const said = truth(value)
      if (said === undefined)
        throw new InvalidDataError(
          `${place}.${name} is ${typeof value === 'string' ? JSON.stringify(value) : kindOf(value)}; a turn is learned or not: expected 0 or 1, false or true.`,
        )
      const learn = said === (meaning === 'learn')
      if (learn && !isLearned && meaning === 'learn')
        throw new InvalidDataError(
          `${place}.${name} asks for a turn of "${message.role}" to be learned, but ${learned ? 'only those of "assistant" are' : 'those of the prompt are not'}; leave the field out${learned ? '' : ', or move the turn to the completion'}.`,
        )
      wanted &&= learn
    }
    return wanted
  })
}

/**
 * Why a row says of itself that it is not to be learned (KTO's `"label": false`, a weight of 0); undefined where it does not.
 * @param other a field that says something else here
 * @throws InvalidDataError for a weight that is a share, which the loss does not have
 */
export function unwanted(row: Row, other?: string): string | undefined {
  let reason: string | undefined
  for (const field of ofRows) {
    if (field === other || !hasField(row, field)) continue
    const said = truth(row.value[field])
    if (said === undefined) {
      // Words are something else, and so are numbers in some fields: the warning of fields that nothing reads tells.
      const value = row.value[field]
      const isNumber = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '' && !isNaN(Number(value)))
      if (mayBeOther.has(field) || !isNumber) continue
      throw new InvalidDataError(
        `${at(row)}: "${field}" is ${typeof value === 'string' ? JSON.stringify(value) : kindOf(value)}; a row is learned or not: expected true or false, 1 or 0. Leave the field out if it says something else.`,
      )
    }
    takeField(row, field)
    if (!said)
      reason ??= `"${field}" is ${JSON.stringify(row.value[field])}, which says that it is not to be learned${field === 'label' && judged.some((name) => hasField(row, name)) ? KTO : ''}`
  }
  return reason
}

/** Fields of a tokenised row that tell with 0 which tokens are not learned: TRL's, and `loss_mask` of others. */
export const tokenMasks = ['completion_mask', 'assistant_masks', 'assistant_mask', 'loss_mask'] as const

/**
 * @file Rows of unpaired preferences (KTO): a prompt, one completion, and whether it is desirable.
 *
 * Tokenised and cut as those of pairs, see preferences.ts. Beside the rows of a batch stand the same prompts with each
 * other's completions, where they are asked for: the first with the last one's, every other with that of the row before, as
 * in TRL. They are made when the batch is, so that they follow its order, whatever that is.
 */
import { InvalidDataError } from '../errors.js'
import type { Batch } from './batch.js'
import { paddingToken, type AnyExample, type CausalLmEncodingOptions, type RowEncoding } from './encoding.js'
import { checkExampleOptions, longestRow } from './examples.js'
import { truth, unwanted } from './learning-signs.js'
import { rowTokenizer } from './needed-tokenizer.js'
import {
  chatCompletion,
  checkTokens,
  cutTogether,
  nothingIn,
  partlyLearned,
  sizeOf,
  textCompletion,
  tokenFields,
  type PromptCompletion,
} from './prompt-completion.js'
import { integersField, readShape, type RowShape } from './row-shapes.js'
import { batchOfFields, type FieldsExample } from './row-tensors.js'
import { at, foundFields, hasField, kindOf, located, takeField, type Row } from './rows.js'
import type { Tokenizer } from './tokenizer.js'

/** A completion as a row of the batch. */
interface UnpairedExample extends FieldsExample, Pick<AnyExample, 'turnEnd'> {
  readonly desirable: boolean
  /** Before it was cut. */
  readonly whole: PromptCompletion
  /** Why it teaches nothing, if so. */
  readonly reason: string | undefined
}

export interface UnpairedOptions {
  /** Whether batches have their prompts with each other's completions beside them. */
  readonly mismatched: boolean
}

const tokenised = { prompt: 'prompt_ids', completion: 'completion_ids' } as const

/** Fields that make a row of text one, each with `label` beside them. */
const forms = [['prompt', 'completion'], ['messages'], ['conversations'], ['instruction', 'output']]

const shapes =
  '{"prompt", "completion", "label"} as texts or as lists of messages, {"messages", "label"}, or {"prompt_ids", "completion_ids", "label"}'

/** Judged completions for a language model. @throws InvalidOptionError if a length does not fit the model */
export function unpairedEncoding(
  options: CausalLmEncodingOptions,
  { mismatched }: UnpairedOptions,
): RowEncoding<UnpairedExample> {
  checkExampleOptions(options)
  const padTokenId = paddingToken(options)
  const longest = longestRow(options)
  const fields = (side: PromptCompletion): FieldsExample => ({
    rows: [tokenFields(side, padTokenId)],
    once: {},
    length: sizeOf(side),
    positions: sizeOf(side),
    tokens: 1,
    truncated: false,
  })
  return {
    encode(row) {
      const desirable = isDesirable(row)
      const whole = sideOf(row, options)
      checkTokens(row, [whole], options)
      const [side] = cutTogether([whole] as const, longest)
      const reason = unwanted(row, 'label') ?? nothingIn(completionField(row), side)
      return {
        ...fields(side),
        once: { desirable: { dtype: 'float32', shape: [], values: [Number(desirable)] } },
        ...{ tokens: reason === undefined ? 1 : 0, truncated: sizeOf(side) < sizeOf(whole) },
        ...{ desirable, whole, reason },
        // What is desirable is what generation shall write.
        ...(desirable && reason === undefined && whole.turnEnd && { turnEnd: whole.turnEnd }),
      }
    },
    lengthOf: (example) => example.length,
    capacity: undefined,
    ...(mismatched && {
      least: {
        rows: 2,
        reason:
          'the KL divergence is estimated from the prompt of a row with the completion of another of its batch; lossType (--loss-type) "apo_zero_unpaired" needs none',
      },
    }),
    batch(rows): Batch {
      const examples = rows.flat()
      const batch = batchOfFields(examples)
      if (!mismatched) return batch
      const others = examples.map(({ whole: { prompt } }, i) => {
        const { completion } = examples.at(i - 1)!.whole
        return fields(cutTogether([{ prompt, completion }] as const, longest)[0])
      })
      return { ...batch, mismatched: batchOfFields(others) }
    },
    emptyReason: ({ reason }) => reason ?? '',
  }
}

/** The field that holds the completion, for messages. */
const completionField = (row: Row): string =>
  [tokenised.completion, 'completion', 'messages', 'conversations', 'output'].find((field) => hasField(row, field)) ??
  'completion'

/** @throws InvalidDataError if the row does not say, or says neither true nor false */
function isDesirable(row: Row): boolean {
  if (row.value['label'] === undefined) throw missing(row, ['label'])
  const label = takeField(row, 'label')
  const said = truth(label)
  if (said !== undefined) return said
  throw new InvalidDataError(
    `${at(row)}: "label" is ${typeof label === 'string' ? JSON.stringify(label) : kindOf(label)}; it says whether the completion is desirable: expected true or false, 1 or 0.`,
  )
}

function missing(row: Row, fields: readonly string[]): InvalidDataError {
  const pair = ['rejected', 'rejected_ids'].some((field) => hasField(row, field))
  const hint = pair ? ' Pairs are learned with the objective "dpo" or "orpo" (--objective).' : ''
  return new InvalidDataError(
    `${at(row)}: ${fields.map((field) => `"${field}"`).join(' and ')} ${fields.length === 1 ? 'is' : 'are'} missing; ${foundFields(row)}; expected ${shapes}.${hint}`,
  )
}

function sideOf(row: Row, { tokenizer }: CausalLmEncodingOptions): PromptCompletion {
  const has = (field: string): boolean => hasField(row, field)
  const isTokenised = Object.values(tokenised).some(has)
  const nearest = isTokenised
    ? Object.values(tokenised)
    : (forms.find((form) => form.every(has)) ?? forms.find((form) => form.some(has)) ?? forms[0]!)
  const absent = nearest.filter((field) => !has(field))
  if (absent.length > 0) throw missing(row, absent)
  if (isTokenised) return { prompt: integersField(row, tokenised.prompt), completion: integersField(row, tokenised.completion) }
  const known = rowTokenizer(row, tokenizer, '{"prompt_ids", "completion_ids", "label"}')
  return shapeSide(row, readShape(row), known)
}

function shapeSide(row: Row, shape: RowShape, tokenizer: Tokenizer): PromptCompletion {
  switch (shape.kind) {
    case 'completion':
      return {
        prompt: located(row, () => tokenizer.encodePrompt(shape.prompt)),
        completion: textCompletion(row, shape.completion, tokenizer),
      }
    case 'chat-completion': {
      const { prompt, completion, learned, variables } = shape
      const left = learned.indexOf(false)
      if (left >= 0) throw partlyLearned(row, `"completion"[${left}]`)
      return chatCompletion(row, [prompt, completion], { prompt, completion }, variables, tokenizer)
    }
    case 'messages': {
      const { messages, learned, variables } = shape
      const last = messages.length - 1
      if (messages[last]?.role !== 'assistant')
        throw new InvalidDataError(
          `${at(row)}: the dialogue ends with a turn of "${messages[last]?.role ?? 'nobody'}"; its last turn is what "label" judges, so it must be the assistant's.`,
        )
      if (!learned[last]) throw partlyLearned(row, `the last turn, ${last},`)
      return chatCompletion(row, [messages.slice(0, last), messages.slice(last)], { messages }, variables, tokenizer)
    }
    default:
      // Text alone, or tokens of which nothing says where the completion begins.
      throw missing(row, forms[0]!)
  }
}

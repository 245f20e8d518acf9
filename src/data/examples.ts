/**
 * @file A row to the token ids and labels that it teaches.
 *
 * Prompt and completion are tokenised apart, the prompt with the special tokens that the tokenizer puts before a text,
 * the completion without any and with the end-of-text token after it. So the tokens of the prompt in training are those
 * of the prompt in generation, and no token straddles the border. (With a tokenizer that puts a space before each text,
 * such as Llama 2's, the completion then begins with that space.) It is also what gives the reference loss of PEFT on E2E.
 */
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { readShape, type RowShape } from './row-shapes.js'
import { at, type Row } from './rows.js'
import type { MaskedTokens, Tokenizer } from './tokenizer.js'

export interface ExampleOptions {
  /** Needed for all rows that are not tokenised yet. */
  readonly tokenizer?: Tokenizer
  /** Longest example in tokens; longer ones lose their end. Without it, an example longer than the model's positions is an error. */
  readonly maxLength?: number
  /** Number of token ids that the model knows. */
  readonly vocabularySize: number
  /** Number of positions that the model knows. */
  readonly maxPositions: number
}

/** One example, unpadded. All arrays are of one length. */
export interface Example {
  readonly inputIds: readonly number[]
  /** 0 where the row hides a token, else 1. */
  readonly attentionMask: readonly number[]
  /** Token ids, or -100 where nothing is to be learned. Not shifted: position t is predicted from those before it. */
  readonly labels: readonly number[]
  /** Number of labels that count: those that are not -100, without the first position, which nothing predicts. */
  readonly tokens: number
  /** Whether its end was cut off. */
  readonly truncated: boolean
}

/** @throws InvalidOptionError if a length is no whole number, or longer than the model's positions */
export function checkExampleOptions({ maxLength, maxPositions }: ExampleOptions): void {
  if (maxLength === undefined) return
  if (!Number.isInteger(maxLength) || maxLength < 2)
    throw new InvalidOptionError(`maxLength must be a whole number of at least 2, got ${maxLength}.`)
  if (maxLength > maxPositions)
    throw new InvalidOptionError(
      `maxLength is ${maxLength}, but the model has only ${maxPositions} positions; choose at most ${maxPositions}.`,
    )
}

/**
 * Tokenises a row. An example whose labels are all masked comes back with `tokens` 0: the caller decides.
 * @throws InvalidDataError naming file, line and what is wrong: shape, missing tokenizer, unknown token id, too many tokens
 */
export function encodeRow(row: Row, options: ExampleOptions): Example {
  const whole = encodeShape(readShape(row), row, options)
  const { vocabularySize, maxPositions, maxLength } = options
  whole.inputIds.forEach((id, index) => {
    if (id >= 0 && id < vocabularySize) return
    const source = options.tokenizer === undefined ? 'row' : 'row or its tokenizer'
    throw new InvalidDataError(
      `${at(row)}: token id ${id} at position ${index} is outside the model's vocabulary of ${vocabularySize} (0 to ${vocabularySize - 1}); the ${source} belongs to another model.`,
    )
  })
  whole.labels.forEach((label, index) => {
    if (label === IGNORED_LABEL || (label >= 0 && label < vocabularySize)) return
    throw new InvalidDataError(
      `${at(row)}: label ${label} at position ${index} is neither ${IGNORED_LABEL} nor a token id of the model's vocabulary of ${vocabularySize}.`,
    )
  })
  const truncated = maxLength !== undefined && whole.inputIds.length > maxLength
  const example = truncated ? cut(whole, maxLength) : whole
  if (example.inputIds.length > maxPositions) {
    throw new InvalidDataError(
      `${at(row)}: ${example.inputIds.length} tokens, but the model has only ${maxPositions} positions; set maxLength (--max-length) to at most ${maxPositions} to cut longer rows, or shorten the row.`,
    )
  }
  return { ...example, tokens: countTargets(example.labels), truncated }
}

/** Number of labels that are predicted from a position before them. */
export function countTargets(labels: readonly number[]): number {
  let count = 0
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORED_LABEL) count++
  return count
}

type Tokens = Pick<Example, 'inputIds' | 'attentionMask' | 'labels'>

const cut = ({ inputIds, attentionMask, labels }: Tokens, length: number): Tokens => ({
  inputIds: inputIds.slice(0, length),
  attentionMask: attentionMask.slice(0, length),
  labels: labels.slice(0, length),
})

function encodeShape(shape: RowShape, row: Row, { tokenizer }: ExampleOptions): Tokens {
  if (shape.kind === 'tokens') {
    const mask = shape.attentionMask ?? shape.inputIds.map(() => 1)
    const labels = shape.labels ?? shape.inputIds.map((id, i) => (mask[i] === 1 ? id : IGNORED_LABEL))
    // Padding that the row already carries at its end teaches nothing and costs time.
    let length = shape.inputIds.length
    while (length > 1 && mask[length - 1] === 0 && labels[length - 1] === IGNORED_LABEL) length--
    return cut({ inputIds: shape.inputIds, attentionMask: mask, labels }, length)
  }
  if (tokenizer === undefined) {
    throw new InvalidDataError(
      `${at(row)}: the row is text, but the model's folder has no tokenizer.json; add the tokenizer's files to it, or give tokenised rows ({"input_ids": […]}).`,
    )
  }
  switch (shape.kind) {
    case 'text': {
      const ids = withEnd(tokenizer.encode(shape.text), tokenizer)
      return learn(ids, [{ start: 0, end: ids.length }])
    }
    case 'completion': {
      const prompt = tokenizer.encodePrompt(shape.prompt)
      const ids = [...prompt, ...withEnd(tokenizer.encode(shape.completion, { addSpecialTokens: false }), tokenizer)]
      return learn(ids, [{ start: prompt.length, end: ids.length }])
    }
    case 'chat-completion':
    case 'messages':
      return located(row, () => {
        const { ids, learn: spans } =
          shape.kind === 'messages'
            ? tokenizer.encodeMessages(shape.messages)
            : tokenizer.encodeChatCompletion(shape.prompt, shape.completion)
        return learn(ids, spans)
      })
  }
}

/** The end-of-text token after the ids, once; nothing where the tokenizer has none. */
export const withEnd = (ids: readonly number[], { eosTokenId }: Tokenizer): readonly number[] =>
  eosTokenId === undefined || ids.at(-1) === eosTokenId ? ids : [...ids, eosTokenId]

function learn(ids: readonly number[], spans: MaskedTokens['learn']): Tokens {
  const labels = new Array<number>(ids.length).fill(IGNORED_LABEL)
  for (const { start, end } of spans) for (let i = start; i < end; i++) labels[i] = ids[i] ?? IGNORED_LABEL
  return { inputIds: ids, attentionMask: ids.map(() => 1), labels }
}

/** Puts file and line before a message of the chat template. */
export function located<T>(row: Row, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof InvalidDataError) throw new InvalidDataError(`${at(row)}: ${cause.message}`, { cause })
    throw cause
  }
}

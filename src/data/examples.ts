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
import { isLearningSign, unwanted } from './learning-signs.js'
import type { Message, TemplateVariables } from './messages.js'
import { rowTokenizer } from './needed-tokenizer.js'
import { readShape, type RowShape } from './row-shapes.js'
import { at, hasField, located, type Row } from './rows.js'
import type { MaskedTokens, Tokenizer, TurnEnd } from './tokenizer.js'

export interface ExampleOptions {
  /** Needed for all rows that are not tokenised yet. */
  readonly tokenizer?: Tokenizer
  /** Longest example in tokens; longer ones lose their end. The model's positions by default. */
  readonly maxLength?: number
  /** Number of token ids that the model knows. */
  readonly vocabularySize: number
  /** Number of positions that the model knows; 0 where nothing limits them. */
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
  /** Positions that the row brings itself; 0, 1, … unless given. */
  readonly positionIds?: readonly number[]
  /** Of a dialogue that was not cut: how the last learned turn ends. */
  readonly turnEnd?: TurnEnd
  /** Why nothing of it is learned, if the row says so itself. */
  readonly reason?: string
}

/** Positions that rows may fill: `maxLength`, or all that the model has. */
export const longestRow = ({ maxLength, maxPositions }: Pick<ExampleOptions, 'maxLength' | 'maxPositions'>): number =>
  maxLength ?? (maxPositions > 0 ? maxPositions : Infinity)

/** @throws InvalidOptionError if a length is no whole number, or longer than the model's positions */
export function checkExampleOptions({ maxLength, maxPositions }: ExampleOptions): void {
  if (maxLength === undefined) return
  if (!Number.isInteger(maxLength) || maxLength < 2)
    throw new InvalidOptionError(`maxLength must be a whole number of at least 2, got ${maxLength}.`)
  if (maxPositions > 0 && maxLength > maxPositions)
    throw new InvalidOptionError(
      `maxLength is ${maxLength}, but the model has only ${maxPositions} positions; choose at most ${maxPositions}.`,
    )
}

/**
 * Tokenises a row. An example whose labels are all masked comes back with `tokens` 0: the caller decides.
 * @throws InvalidDataError naming file, line and what is wrong: shape, missing tokenizer, unknown token id
 */
export function encodeRow(row: Row, options: ExampleOptions): Example {
  const whole = encodeShape(readShape(row), row, options)
  const { vocabularySize } = options
  const outside = whole.inputIds.findIndex((id) => id < 0 || id >= vocabularySize)
  if (outside >= 0) {
    const source = options.tokenizer === undefined ? 'row' : 'row or its tokenizer'
    throw new InvalidDataError(
      `${at(row)}: token id ${whole.inputIds[outside]} at position ${outside} is outside the model's vocabulary of ${vocabularySize} (0 to ${vocabularySize - 1}); the ${source} belongs to another model.`,
    )
  }
  const strange = whole.labels.findIndex((label) => label !== IGNORED_LABEL && (label < 0 || label >= vocabularySize))
  if (strange >= 0)
    throw new InvalidDataError(
      `${at(row)}: label ${whole.labels[strange]} at position ${strange} is neither ${IGNORED_LABEL} nor a token id of the model's vocabulary of ${vocabularySize}.`,
    )
  checkPositions(row, whole, options)
  const longest = longestRow(options)
  const truncated = whole.inputIds.length > longest
  const { turnEnd, ...example } = truncated ? cut(whole, longest) : whole
  const reason = unwanted(row)
  const labels = reason === undefined ? example.labels : example.labels.map(() => IGNORED_LABEL)
  const tokens = countTargets(labels)
  return {
    ...example,
    labels,
    tokens,
    truncated,
    ...(turnEnd !== undefined && !truncated && tokens > 0 && { turnEnd }),
    ...(reason !== undefined && { reason }),
  }
}

/**
 * Positions of a row must be the model's; where they begin anew, several texts share the row, which would see each other.
 * @throws InvalidDataError otherwise
 */
function checkPositions(row: Row, { positionIds, attentionMask }: Tokens, { maxPositions }: ExampleOptions): void {
  positionIds?.forEach((position, i) => {
    if (position < 0 || (maxPositions > 0 && position >= maxPositions))
      throw new InvalidDataError(
        `${at(row)}: "position_ids"[${i}] is ${position}; the model has ${maxPositions} positions, 0 to ${maxPositions - 1}.`,
      )
    if (i > 0 && attentionMask[i - 1] === 1 && attentionMask[i] === 1 && position <= positionIds[i - 1]!)
      throw new InvalidDataError(
        `${at(row)}: "position_ids"[${i}] is ${position} after ${positionIds[i - 1]}: several texts share the row and would see each other; give each a row of its own, and pack them here with packing (--packing).`,
      )
  })
}

/** Number of labels that are predicted from a position before them. */
export function countTargets(labels: readonly number[]): number {
  let count = 0
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORED_LABEL) count++
  return count
}

type Tokens = Pick<Example, 'inputIds' | 'attentionMask' | 'labels' | 'positionIds' | 'turnEnd'>

const cut = ({ inputIds, attentionMask, labels, positionIds }: Tokens, length: number): Tokens => ({
  inputIds: inputIds.slice(0, length),
  attentionMask: attentionMask.slice(0, length),
  labels: labels.slice(0, length),
  ...(positionIds && { positionIds: positionIds.slice(0, length) }),
})

function encodeShape(shape: RowShape, row: Row, options: ExampleOptions): Tokens {
  if (shape.kind === 'tokens') {
    const mask = shape.attentionMask ?? shape.inputIds.map(() => 1)
    const labels = shape.labels ?? shape.inputIds.map((id, i) => (mask[i] === 1 ? id : IGNORED_LABEL))
    // Padding that the row already carries at its end teaches nothing and costs time.
    let length = shape.inputIds.length
    while (length > 1 && mask[length - 1] === 0 && labels[length - 1] === IGNORED_LABEL) length--
    const { inputIds, positionIds } = shape
    return cut({ inputIds, attentionMask: mask, labels, ...(positionIds && { positionIds }) }, length)
  }
  const tokenizer = rowTokenizer(row, options.tokenizer)
  switch (shape.kind) {
    case 'text': {
      const ids = withEnd(
        located(row, () => tokenizer.encode(shape.text)),
        tokenizer,
      )
      return learn(ids, [{ start: 0, end: ids.length }])
    }
    case 'completion': {
      const [prompt, completion] = located(row, () => [
        tokenizer.encodePrompt(shape.prompt),
        tokenizer.encode(shape.completion, { addSpecialTokens: false }),
      ])
      const ids = [...prompt, ...withEnd(completion, tokenizer)]
      return learn(ids, [{ start: prompt.length, end: ids.length }])
    }
    case 'chat-completion':
    case 'messages':
      return located(row, () => {
        noteLost(row, shape, tokenizer)
        const {
          ids,
          learn: spans,
          turnEnd,
        } = shape.kind === 'messages'
          ? tokenizer.encodeMessages(shape.messages, shape)
          : tokenizer.encodeChatCompletion(shape.prompt, shape.completion, shape)
        return { ...learn(ids, spans), ...(turnEnd && { turnEnd }) }
      })
  }
}

/** See {@link noteLostParts}. */
function noteLost(row: Row, shape: Extract<RowShape, { kind: 'messages' | 'chat-completion' }>, tokenizer: Tokenizer): void {
  const lists = shape.kind === 'messages' ? { messages: shape.messages } : { prompt: shape.prompt, completion: shape.completion }
  noteLostParts(row, lists, shape.variables, tokenizer)
}

/**
 * Notes what of a dialogue reaches nothing: contents that the chat template does not write, fields and variables that it
 * does not mention.
 * @param lists of messages, by the field that brings them, that make one dialogue together
 * @throws InvalidDataError for a content in parts that the template does not take
 */
export function noteLostParts(
  row: Row,
  lists: Readonly<Record<string, readonly Message[]>>,
  variables: TemplateVariables,
  tokenizer: Tokenizer,
): void {
  const { use } = row
  const messages = Object.values(lists).flat()
  const inParts = messages.some(({ content }) => Array.isArray(content))
  if (!tokenizer.hasChatTemplate || (use === undefined && !inParts)) return
  for (const index of tokenizer.lostContents(messages, variables)) {
    const { role, content } = messages[index]!
    if (Array.isArray(content))
      throw new InvalidDataError(
        `the chat template takes no content in parts, such as that of message ${index} ("${role}"); write it as one text.`,
      )
    use?.lost.add(`content of "${role}"`)
  }
  if (use === undefined) return
  const isLost = (name: string): boolean => !tokenizer.templateMentions(name, variables)
  for (const [field, list] of Object.entries(lists))
    for (const message of list)
      for (const name of Object.keys(message)) {
        const { [name]: value } = message
        if (value !== undefined && value !== null && !isLearningSign(name) && isLost(name)) use.lost.add(`${field}[].${name}`)
      }
  for (const name of Object.keys(variables).filter(isLost)) {
    if (hasField(row, name)) use.read.delete(name)
    else use.lost.add(`chat_template_kwargs.${name}`)
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

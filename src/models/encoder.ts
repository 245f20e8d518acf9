/** @file What the encoders share: inputs, sizes, the heads of their tasks. */
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import { multiplyDims } from '../graph/dim/index.js'
import type { Dim, Value } from '../graph/types.js'
import { activationNamed, type Activation } from './activations.js'
import type { Backbone } from './architecture.js'
import type { ConfigReader } from './config-reader.js'
import type { ModelBuilder } from './model-builder.js'
import type { Task, TaskName } from './task.js'

/** Tasks of every text encoder. The bare encoder comes first: it is what a config that names no class can be built as. */
export const textTasks: readonly TaskName[] = [
  'feature-extraction',
  'sequence-classification',
  'token-classification',
  'question-answering',
  'masked-lm',
]

/** @throws InvalidOptionError for ways of building that only language models have */
export function refuseLanguageModelOptions({ options }: ModelBuilder, config: ConfigReader): void {
  const type = config.string('model_type')
  if (options.mode !== 'full')
    throw new InvalidOptionError(
      `a model of type "${type}" reads whole rows and generates nothing: it has no mode "${options.mode}"`,
    )
  if (options.packed === true)
    throw new InvalidOptionError(
      `rows cannot be packed for a model of type "${type}": its positions and its first token are those of a row, not of an example`,
    )
}

/** Size of a head. @throws InvalidModelError if the hidden size cannot be shared out evenly */
export function evenHeads(config: ConfigReader, hiddenKey: string, headsKey: string): { heads: number; headDim: number } {
  const [hidden, heads] = [config.integer(hiddenKey), config.integer(headsKey)]
  if (heads < 1 || hidden % heads !== 0)
    throw new InvalidModelError(`${config.source}: "${hiddenKey}" (${hidden}) must be a multiple of "${headsKey}" (${heads})`)
  return { heads, headDim: hidden / heads }
}

export const activationOf = (config: ConfigReader, key: string): Activation =>
  activationNamed(config.string(key), `${config.source}: "${key}"`)

/** What a text encoder reads, int64 [batch, sequence]. */
export interface TextInputs {
  readonly inputIds: Value
  readonly attentionMask: Value
  /** Which of two texts a token belongs to; an input of the graph unless there is only one type. */
  readonly tokenTypeIds: Value | undefined
}

/**
 * Declares the inputs `input_ids`, `attention_mask` and, with several token types, `token_type_ids`.
 * @param tokenTypes rows of the table of token types; 0 is no table
 */
export function textInputs({ graph, b }: ModelBuilder, tokenTypes = 0): TextInputs {
  const ids = (name: string): Value => graph.addInput(name, 'int64', ['batch', 'sequence'])
  const [inputIds, attentionMask] = [ids('input_ids'), ids('attention_mask')]
  const several = tokenTypes > 1 ? ids('token_type_ids') : undefined
  return { inputIds, attentionMask, tokenTypeIds: tokenTypes === 1 ? b.zeros(['batch', 'sequence'], 'int64') : several }
}

/** Positions 0, 1, … of a row, int64 [sequence]. */
export function rowPositions({ b }: ModelBuilder): Value {
  const [zero, one] = [b.scalar(0, 'int64'), b.scalar(1, 'int64')]
  return b.emit('Range', [zero, b.squeeze(b.dim('sequence'), [0]), one], {}, { shapes: [['sequence']] })
}

/** Hidden states by row: [batch*tokens, width] to [batch, tokens, width]. */
export const byRow = ({ b }: ModelBuilder, hidden: Value, tokens: Dim): Value =>
  b.reshape(hidden, ['batch', tokens, hidden.shape![1]!])

/** What stands at the first token of each row, [batch, width]: where encoders gather what they know of the row. */
export const firstToken = (model: ModelBuilder, hidden: Value, tokens: Dim = 'sequence'): Value =>
  model.b.gather(byRow(model, hidden, tokens), model.b.scalar(0, 'int64'), 1)

/** The linear layer of a head. */
export const classifier = (model: ModelBuilder, name: string, x: Value, width: number, labels: number): Value =>
  model.linear(name, x, width, labels, { bias: true, isOutputHead: true })

/**
 * The layer behind the bare encoder's first token. Its result is no output of ours, but adapters may name it; a checkpoint
 * of another class (`BertForMaskedLM`) lacks it.
 */
export function unreadPooler(model: ModelBuilder, task: Task, first: () => Value, width: number, outputs = width): void {
  if (task.name === 'feature-extraction' && !model.lacksWeight('pooler.dense.weight'))
    model.linear('pooler.dense', first(), width, outputs, { bias: true })
}

/** The head of a masked language model: its modules, what lies between them, and the width of the words. */
export interface MaskedLmHead {
  /** The dense layer, from the hidden states to the width of the words. */
  readonly dense: string
  readonly activation: Activation
  readonly norm: string
  readonly epsilon: number
  /** The layer of the scores, whose matrix is that of the words unless the config unties them; none where it is no layer. */
  readonly decoder: string | undefined
  /** The bias of the scores; where the matrix is not that of the words, the layer has its own. */
  readonly decoderBias: string
  readonly words: string
  /** Numbers of a word's row, the hidden size by default. */
  readonly width?: number
}

/** Scores of every token of the vocabulary at each position, as {@link Backbone.head} takes them; of `masked-lm` alone. */
export function maskedLmHead(
  model: ModelBuilder,
  config: ConfigReader,
  task: Task,
  { hidden, vocabularySize }: { readonly hidden: number; readonly vocabularySize: number },
  of: () => MaskedLmHead,
): Pick<Backbone, 'head'> {
  if (task.name !== 'masked-lm') return {}
  const { dense, activation, norm, epsilon, decoder, decoderBias, words, width = hidden } = of()
  const table = `${words}.weight`
  const isTied = config.boolean('tie_word_embeddings', true)
  return {
    head(rows) {
      const inner = activation(model.b, model.linear(dense, rows, hidden, width, { bias: true }))
      const normed = model.layerNorm(norm, inner, width, epsilon)
      if (decoder !== undefined)
        return isTied
          ? model.head(decoder, normed, width, vocabularySize, table, decoderBias)
          : model.head(decoder, normed, width, vocabularySize, undefined, `${decoder}.bias`)
      const bias = model.weight(decoderBias, [vocabularySize])
      return model.b.gemm(normed, model.weight(table, [vocabularySize, width]), { c: bias, transB: true })
    },
  }
}

/** What the heads of text tasks read. */
export interface HeadInput {
  /** [batch*sequence, width] */
  readonly hidden: Value
  readonly width: number
  /** Probability of dropping an element of what a head of single tokens reads. That of whole rows has places of its own. */
  readonly dropout: number
  /** The same of the head that finds answers; 0 unless given. */
  readonly answersDropout?: number
}

/**
 * What the head of a text task says, see {@link Backbone.output}; undefined where there is no such head.
 * @param ofSequence logits of a row from what stands at its first token, [batch, width] to [batch, labels]
 */
export function textOutput(
  model: ModelBuilder,
  task: Task,
  { hidden, width, dropout, answersDropout = 0 }: HeadInput,
  ofSequence: (first: Value) => Value,
): Value | undefined {
  const perToken = (name: string, x: Value): Value =>
    model.b.reshape(classifier(model, name, x, width, task.numLabels), ['batch', 'sequence', task.numLabels])
  switch (task.name) {
    case 'feature-extraction':
      return byRow(model, hidden, 'sequence')
    case 'sequence-classification':
      return ofSequence(firstToken(model, hidden))
    case 'token-classification':
      return perToken('classifier', model.headDropout(hidden, dropout))
    case 'question-answering':
      return perToken('qa_outputs', model.headDropout(hidden, answersDropout))
    default:
      return undefined
  }
}

/** Rows of a matrix that belong to tokens: [batch*sequence, …]. */
export const tokenRows: Dim = multiplyDims('batch', 'sequence')

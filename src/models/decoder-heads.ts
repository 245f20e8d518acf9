/** @file Heads of decoders: the language model's, and transformers' generic ones for classification and question answering. */
import { InvalidOptionError } from '../errors.js'
import { int, type Value } from '../graph/types.js'
import type { Backbone } from './architecture.js'
import type { ConfigReader } from './config-reader.js'
import type { ModelBuilder } from './model-builder.js'
import type { Task, TaskName } from './task.js'

/** What a decoder hands to its head. */
export interface HeadParts {
  /** Final hidden states, [batch*sequence, hidden]. */
  readonly hidden: Value
  /** int64 [batch, sequence] */
  readonly inputIds: Value
  readonly attentionMask: Value
  readonly vocabularySize: number
  /** Weight of the embedding that the language model's head shares. */
  readonly tiedTo?: string | undefined
  /** Logits are bounded by cap·tanh(x / cap). */
  readonly softCap?: number | undefined
}

export type TaskHead = Pick<Backbone, 'head' | 'output'>

export interface DecoderHeadOptions {
  /** Module of the token classifier: `score` in transformers' generic class, `classifier` in older ones. */
  readonly tokenClassifier?: 'score' | 'classifier'
}

/** Tasks of the families for which transformers has all of its generic heads. */
export const allDecoderTasks: readonly TaskName[] = [
  'causal-lm',
  'sequence-classification',
  'token-classification',
  'question-answering',
  'feature-extraction',
]

/**
 * The head of a decoder for a task, as transformers' `GenericForSequenceClassification` and its siblings have it.
 * Their dropout is not applied: the base model is frozen.
 *
 * @param config where `pad_token_id` is read
 * @throws InvalidOptionError for another task than `causal-lm` with a cache, and for one answer per row of packed rows
 */
export function decoderHead(
  model: ModelBuilder,
  config: ConfigReader,
  task: Task,
  { tokenClassifier = 'score' }: DecoderHeadOptions = {},
): (parts: HeadParts) => TaskHead {
  if (task.name === 'causal-lm') return (parts) => ({ head: languageModelHead(model, parts) })
  const { mode } = model.options
  if (mode !== 'full')
    throw new InvalidOptionError(`only language models generate: a model for ${task.name} cannot be built with mode "${mode}"`)
  if (task.name === 'sequence-classification') {
    if (model.options.packed === true)
      throw new InvalidOptionError('a row has one class: rows for sequence-classification cannot be packed')
    return (parts) => ({ output: linear(model, 'score', lastTokens(model, config, parts), task.numLabels, false) })
  }
  if (task.name === 'feature-extraction')
    return ({ hidden }) => ({ output: model.b.reshape(hidden, ['batch', 'sequence', hidden.shape![1]!]) })
  const name = task.name === 'question-answering' ? 'qa_outputs' : tokenClassifier
  const bias = name !== 'score' || config.boolean('token_classification_bias', true)
  return ({ hidden }) => ({
    output: model.b.reshape(linear(model, name, hidden, task.numLabels, bias), ['batch', 'sequence', task.numLabels]),
  })
}

const linear = (model: ModelBuilder, name: string, x: Value, outFeatures: number, bias: boolean): Value =>
  model.linear(name, x, x.shape![1] as number, outFeatures, { bias })

function languageModelHead(model: ModelBuilder, { hidden, vocabularySize, tiedTo, softCap }: HeadParts): (rows: Value) => Value {
  const { b } = model
  return (rows) => {
    const logits = model.head('lm_head', rows, hidden.shape![1] as number, vocabularySize, tiedTo)
    return softCap === undefined ? logits : b.mul(b.tanh(b.div(logits, softCap)), softCap)
  }
}

/**
 * The hidden states that stand for whole rows, [batch, hidden]: those of the last token that is not `pad_token_id`,
 * whichever side the padding is on; the first token's where all are padding. Without a padding token transformers takes
 * the last position and refuses batches; the last position that the attention mask shows is the same, and serves both.
 */
function lastTokens({ b }: ModelBuilder, config: ConfigReader, { hidden, inputIds, attentionMask }: HeadParts): Value {
  return b.scope('last_token', () => {
    const range = (dim: string): Value => {
      const end = b.squeeze(b.dim(dim), [0])
      return b.emit('Range', [b.scalar(0, 'int64'), end, b.scalar(1, 'int64')], {}, { shapes: [[dim]] })
    }
    const padded = config.has('pad_token_id')
      ? b.equal(inputIds, b.scalar(config.integer('pad_token_id'), 'int64'))
      : b.equal(attentionMask, b.scalar(0, 'int64'))
    const indices = b.where(padded, b.scalar(0, 'int64'), range('sequence'))
    const last = b.emit('ReduceMax', [indices, b.int64s([1])], { keepdims: int(0) }, { shapes: [['batch']] })
    return b.gather(hidden, b.add(b.mul(range('batch'), b.dim('sequence')), last), 0)
  })
}

/** Prefix of the base model in the families whose class for question answering kept an older one than the other classes have. */
export const transformerForAnswers = ({ name }: Task): string =>
  name === 'question-answering' ? 'transformer.' : name === 'feature-extraction' ? '' : 'model.'

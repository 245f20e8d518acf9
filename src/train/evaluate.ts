/** @file Mean loss and perplexity over a data set. */
import { Adapter } from '../core/adapter.js'
import { Model } from '../core/model.js'
import { Parameters } from '../core/parameters.js'
import { openDataset, type Dataset, type DatasetOptions } from '../data/dataset.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { lossOptions, LossSession } from './session.js'
import { adapterTrainee, type Trainee } from './trainee.js'

export interface EvaluateOptions {
  readonly data: string | readonly string[]
  /** Rows in one batch, 8 unless said; it changes speed and memory, not the result. */
  readonly batchSize?: number
  /** Longest row in tokens; longer ones are cut. Without it a row longer than the model's positions is an error. */
  readonly maxLength?: number
  /** A row without a token to learn: `refuse` it with an error, or `skip` it. */
  readonly unlabelled?: 'refuse' | 'skip'
}

export interface Evaluation {
  /** Mean over labelled tokens, in nats. */
  readonly loss: number
  /** e to the loss. */
  readonly perplexity: number
  /** Labelled tokens. */
  readonly tokens: number
}

/** A model without anything to train, as the evaluation sees it. */
const frozenTrainee = (model: Model): Trainee => ({
  model,
  parameters: new Parameters([]),
  totalParameters: model.parameterCount,
  build: (options) => {
    const built = model.build(options)
    return { graph: built.graph, hidden: built.hidden, logits: built.logits, parameters: [] }
  },
  save: () => Promise.resolve(),
  fingerprint: '',
})

const traineeOf = (subject: Model | Adapter | Trainee): Trainee =>
  subject instanceof Adapter ? adapterTrainee(subject) : subject instanceof Model ? frozenTrainee(subject) : subject

/**
 * Evaluates a model, a model with an adapter, or whatever is being trained, on rows of text. Dropout is off.
 * @throws InvalidDataError if a row, or every row, has no label
 */
export async function evaluate(subject: Model | Adapter | Trainee, options: EvaluateOptions): Promise<Evaluation> {
  const trainee = traineeOf(subject)
  const { model } = trainee
  const batchSize = options.batchSize ?? 8
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new InvalidOptionError(`batchSize must be a whole number of at least 1, got ${batchSize}`)
  const dataset = await openModelDataset(model, options.data, options)
  const session = await LossSession.create(trainee, lossOptions(model, batchSize, options.maxLength))
  try {
    return await evaluateDataset(session, dataset, batchSize)
  } finally {
    await session.release()
  }
}

/** Opens rows for a model: its tokenizer, its vocabulary, its positions. */
export async function openModelDataset(
  model: Model,
  data: string | readonly string[],
  { maxLength, unlabelled, onSkip }: { [K in 'maxLength' | 'unlabelled' | 'onSkip']?: DatasetOptions[K] | undefined } = {},
): Promise<Dataset> {
  const tokenizer = await model.tokenizer()
  return openDataset(model.environment.files, typeof data === 'string' ? [data] : data, {
    ...(tokenizer !== undefined && { tokenizer }),
    ...(maxLength !== undefined && { maxLength }),
    ...(unlabelled !== undefined && { unlabelled }),
    ...(onSkip !== undefined && { onSkip }),
    vocabularySize: model.vocabularySize,
    maxPositions: model.maxPositions,
  })
}

/** Token-weighted mean over all batches, in file order. */
export async function evaluateDataset(session: LossSession, dataset: Dataset, batchSize: number): Promise<Evaluation> {
  let sum = 0
  let tokens = 0
  for await (const batch of dataset.batches({ batchSize, shuffle: false, seed: 0, epochs: 1 })) {
    sum += await session.run(batch)
    tokens += batch.tokens
  }
  if (tokens === 0) throw new InvalidDataError('the evaluation data has no labelled token')
  const loss = sum / tokens
  return { loss, perplexity: Math.exp(loss), tokens }
}

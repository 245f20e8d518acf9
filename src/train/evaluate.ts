/** @file Mean loss and the metrics of a task over a data set. */
import type { Adapter } from '../adapter/adapter.js'
import type { AdapterSet } from '../adapter/adapter-set.js'
import type { Model } from '../model/model.js'
import type { Dataset } from '../data/dataset.js'
import { soloCommunicator, type Communicator } from '../distributed/communicator.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { sharedBy, sumOfShards, together } from './distributed.js'
import { checkSplit } from './option-table.js'
import { evaluateOptionTable, type EvaluateOptions } from './evaluate-options.js'
import type { Evaluation } from './evaluation.js'
import { chooseObjective, openEvaluatedRows, openTaskDataset } from './open-dataset.js'
import { RowNotes } from './row-notes.js'
import type { LossResult } from './compiled-step.js'
import { LossSession } from './loss-session.js'
import { meansOf, type Objective, type Scores } from './objective.js'
import { lossOptions } from './step-graph.js'
import { batchShard } from './shard.js'
import { SharedScores } from './shared-scores.js'
import { evaluatedArgument, traineeOf } from './frozen-trainee.js'
import type { Trainee } from './trainee.js'
import { resolveOptions } from '../util/option-table.js'
import { checkArgument } from '../util/arguments.js'

/**
 * Evaluates a model, a model with an adapter, or whatever is being trained, on rows of its task. Dropout is off.
 * @throws InvalidDataError if a row, or every row, has no label; InvalidOptionError for a loss that does not fit the task, or
 * labels that are smoothed
 * @example
 * const { loss, perplexity } = await evaluate(adapter, { data: 'valid.jsonl' })
 */
export async function evaluate(subject: Model | Adapter | AdapterSet | Trainee, given: EvaluateOptions): Promise<Evaluation> {
  checkArgument(subject, evaluatedArgument, 'evaluate')
  // The adapter and the options are those of the call, whatever is switched, trained or changed while it runs.
  const options = resolveOptions(evaluateOptionTable, given, 'evaluate')
  checkSplit(options)
  const trainee = traineeOf(subject)
  const { model } = trainee
  const opened = await openEvaluatedRows(model, options.data, options)
  const objective = await chooseObjective(model, opened, options)
  if (objective.name === 'causal-lm' && options.labelSmoothing !== undefined)
    throw new InvalidOptionError(
      'labelSmoothing of objective "sft" is for training: the loss of an evaluation is without it; leave it out',
    )
  const { batchSize, maxLength, onWarning } = options
  const notes = new RowNotes({ maxLength, maxPositions: model.maxPositions, valSplitBy: options.valSplitBy })
  const rows = { ...options, ...(onWarning !== undefined && { listeners: [notes] }) }
  const dataset = await openTaskDataset(model, objective, opened, rows)
  const session = await LossSession.create(trainee, lossOptions(model, batchSize, maxLength, false, objective))
  try {
    const result = await evaluateDataset(session, dataset, batchSize)
    if (onWarning !== undefined) for (const message of notes.take()) onWarning(message)
    return result
  } finally {
    await session.release()
  }
}

/**
 * Mean over all batches, in file order, weighted by what the loss counts.
 * @param communicator the processes that share the rows and all get the result; each sees `batchSize` rows at a time
 */
export async function evaluateDataset(
  session: LossSession,
  dataset: Dataset,
  batchSize: number,
  communicator: Communicator = soloCommunicator,
): Promise<Evaluation> {
  const { objective } = session
  const scores = objective.scores()
  const shared = communicator.size > 1 ? new SharedScores() : undefined
  let examples = 0
  const here = { loss: 0, count: 0, sums: {} as Record<string, number> }
  const batches = dataset.batches({ batchSize: batchSize * communicator.size, shuffle: false, seed: 0, epochs: 1 })
  try {
    // What a loss must know of a batch first is found together, so that nobody may be a batch ahead.
    for (;;) {
      const { value: batch, done } = await together(communicator, () => batches.next())
      if (done === true) break
      const whole = await session.prepare(batch, sharedBy(communicator))
      const result = await together(communicator, () => session.run(batchShard(whole, communicator), shared ?? scores))
      here.loss += result.loss
      here.count += result.count
      examples += batch.examples
      for (const [name, value] of Object.entries(result.sums)) here.sums[name] = (here.sums[name] ?? 0) + value
    }
  } finally {
    await batches.return(undefined)
  }
  const total = await sumOfShards(here, communicator)
  await shared?.tell(scores, communicator)
  if (total.count === 0) throw new InvalidDataError('the evaluation data has no labelled token')
  return evaluationOf(objective, total, scores, examples)
}

/**
 * Names of the metrics that an evaluation will have, told without running one.
 * @param sums names of the objective's further sums
 */
export const metricNames = (objective: Objective, sums: readonly string[]): readonly string[] =>
  objective.perplexity === true
    ? ['loss', 'perplexity']
    : [
        'loss',
        ...Object.keys(meansOf(objective, Object.fromEntries(sums.map((name) => [name, 0])), 0, Number.NaN)),
        ...Object.keys(objective.scores().result()),
      ]

/** Means of what runs have added up to. */
function evaluationOf(
  objective: Objective,
  { loss: sum, count, sums }: LossResult,
  scores: Scores,
  examples: number,
): Evaluation {
  const loss = sum / count
  if (objective.perplexity === true) return { loss, perplexity: Math.exp(loss), tokens: count }
  return { loss, ...meansOf(objective, sums, count), ...scores.result(), examples }
}

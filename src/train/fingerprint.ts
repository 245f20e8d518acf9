/** @file What must be equal for a continuation to be the same run. */
import { FolderModel } from '../core/folder-model.js'
import type { Model } from '../core/model.js'
import type { Dataset } from '../data/dataset.js'
import { isFileTensor } from '../graph/types.js'
import { fingerprintFile } from '../util/fingerprint.js'
import type { Objective } from './objective.js'
import type { ResolvedTrainOptions } from './options.js'
import type { Trainee } from './trainee.js'

/** Names for the entries whose values tell a reader nothing. */
const OPAQUE: Readonly<Record<string, string>> = {
  data: 'the data files',
  evalData: 'the evaluation data',
  model: 'the base model',
  trained: 'what is trained (layers, ranks, scales or dropout)',
}

/** Sizes and samples of the files that hold the weights; weights in memory are told apart by name and shape. */
async function modelFingerprint({ weights, environment }: Model): Promise<string> {
  const paths = new Set<string>()
  const inMemory: string[] = []
  for (const [name, tensor] of weights)
    if (isFileTensor(tensor)) paths.add(tensor.file.path)
    else inMemory.push(`${name}[${tensor.shape.join(',')}]`)
  const prints: string[] = []
  for (const path of [...paths].sort()) prints.push(await fingerprintFile(environment.files, path))
  return [...prints, ...inMemory].join(';')
}

/** A JSON object as text. Output, evaluation and, where it changes nothing, the length of the run may differ. */
export async function runFingerprint(
  trainee: Trainee,
  options: ResolvedTrainOptions,
  objective: Objective,
  dataset: Dataset,
  totalSteps: number,
): Promise<string> {
  // Two processes with four rows each make the same steps as one with eight.
  const batchSize = options.batchSize * options.communicator.size
  const { gradAccum, learningRate, schedule, warmup, weightDecay, maxGradNorm, beta1, beta2, epsilon } = options
  const { maxLength, shuffle, seed, groupByLength, packing, unlabelled } = options
  return JSON.stringify({
    ...{ batchSize, gradAccum, learningRate, schedule, warmup, weightDecay, maxGradNorm, beta1, beta2, epsilon },
    ...{ maxLength, shuffle, seed, groupByLength, packing, unlabelled },
    ...(options.loraPlusLrRatio !== undefined && {
      loraPlus: [options.loraPlusLrRatio, options.loraPlusLrEmbedding ?? null],
    }),
    ...(objective.name !== 'causal-lm' && { objective: objective.name }),
    // The head that a folder lacks has its labels in an order that only the run knows.
    ...(trainee.model instanceof FolderModel && trainee.model.head !== undefined && { labels: trainee.model.task.labels }),
    // A constant rate without relative warm-up does not depend on the length of the run, so it may be prolonged.
    ...(schedule === 'constant' && (warmup >= 1 || warmup === 0) ? {} : { totalSteps }),
    ...(trainee.model.environment.base !== undefined && { base: trainee.model.environment.base }),
    ...(trainee.model.constants !== undefined && { constants: trainee.model.constants }),
    data: dataset.fingerprint,
    model: await modelFingerprint(trainee.model),
    trained: trainee.fingerprint,
  })
}

/** The options that differ between two fingerprints, for a message. */
export function fingerprintDifference(before: string, now: string, [then, here] = ['then', 'now']): string {
  const parse = (text: string): Record<string, unknown> => {
    try {
      return JSON.parse(text) as Record<string, unknown>
    } catch {
      return {}
    }
  }
  const [a, b] = [parse(before), parse(now)]
  const show = (value: unknown): string => JSON.stringify(value) ?? 'none'
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((key) => show(a[key]) !== show(b[key]))
    .map((key) => OPAQUE[key] ?? `${key}: ${show(a[key])} ${then}, ${show(b[key])} ${here}`)
    .join('; ')
}

/** @file The settings of a run on GLUE: those of a preset, what is given in their place, and what all scripts share. */
import type { LoraOptions } from '../../adapter/adapter.js'
import { InvalidOptionError } from '../../errors.js'
import type { TrainOptions } from '../../train/options.js'
import { resolveOptions } from '../../util/option-table.js'
import { nluOverrideTable, type NluMethod, type NluOverrides } from './overrides.js'
import { nluPresets, type NluPreset } from './presets.js'
import { glueTasks } from './tasks.js'

/** The settings of a run. */
export interface NluSettings extends Omit<NluPreset, 'gpus'> {
  /** Its name. */
  readonly preset: string
  readonly gradAccum: number
  readonly method: NluMethod
}

/** @throws InvalidOptionError for a preset that there is not, and for settings that are out of range or that nothing would read */
export function nluSettings(preset: string, given: NluOverrides = {}): NluSettings {
  const found = nluPresets.get(preset)
  if (found === undefined)
    throw new InvalidOptionError(`unknown preset "${preset}"; choose one of ${[...nluPresets.keys()].join(', ')}`)
  const { gpus, ...own } = found
  const overrides: NluOverrides = resolveOptions(nluOverrideTable, given, 'nluSettings')
  const settings = { gradAccum: gpus, method: 'lora' as NluMethod, ...own, ...overrides, preset }
  if (settings.method === 'bitfit' && (overrides.r !== undefined || overrides.alpha !== undefined))
    throw new InvalidOptionError('r (--r) and alpha (--alpha) are of branches, and method "bitfit" has none; leave them out')
  if (overrides.rDrop !== undefined || overrides.cutoff !== undefined) refuseOfNumbers(settings)
  return settings
}

/** @throws InvalidOptionError for R-Drop of a task without classes */
function refuseOfNumbers({ task }: NluSettings): void {
  if (glueTasks[task].labels.length === 0)
    throw new InvalidOptionError(`rDrop (--r-drop) and cutoff (--cutoff) are of classes, and ${task} has numbers; leave them out`)
}

/** The new adapter of a run. The original puts branches on queries and values, without dropout of their own. */
export const nluLoraOptions = ({ method, r, alpha, seed }: NluSettings): LoraOptions =>
  method === 'bitfit' ? { targetModules: 'none', bias: 'all', seed } : { r, alpha, seed }

/**
 * How a run trains: the Trainer of transformers 4.4.2 with its older AdamW, without decay of biases (no norm is trained),
 * clipped at 1, linear
 * decay; every dropout of the model on. The best evaluation is kept.
 */
export function nluTrainOptions(settings: NluSettings): Omit<TrainOptions, 'data'> {
  const { task, batchSize, gradAccum, learningRate, epochs, maxLength, warmup, weightDecay, seed } = settings
  const { evalEvery, classifierDropout, rDrop, cutoff } = settings
  return {
    ...{ batchSize, gradAccum, learningRate, epochs, maxLength, warmup, weightDecay, seed },
    ...(evalEvery !== undefined && { evalEvery }),
    ...(classifierDropout !== undefined && { classifierDropout }),
    ...(rDrop !== undefined && { rDrop }),
    ...(cutoff !== undefined && { cutoff }),
    ...{ optimizer: 'adamw_hf', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradNorm: 1, schedule: 'linear' },
    ...(weightDecay > 0 && { noDecay: ['bias'] }),
    ...{ modelDropout: true, keepBest: true, metricForBest: glueTasks[task].best },
  }
}

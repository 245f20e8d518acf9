/** @file What may be said in place of a preset: types, checks, flags. Whatever is not given is the preset's. */
import { loraFieldTable } from '../../adapters/lora-fields.js'
import { trainOptionTable } from '../../train/option-table.js'
import { choice } from '../../util/option-kinds.js'
import type { OptionTable } from '../../util/option-table.js'
import type { NluPreset } from './presets.js'

/** What is trained beside a new head: branches on queries and values, or every bias (BitFit). */
export const nluMethods = ['lora', 'bitfit'] as const
export type NluMethod = (typeof nluMethods)[number]

/** Settings of a run in place of its preset's. */
export interface NluOverrides extends Partial<Omit<NluPreset, 'task' | 'model' | 'gpus' | 'fromMnli'>> {
  /** Micro-batches in one update; as many as the script has processes where it is not given. */
  readonly gradAccum?: number
  /** `lora` where it is not given. */
  readonly method?: NluMethod
}

const { batchSize, gradAccum, learningRate, epochs, maxLength, warmup, weightDecay, evalEvery } = trainOptionTable
const { classifierDropout, rDrop, cutoff, seed } = trainOptionTable

export const nluOverrideTable = {
  method: {
    is: choice(nluMethods),
    flag: 'method',
    help: 'What is trained beside the head: lora, by default, or every bias (bitfit).',
  },
  r: { is: loraFieldTable.r.is, flag: 'r', help: 'Rank of the adapter.' },
  alpha: { is: loraFieldTable.loraAlpha.is, flag: 'alpha', help: 'Numerator of the scale alpha/r.' },
  epochs: { is: epochs.is, flag: { name: 'epochs', value: 'N' }, help: 'Passes over the data.' },
  batchSize: { is: batchSize.is, flag: 'batch-size', help: 'Rows in one micro-batch: those of one process of the script.' },
  gradAccum: {
    is: gradAccum.is,
    flag: 'grad-accum',
    help: 'Micro-batches in one update: the processes of the script.',
  },
  learningRate: { is: learningRate.is, flag: 'lr', help: 'Learning rate.' },
  warmup: { is: warmup.is, flag: { name: 'warmup', value: 'N | ratio' }, help: 'Steps of warm-up, or a share of all steps.' },
  weightDecay: { is: weightDecay.is, flag: 'weight-decay', help: 'Weight decay, but of biases.' },
  maxLength: { is: maxLength.is, flag: 'max-length', help: 'Longest row in tokens.' },
  evalEvery: {
    is: evalEvery.is,
    flag: 'eval-every',
    help: 'Steps between evaluations; at the end of each epoch where the script says so.',
  },
  classifierDropout: { is: classifierDropout.is, flag: 'classifier-dropout', help: 'Dropout before the last layer (--cls_dropout).' }, // prettier-ignore
  rDrop: { is: rDrop.is, flag: 'r-drop', help: 'Weight of R-Drop (--reg_loss_wgt).' },
  cutoff: { is: cutoff.is, flag: 'cutoff', help: "Share of the second pass' tokens that are cut off (--masking_prob)." },
  seed: { is: seed.is, flag: { name: 'seed', common: true }, help: 'Seed of everything random.' },
} as const satisfies OptionTable<NluOverrides>

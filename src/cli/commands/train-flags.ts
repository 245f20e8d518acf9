/** @file The flags of `lowrank train`. */
import { branchFields, layerFields, loraFieldTable, patternFields, variantFields } from '../../adapters/lora-fields.js'
import { baseSchemes } from '../../quantize/base-schemes.js'
import { objectiveOptionTable, preferenceOptions } from '../../train/objectives/options.js'
import {
  batchingOptions,
  courseOptions,
  fileOptions,
  lengthOptions,
  loraPlusOptions,
  maxLengthOption,
  optimizerOptions,
  presetOption,
  rateOptions,
  regularizationOptions,
  sampleOptions,
  trackingOptions,
  trainOptionTable,
  unlabelledOption,
} from '../../train/option-table.js'
import type { Flag, Flags, GroupedFlag } from '../flag.js'
import { headFlags, labelsOfDataFlag } from '../head-flags.js'
import { lossOutputFlag, onnxFlags } from '../onnx-flags.js'
import { flagsFrom, type FlagsFrom } from '../option-flags.js'

/** How the frozen weights are held, for the commands that run a model. */
export const baseFlag = {
  base: {
    group: 'hardware',
    type: 'text',
    choices: baseSchemes,
    default: 'fp32',
    help: "How the frozen weights are held while they run; int8 and int4 are packed once, into the user's cache folder (LOWRANK_CACHE, or ~/.cache/lowrank).",
  },
} as const satisfies Flags

/** Values of --init and what PEFT's `init_lora_weights` calls them. */
export const initialisations: Readonly<Record<string, boolean | string>> = {
  default: true,
  gaussian: 'gaussian',
  random: false,
  orthogonal: 'orthogonal',
  pissa: 'pissa',
  pissa_niter_16: 'pissa_niter_16',
  olora: 'olora',
  loftq: 'loftq',
  // Filled from the data afterwards.
  eva: true,
}

const laterInitialisations = ['corda', 'lora_ga']

const loraFlagsOf = <const W extends object>(rows: W) => flagsFrom(loraFieldTable, rows)

const flagsOf = <const W extends object>(rows: W) => flagsFrom(trainOptionTable, rows)

/** Flags that say what is learned, of `train` and `eval`. */
export const objectiveFlags = {
  ...flagsOf(preferenceOptions),
  ...headFlags,
  ...lossOutputFlag,
  ...onnxFlags,
  ...flagsOf(objectiveOptionTable),
  ...flagsOf(unlabelledOption),
} as const satisfies Flags

export const trainFlags = {
  model: { group: 'source', type: 'text', value: 'M', required: true, help: 'Model folder, .onnx file or hub id.' },
  ...flagsOf({ data: fileOptions.data, out: fileOptions.out }),
  adapter: {
    group: 'adapter',
    type: 'text',
    value: 'DIR',
    help: 'Go on training this adapter (PEFT folder or hub id) in place of a new one.',
  },
  'init-adapter': {
    group: 'adapter',
    type: 'text',
    value: 'PATH',
    help: 'Begin where this adapter, trained for another task, has ended: its branches, and what else has the same shape; a head for other labels stays fresh. A PEFT folder, or a file of any format that `convert` reads.',
  },
  ...flagsOf(fileOptions),
  ...loraFlagsOf(branchFields),
  ...loraFlagsOf(layerFields),
  ...loraFlagsOf(patternFields),
  ...loraFlagsOf(variantFields),
  'freeze-a': { group: 'adapter', type: 'switch', help: 'Train B alone: A stays as it begins (LoRA-FA).' },
  init: {
    group: 'adapter',
    type: 'text',
    option: 'initLoraWeights',
    choices: [...Object.keys(initialisations), ...laterInitialisations],
    default: 'default',
    notYet: laterInitialisations,
    help: 'First values: default (A uniform, B zero), gaussian (A normal, B zero), random (both uniform), orthogonal, pissa (principal part of the weight; pissa_niter_16 is quicker), olora, loftq (what --base int4 or int8 takes from the weights), eva (principal components of what each layer reads on --data, which is read once before; ranks are shared out anew).',
  },
  ...flagsOf(presetOption),
  ...flagsOf(lengthOptions),
  ...flagsOf({ learningRate: rateOptions.learningRate }),
  ...flagsOf(loraPlusOptions),
  ...flagsOf(rateOptions),
  ...flagsOf(optimizerOptions),
  ...flagsOf(regularizationOptions),
  ...flagsOf(maxLengthOption),
  ...objectiveFlags,
  ...labelsOfDataFlag,
  ...flagsOf(batchingOptions),
  ...baseFlag,
  ...flagsOf(courseOptions),
  ...flagsOf(sampleOptions),
  ...flagsOf(trackingOptions),
  'dry-run': {
    group: 'command',
    type: 'switch',
    help: 'Check all rows and predict peak memory and time per step, then stop: no weight is read, nothing is trained or written.',
  },
  distributed: {
    group: 'hardware',
    type: 'switch',
    help: 'Train with the other processes of an MPI job; assumed under mpirun and srun --mpi=pmix. --batch-size is that of each process.',
  },
} as const satisfies Readonly<Record<string, GroupedFlag>> &
  Record<keyof FlagsFrom<typeof trainOptionTable & typeof loraFieldTable>, Flag>

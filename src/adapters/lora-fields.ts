/** @file The fields of a LoRA configuration: everything there is to say of each but its type and what it does. */
import { isObject } from '../util/json.js'
import { choice, kind, toggle, type Kind } from '../util/option-kinds.js'
import type { OptionGroup } from '../util/option-groups.js'
import { optionDefaults, type OptionTable } from '../util/option-table.js'
import type { LoraConfig } from './lora-config.js'

/** Columns beside those of every option. */
interface LoraColumns {
  readonly group: OptionGroup
  /** Whether the model card lists it, in the order of the table. */
  readonly card: boolean
}

type Fields = Partial<LoraConfig>
type Rows = Partial<OptionTable<Fields, LoraColumns>>

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
const isIndex = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isRank = (value: unknown): boolean => isIndex(value) && value !== 0
const isName = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isListOf = (each: (value: unknown) => boolean, value: unknown): boolean => Array.isArray(value) && value.every(each)
const isRecordOf = (each: (value: unknown) => boolean, value: unknown): boolean =>
  isObject(value) && Object.values(value).every(each)
const isRange = (value: unknown): boolean => isListOf(isIndex, value) && (value as readonly unknown[]).length === 2

const targets = (must: string): Kind<LoraConfig['targetModules'], 'modules'> =>
  kind('modules', must, (value) => value === null || isName(value) || isListOf(isName, value))

const textOrNull: Kind<string | null, 'text'> = kind(
  'text',
  'be a string or null',
  (value) => value === null || typeof value === 'string',
)

/** How large the branches are, and where. */
export const branchFields = {
  r: {
    is: kind<number, 'integer'>('integer', 'be an integer above 0', isRank),
    default: 8,
    flag: 'r',
    help: 'Rank of the adapter, from 1 to the smaller side of the matrix.',
    group: 'adapter',
    card: true,
  },
  loraAlpha: {
    is: kind<number, 'number'>('number', 'be a number', isNumber),
    default: 8,
    flag: { name: 'alpha', default: 16 },
    help: 'Numerator of the scale alpha/r.',
    group: 'adapter',
    card: true,
  },
  loraDropout: {
    is: kind<number, 'number'>('number', 'be a probability in [0, 1)', (v) => isNumber(v) && v >= 0 && v < 1, { min: 0 }),
    default: 0,
    flag: 'dropout',
    help: "Probability of dropping an element of the adapter's input.",
    group: 'adapter',
    card: true,
  },
  targetModules: {
    is: targets('be a list of names, a regular expression, "all-linear", "none" or null'),
    default: null,
    flag: { name: 'target-modules', value: 'A,B | all-linear | none | REGEX' },
    help: "Layers to adapt: names or name endings, all-linear, none (with `bias` all: BitFit), or a regular expression for the whole name. The architecture's usual ones by default.",
    group: 'adapter',
    card: true,
  },
  excludeModules: {
    is: targets('be a list of names, a regular expression or null'),
    default: null,
    flag: { name: 'exclude-modules', value: 'A,B | REGEX' },
    help: 'Layers to leave alone, written the same way.',
    group: 'adapter',
    card: true,
  },
} as const satisfies Rows

/** What single layers have of their own. */
export const patternFields = {
  rankPattern: {
    is: kind<LoraConfig['rankPattern'], 'mapping'>('mapping', 'be an object of integers above 0', (v) => isRecordOf(isRank, v)),
    default: {},
    flag: 'rank-pattern',
    help: 'Ranks of single layers, as JSON or NAME=N,…; names are regular expressions for the end of the name.',
    group: 'adapter',
    card: true,
  },
  alphaPattern: {
    is: kind<LoraConfig['alphaPattern'], 'mapping'>('mapping', 'be an object of numbers', (v) => isRecordOf(isNumber, v)),
    default: {},
    flag: 'alpha-pattern',
    help: 'Alphas of single layers, written the same way.',
    group: 'adapter',
    card: true,
  },
} as const satisfies Rows

/** Which of the layers that stand in a row. */
export const layerFields = {
  layersToTransform: {
    is: kind<LoraConfig['layersToTransform'], 'integers'>(
      'integers',
      'be a layer index, a list of them or null',
      (value) => value === null || isIndex(value) || isListOf(isIndex, value),
    ),
    default: null,
    flag: 'layers-to-transform',
    help: 'Adapt only the layers of these numbers, counted from 0.',
    group: 'adapter',
    card: true,
  },
  layersPattern: {
    is: kind<LoraConfig['layersPattern'], 'names'>(
      'names',
      'be a name, a list of names or null',
      (value) => value === null || typeof value === 'string' || isListOf(isName, value),
    ),
    default: null,
    flag: { name: 'layers-pattern', value: 'A,B' },
    help: 'Name of the list that `layersToTransform` counts in.',
    group: 'adapter',
    card: true,
  },
} as const satisfies Rows

/** What else is trained, and how. */
export const variantFields = {
  bias: {
    is: choice(['none', 'all', 'lora_only'], 'be "none", "all" or "lora_only"'),
    default: 'none',
    flag: 'bias',
    help: 'Biases to train: none, all, or those of adapted layers (lora_only).',
    group: 'adapter',
    card: true,
  },
  modulesToSave: {
    is: kind<LoraConfig['modulesToSave'], 'names'>(
      'names',
      'be a list of names or null',
      (value) => value === null || isListOf(isName, value),
    ),
    default: null,
    flag: { name: 'modules-to-save', value: 'A,B' },
    help: 'Modules to train in full and to store whole, such as a new head.',
    group: 'adapter',
    card: true,
  },
  trainableTokenIndices: {
    is: kind<LoraConfig['trainableTokenIndices'], 'integers'>(
      'integers',
      'be a list of row numbers, an object of such lists by the name of an embedding, or null',
      (value) => value === null || isListOf(isIndex, value) || isRecordOf((each) => isListOf(isIndex, each), value),
    ),
    default: null,
    flag: 'trainable-token-indices',
    help: 'Rows of the token embedding to train in full and to store: the ids of new tokens.',
    group: 'adapter',
    card: true,
  },
  useRslora: { is: toggle, default: false, flag: 'use-rslora', help: 'Scale by alpha/√r.', group: 'adapter', card: true },
  useDora: {
    is: toggle,
    default: false,
    flag: 'use-dora',
    help: 'Train magnitudes and directions apart (DoRA).',
    group: 'adapter',
    card: true,
  },
  loraBias: {
    is: toggle,
    default: false,
    flag: 'lora-bias',
    help: 'Give the branch of each adapted layer a bias, behind B.',
    group: 'adapter',
    card: true,
  },
} as const satisfies Rows

/** All of them, in the order of the model card. */
export const loraFieldTable = {
  ...branchFields,
  ...patternFields,
  ...layerFields,
  ...variantFields,
  initLoraWeights: {
    is: kind<LoraConfig['initLoraWeights'], 'text'>(
      'text',
      'be true, false or the name of an initialisation',
      (value) => typeof value === 'boolean' || isName(value),
    ),
    default: true,
    // The command line has words of its own for true and false.
    flag: null,
    help: 'First values of A and B.',
    group: 'adapter',
    card: true,
  },
  fanInFanOut: {
    is: toggle,
    default: false,
    flag: null,
    help: 'Kept for files; the kind of the layer decides.',
    group: 'adapter',
    card: false,
  },
  layerReplication: {
    is: kind<LoraConfig['layerReplication'], 'text'>(
      'text',
      'be a list of ranges [first, end) or null',
      (value) => value === null || (isListOf(isRange, value) && (value as readonly unknown[]).length > 0),
    ),
    default: null,
    flag: null,
    help: "Ranges [first, end) of the base's layers that stand in a row in the adapted model.",
    group: 'adapter',
    card: true,
  },
  taskType: { is: textOrNull, default: null, flag: null, help: "PEFT's name of the task.", group: 'adapter', card: false },
  baseModelNameOrPath: {
    is: textOrNull,
    default: null,
    flag: null,
    help: 'Id or folder of the base model.',
    group: 'adapter',
    card: false,
  },
  revision: {
    is: textOrNull,
    default: null,
    flag: null,
    help: 'Revision of the base model on the hub.',
    group: 'adapter',
    card: false,
  },
  other: {
    is: kind<LoraConfig['other'], 'text'>('text', 'be an object', (value) => isRecordOf(() => true, value)),
    default: {},
    flag: null,
    help: 'Keys of PEFT that are carried along.',
    group: 'adapter',
    card: false,
  },
} as const satisfies OptionTable<Fields, LoraColumns>

/** PEFT's defaults. */
export const loraDefaults: LoraConfig = optionDefaults<Fields, typeof loraFieldTable>(loraFieldTable)

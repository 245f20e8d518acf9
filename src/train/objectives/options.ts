/** @file What the user may say of the loss. */
import { poolings, type Pooling } from '../../losses/embedding.js'
import { preferenceLossTypes, type PreferenceLossType } from '../../losses/preference-loss-types.js'
import { problemTypes, type ProblemType } from '../../models/task.js'
import { choice, kind, number, type Kind } from '../../util/option-kinds.js'
import type { OptionTable } from '../../util/option-table.js'
import type { RunColumns } from '../run-columns.js'
import type { LossFunction } from './custom.js'
import type { SimilarityLossName } from '../../losses/similarity.js'

/** What is learned from the rows, and how it is measured. */
export interface ObjectiveOptions {
  /**
   * What a language model learns: `sft` (the next token), or from rows {"prompt", "chosen", "rejected"} a preference:
   * `dpo` against the model without the adapter, `orpo` without a reference; or from rows {"prompt", "completion", "label"},
   * each desirable (true) or not, `kto` against the model without the adapter. `sft` by default. Of an encoder with the task
   * `masked-lm`: `mlm`, the tokens that are hidden from it.
   */
  readonly objective?: 'sft' | 'dpo' | 'orpo' | 'kto' | 'mlm'
  /** Of `dpo` and `kto` how far the policy may leave the reference, of `orpo` the weight of the odds ratio (λ); 0.1 by default. */
  readonly beta?: number
  /**
   * Of `sft`: share of each label that is spread evenly over the whole vocabulary, in [0, 1); evaluations are without it. Of
   * `dpo` with `sigmoid`: share of pairs that may be labelled wrongly, in [0, 0.5). 0 by default.
   */
  readonly labelSmoothing?: number
  /** Of `dpo` and `kto`, see {@link preferenceLossTypes}; `sigmoid` and `kto` by default. */
  readonly lossType?: PreferenceLossType
  /** Of `kto`: what the losses of desirable completions are multiplied by; 1 by default. */
  readonly desirableWeight?: number
  /** Of `kto`: what the losses of undesirable completions are multiplied by; 1 by default. */
  readonly undesirableWeight?: number
  /**
   * - `cosine`, `contrastive`: of embedding models. `cosine` where rows have a score, else `contrastive`, by default.
   * - `output:NAME`: an output of the model itself, a scalar mean or one number a row.
   * - a function that builds it.
   */
  readonly loss?: SimilarityLossName | `output:${string}` | LossFunction
  /**
   * How an embedding model's states become one vector; several are put side by side. What the model's `1_Pooling` says,
   * `mean` without one, by default.
   */
  readonly pooling?: Pooling | readonly Pooling[]
  /**
   * Name of the prompt of `config_sentence_transformers.json` that is put before each text, or one for each text of a pair;
   * '' is none. Its `default_prompt_name` by default.
   */
  readonly promptName?: string | readonly [string, string]
  /** Of `mlm`: chance of each token that is no special one to be hidden; 0.15 by default. */
  readonly mlmProbability?: number
  /** What the labels of a sequence classifier are; the model's `problem_type`, else told by the first row. */
  readonly problemType?: ProblemType
}

const isText = (value: unknown): value is string => typeof value === 'string'
const lossNames: readonly SimilarityLossName[] = ['cosine', 'contrastive']

const loss: Kind<NonNullable<ObjectiveOptions['loss']>, 'text'> = kind(
  'text',
  'be "cosine", "contrastive", "output:NAME" or a function',
  (value) => typeof value === 'function' || (isText(value) && (lossNames.includes(value as SimilarityLossName) || value.startsWith('output:'))), // prettier-ignore
)

const isPooling = (value: unknown): boolean => poolings.includes(value as Pooling)

const pooling: Kind<NonNullable<ObjectiveOptions['pooling']>, 'names'> = kind(
  'names',
  `be ${poolings.map((mode) => `"${mode}"`).join(', ')}, or several of them`,
  (value) => isPooling(value) || (Array.isArray(value) && value.length > 0 && value.every(isPooling)),
)

const promptName: Kind<NonNullable<ObjectiveOptions['promptName']>, 'names'> = kind(
  'names',
  'be a name or two of them',
  (value) => isText(value) || (Array.isArray(value) && value.length === 2 && value.every(isText)),
)

const positive = number('be a finite number above 0', (value) => value > 0 && Number.isFinite(value), 0)

type Rows = Partial<OptionTable<ObjectiveOptions, RunColumns>>

/** Of language models. */
export const preferenceOptions = {
  objective: {
    is: choice(['sft', 'dpo', 'orpo', 'kto', 'mlm'], 'be "sft", "dpo", "orpo", "kto" or "mlm"'),
    flag: 'objective',
    help: 'What a language model learns: the next token (sft, by default), or from rows {"prompt","chosen","rejected"} a preference: dpo against the model without the adapter, orpo without a reference; or from rows {"prompt","completion","label"}, each desirable (true) or not: kto. Of an encoder whose head says hidden tokens (--task masked-lm, which this opens it with): mlm.',
    ...{ group: 'task', changes: 'entry', card: true },
  },
  beta: {
    is: positive,
    flag: 'beta',
    help: 'Of dpo and kto how far the adapter may leave the base model, of orpo the weight of the odds ratio; 0.1 by default.',
    ...{ group: 'task', changes: 'entry', card: true },
  },
  labelSmoothing: {
    is: number('be at least 0 and below 1', (value) => value >= 0 && value < 1, 0),
    flag: 'label-smoothing',
    help: 'Of sft: share of each label that is spread evenly over the vocabulary, in training alone. Of dpo: share of pairs that may be labelled wrongly, below 0.5. 0 by default.',
    ...{ group: 'task', changes: 'entry', card: true },
  },
  lossType: {
    is: choice(preferenceLossTypes),
    flag: 'loss-type',
    help: 'The loss of dpo (sigmoid, ipo, hinge; sigmoid by default) or of kto (kto, apo_zero_unpaired; kto by default).',
    ...{ group: 'task', changes: 'entry', card: true },
  },
  desirableWeight: {
    is: positive,
    flag: 'desirable-weight',
    help: 'Of kto: what the losses of desirable completions are multiplied by, where there are more of one kind; 1 by default.',
    ...{ group: 'task', changes: 'entry', card: true },
  },
  undesirableWeight: {
    is: positive,
    flag: 'undesirable-weight',
    help: 'Of kto: what the losses of undesirable completions are multiplied by; 1 by default.',
    ...{ group: 'task', changes: 'entry', card: true },
  },
} as const satisfies Rows

export const objectiveOptionTable = {
  ...preferenceOptions,
  loss: {
    is: loss,
    flag: { name: 'loss', value: 'cosine | contrastive | output:NAME' },
    help: 'Of embedding models: cosine to a score, or contrastive within the batch (told by the rows by default); output:NAME is a loss that the model computes itself.',
    ...{ group: 'task', changes: 'entry', card: true },
  },
  pooling: {
    is: pooling,
    flag: { name: 'pooling', value: 'mean | cls | max | lasttoken | …' },
    help: "How an embedding model's states become one vector (mean, cls, max, mean_sqrt_len_tokens, weightedmean, lasttoken, or several of them side by side); what its 1_Pooling says, else mean, by default.",
    ...{ group: 'task', changes: 'entry', card: true },
  },
  promptName: {
    is: promptName,
    flag: {
      name: 'prompt-name',
      value: 'NAME | NAME,NAME',
      read: (names: readonly string[]) => (names.length === 1 ? names[0] : names),
    },
    help: "Which of an embedding model's prompts (config_sentence_transformers.json) is put before the texts, or one for each text of a pair; its default by default.",
    ...{ group: 'task', changes: 'entry', card: true },
  },
  mlmProbability: {
    is: number('be above 0 and at most 1', (value) => value > 0 && value <= 1, 0),
    flag: 'mlm-probability',
    help: 'Of mlm: chance of each token that is no special one to be hidden; 0.15 by default.',
    ...{ group: 'task', changes: 'entry', card: true },
  },
  problemType: {
    is: choice(problemTypes),
    flag: 'problem-type',
    help: "What the labels of a sequence classifier are; the model's own, else told by the first row.",
    ...{ group: 'task', changes: 'entry', card: true },
  },
} as const satisfies OptionTable<ObjectiveOptions, RunColumns>

/** @file The flags of gpt2_ft.py: names, defaults and checks; and what its README and the paper run. */
import { InvalidOptionError } from '../../errors.js'
import { abortSignal, atLeast, choice, kind, number, seed, text, toggle, whole, type Kind } from '../../util/option-kinds.js'
import { resolveOptions, type OptionTable, type Resolved } from '../../util/option-table.js'
import { schedulers } from './training-rates.js'
import type { TrainingObjective } from './training-rows.js'

/** Options of a training, by the names of gpt2_ft.py's flags. */
export interface NlgTrainingOptions {
  /** Rows to train on, as gpt2_encode.py writes them. */
  readonly train_data: string
  /** Rows to evaluate on. */
  readonly valid_data: string
  readonly train_batch_size?: number
  readonly valid_batch_size?: number
  readonly grad_acc?: number
  readonly clip?: number
  readonly seq_len?: number
  /** `gpt2.sm`, `gpt2.md`, `gpt2.lg`, or the `config.json` of another size. */
  readonly model_card?: string
  /** What the run begins with; at random without it. */
  readonly init_checkpoint?: string
  /** Of ours alone: the model, where `init_checkpoint` holds LoRA without it. */
  readonly base_checkpoint?: string
  readonly log_interval?: number
  readonly eval_interval?: number
  readonly save_interval?: number
  readonly work_dir?: string
  readonly lora_dim?: number
  readonly lora_alpha?: number
  readonly obj?: TrainingObjective
  readonly lora_dropout?: number
  readonly label_smooth?: number
  readonly lr?: number
  readonly weight_decay?: number
  readonly correct_bias?: boolean
  readonly adam_epislon?: number
  readonly no_decay_bias?: boolean
  readonly adam_beta1?: number
  readonly adam_beta2?: number
  readonly scheduler?: (typeof schedulers)[number]
  readonly max_step?: number
  readonly max_epoch?: number
  readonly warmup_step?: number
  readonly i_steps?: readonly number[]
  readonly i_lrs?: readonly number[]
  readonly random_seed?: number
  readonly platform?: 'local'
  /** Of ours alone: write into `work_dir` although an earlier run's files lie there. */
  readonly overwrite?: boolean
  /** Ends the run after the current step, with what was learned saved. */
  readonly signal?: AbortSignal
}

const share = number('be at least 0 and below 1', (value) => value >= 0 && value < 1, 0)

const steps: Kind<readonly number[], 'integers'> = kind(
  'integers',
  'be whole numbers of at least 0 that grow',
  (value) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((step, i) => Number.isSafeInteger(step) && step >= 0 && (i === 0 || step > value[i - 1])),
)

const rates: Kind<readonly number[], 'names'> = kind(
  'names',
  'be numbers of at least 0',
  (value) => Array.isArray(value) && value.length > 0 && value.every((rate) => Number.isFinite(rate) && rate >= 0),
)

/** Texts as numbers; what is none stays, and is refused by name. */
const numbersOf = (texts: readonly string[]): unknown[] =>
  texts.map((each) => (Number.isFinite(Number(each)) ? Number(each) : each))

export const nlgTrainingTable = {
  train_data: { is: text, required: true, flag: { name: 'train_data', value: 'FILE' }, help: 'Rows to train on: {"context":[ids],"completion":[ids]}, as gpt2_encode.py and lowrank paper nlg prepare write them.' }, // prettier-ignore
  valid_data: { is: text, required: true, flag: { name: 'valid_data', value: 'FILE' }, help: 'Rows to evaluate on.' },
  train_batch_size: { is: whole(1), default: 8, flag: 'train_batch_size', help: 'Rows of a micro-batch.' },
  valid_batch_size: { is: whole(1), default: 4, flag: 'valid_batch_size', help: 'Rows of a batch of evaluation.' },
  grad_acc: { is: whole(1), default: 1, flag: 'grad_acc', help: 'Micro-batches of an update; steps count micro-batches.' },
  clip: { is: atLeast(0), default: 0, flag: 'clip', help: 'Largest norm of the gradient; 0 clips nothing.' },
  seq_len: { is: whole(2), default: 512, flag: 'seq_len', help: 'Tokens that a row keeps.' },
  model_card: { is: text, flag: { name: 'model_card', value: 'CARD | DIR' }, help: 'Sizes of the model: gpt2.sm, gpt2.md or gpt2.lg, or a folder with the config.json of another GPT-2; gpt2.md, or the config.json beside the checkpoint, without it.' }, // prettier-ignore
  init_checkpoint: { is: text, flag: { name: 'init_checkpoint', value: 'FILE' }, help: "What the run begins with: transformers' pytorch_model.bin, a .pt of gpt2_ft.py or of this command, a model folder. At random without it." }, // prettier-ignore
  base_checkpoint: { is: text, flag: { name: 'base_checkpoint', value: 'FILE' }, help: 'The model itself, where `init_checkpoint` holds LoRA alone (no flag of gpt2_ft.py).' }, // prettier-ignore
  log_interval: { is: whole(1), default: 100, flag: 'log_interval', help: 'Steps between lines of the log.' },
  eval_interval: { is: whole(1), default: 2000, flag: 'eval_interval', help: 'Steps between evaluations.' },
  save_interval: { is: whole(1), default: 500, flag: 'save_interval', help: 'Steps between checkpoints, model.STEP.pt, of LoRA alone; the one at the end of each epoch holds the whole model.' }, // prettier-ignore
  work_dir: { is: text, default: 'gpt2_model', flag: { name: 'work_dir', value: 'DIR' }, help: 'Folder for the checkpoints.' },
  lora_dim: { is: whole(0), default: 0, flag: 'lora_dim', help: 'Rank of LoRA on queries and values; 0 trains the whole model.' },
  lora_alpha: { is: number('be a number', Number.isFinite), default: 128, flag: 'lora_alpha', help: 'Numerator of the scale alpha/rank.' }, // prettier-ignore
  obj: { is: choice(['clm', 'jlm']), default: 'clm', flag: 'obj', help: 'What is learned of a row: the completion (clm) or the context too (jlm).' }, // prettier-ignore
  lora_dropout: { is: share, default: 0, flag: 'lora_dropout', help: "Probability of dropping an element of LoRA's input; the model itself drops nothing." }, // prettier-ignore
  label_smooth: { is: share, default: 0, flag: 'label_smooth', help: 'Share of each label that is spread over the vocabulary.' },
  lr: { is: atLeast(0), default: 1e-5, flag: 'lr', help: 'Learning rate.' },
  weight_decay: { is: atLeast(0), default: 0.01, flag: 'weight_decay', help: 'Weight decay, after the step.' },
  correct_bias: { is: toggle, default: false, flag: 'correct_bias', help: "Correct Adam's moments for their beginning at zero." },
  adam_epislon: { is: number('be above 0', (value) => value > 0, 0), default: 1e-6, flag: 'adam_epislon', help: 'Added to the root of the second moment, before its correction (spelled as the script spells it).' }, // prettier-ignore
  no_decay_bias: { is: toggle, default: false, flag: 'no_decay_bias', help: 'Biases do not decay.' },
  adam_beta1: { is: share, default: 0.9, flag: 'adam_beta1', help: 'Decay of the first moment.' },
  adam_beta2: { is: share, default: 0.98, flag: 'adam_beta2', help: 'Decay of the second moment.' },
  scheduler: { is: choice(schedulers), default: 'linear', flag: 'scheduler', help: 'Course of the learning rate; of inv_sqrt and dev_perf the script makes none.' }, // prettier-ignore
  max_step: { is: whole(1), flag: 'max_step', help: 'Steps of the run; those of `max_epoch` without it.' },
  max_epoch: { is: whole(1), flag: 'max_epoch', help: 'Passes over the data.' },
  warmup_step: { is: whole(0), default: 0, flag: 'warmup_step', help: 'Steps in which the learning rate rises.' },
  i_steps: { is: steps, default: [0], flag: { name: 'i_steps', value: 'N,N,…', default: null }, help: 'Of scheduler cycle: steps of its points, the last one being the end of the run; 0 by default.' }, // prettier-ignore
  i_lrs: { is: rates, default: [0.00025], flag: { name: 'i_lrs', value: 'X,X,…', default: null, read: numbersOf }, help: 'Of scheduler cycle: the rates there; 0.00025 by default.' }, // prettier-ignore
  random_seed: { is: seed, default: 10, flag: 'random_seed', help: "Of the order of the rows, which is torch's own, of the first values and of dropout." }, // prettier-ignore
  platform: { is: choice(['local'], 'be "local": this is one process, on the device that --device names'), flag: 'platform', help: 'One process on this machine (local), the only one that there is.' }, // prettier-ignore
  overwrite: { is: toggle, default: false, flag: 'overwrite', help: 'Write into `work_dir` although checkpoints of an earlier run lie there (no flag of gpt2_ft.py).' }, // prettier-ignore
  signal: { effect: abortSignal },
} as const satisfies OptionTable<NlgTrainingOptions>

/** The options with gpt2_ft.py's defaults. */
export type ResolvedNlgTraining = Resolved<NlgTrainingOptions, typeof nlgTrainingTable>

/** Flags that gpt2_ft.py takes and this command does not, and why. */
export const refusedFlags = {
  roll_interval: 'gpt2_ft.py takes it and never reads it',
  roll_lr: 'gpt2_ft.py takes it and never reads it',
  roll_step: 'gpt2_ft.py takes it and never reads it',
  eval_epoch: 'gpt2_ft.py takes it and never reads it',
  fp16: 'it needs apex and a GPU of CUDA; here the numbers are float32',
  local_rank: 'this is one process',
  rank: 'this is one process',
  world_size: 'this is one process',
} as const satisfies Readonly<Record<string, string>>

/** @throws InvalidOptionError naming the option that is unknown, missing, out of range or contradicts another */
export function resolveNlgTraining(given: NlgTrainingOptions): ResolvedNlgTraining {
  const options = resolveOptions(nlgTrainingTable, given, 'paper nlg train')
  const refuse = (message: string): never => {
    throw new InvalidOptionError(message)
  }
  const { scheduler, i_steps, i_lrs, max_step, max_epoch, base_checkpoint, init_checkpoint, lora_dim } = options
  if (scheduler === 'cycle') {
    if (i_steps.length !== i_lrs.length)
      refuse(`--i_steps has ${i_steps.length} points and --i_lrs ${i_lrs.length}; give as many of both`)
    if (max_step !== undefined)
      refuse('--max_step is not read with --scheduler cycle, whose run ends at the last of --i_steps; leave it out')
  } else {
    for (const name of ['i_steps', 'i_lrs'] as const)
      if (given[name] !== undefined) refuse(`--${name} is for --scheduler cycle, but it is "${scheduler}"`)
    if (max_step === undefined && max_epoch === undefined)
      refuse('nothing says how long the run is: give --max_epoch or --max_step')
  }
  if (base_checkpoint !== undefined && init_checkpoint === undefined)
    refuse('--base_checkpoint goes with --init_checkpoint, which holds LoRA; of a model alone give --init_checkpoint')
  if (lora_dim === 0)
    for (const name of ['lora_alpha', 'lora_dropout'] as const)
      if (given[name] !== undefined) refuse(`--${name} is for LoRA, but --lora_dim is 0, which trains the whole model`)
  return options
}

/** Settings of the README's and the paper's runs that do not differ. */
const common = {
  ...{ train_batch_size: 8, grad_acc: 1, valid_batch_size: 4, seq_len: 512, clip: 0, lr: 2e-4, correct_bias: true },
  ...{ adam_beta2: 0.999, scheduler: 'linear', warmup_step: 500, max_epoch: 5, save_interval: 1000 },
  ...{ lora_dim: 4, lora_alpha: 32, random_seed: 110 },
} as const satisfies Partial<NlgTrainingOptions>

const regularized = { ...common, weight_decay: 0.01, lora_dropout: 0.1, label_smooth: 0.1 } as const
const plain = { ...common, weight_decay: 0, lora_dropout: 0, label_smooth: 0 } as const

/**
 * Runs of the paper by name. E2E on medium is the README's command; the rest is told by the paper's table 11: the same for both
 * sizes and for WebNLG, and for DART without weight decay, dropout and smoothing.
 */
export const nlgTrainingPresets = {
  'e2e-gpt2-medium-lora': { ...regularized, model_card: 'gpt2.md' },
  'e2e-gpt2-large-lora': { ...regularized, model_card: 'gpt2.lg' },
  'webnlg-gpt2-medium-lora': { ...regularized, model_card: 'gpt2.md' },
  'webnlg-gpt2-large-lora': { ...regularized, model_card: 'gpt2.lg' },
  'dart-gpt2-medium-lora': { ...plain, model_card: 'gpt2.md' },
  'dart-gpt2-large-lora': { ...plain, model_card: 'gpt2.lg' },
} as const satisfies Readonly<Record<string, Partial<NlgTrainingOptions>>>

/** The name of a preset. */
export type NlgTrainingPreset = keyof typeof nlgTrainingPresets

/** A preset's settings where they are not given; those of LoRA not where the whole model is trained. */
export function withNlgTrainingPreset(
  preset: NlgTrainingPreset | undefined,
  given: Partial<NlgTrainingOptions>,
): Partial<NlgTrainingOptions> {
  if (preset === undefined) return given
  const { lora_alpha, lora_dropout, max_epoch, ...settings } = nlgTrainingPresets[preset]
  return {
    ...settings,
    ...(given.lora_dim !== 0 && { lora_alpha, lora_dropout }),
    // A number of steps says how long a run is, too.
    ...(given.max_step === undefined && { max_epoch }),
    ...given,
  }
}

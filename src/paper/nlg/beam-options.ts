/** @file The flags of gpt2_beam.py: names, defaults and checks. */
import { InvalidOptionError } from '../../errors.js'
import { atLeast, callback, choice, kind, number, text, whole, type Kind } from '../../util/option-kinds.js'
import { resolveOptions, type OptionTable, type Resolved } from '../../util/option-table.js'
import { baseName } from '../../io/places.js'

/** Options of a prediction, by the names of gpt2_beam.py's flags. */
export interface NlgBeamOptions {
  /** Rows to predict texts for, as gpt2_encode.py writes them. */
  readonly data: string
  /** The model: a `pytorch_model.bin`, a `.pt` of gpt2_ft.py, a model folder or a PEFT folder. */
  readonly init_checkpoint: string
  /** Of ours alone: the model, where `init_checkpoint` holds LoRA without it. */
  readonly base_checkpoint?: string
  /** `gpt2.sm`, `gpt2.md`, `gpt2.lg`, or the `config.json` of another size. */
  readonly model_card?: string
  /** Rank of LoRA; 0 by default, which is none. */
  readonly lora_dim?: number
  /** Numerator of the scale alpha/rank; 128 by default. */
  readonly lora_alpha?: number
  /** Contexts that are continued together, 10 by default; it changes speed and memory alone. */
  readonly batch_size?: number
  /** Most tokens of a context and its text; 512 by default. */
  readonly seq_len?: number
  /** Most tokens of a text; 256 by default. */
  readonly eval_len?: number
  /** Tokens before one may end the text; 0 by default. */
  readonly min_length?: number
  /** Beams; 1 by default. */
  readonly beam?: number
  /** A text counts with log p / length^length_penalty; 1 by default. */
  readonly length_penalty?: number
  /** No n-gram of this many tokens comes twice in a text; 4 by default, and 0 allows all. */
  readonly no_repeat_ngram_size?: number
  /** Above 1 makes tokens less likely that the text has; 1 by default. */
  readonly repetition_penalty?: number
  /** Tokens that end a text, beside 50256. */
  readonly eos_token_id?: readonly number[]
  /** Folder of the predictions; gpt2_model by default. */
  readonly work_dir?: string
  /** Name of their file; beam_prediction.jsonl by default. */
  readonly output_file?: string
  /** Whose processes run; local by default, which is this one. */
  readonly platform?: 'local'
  /** Told how many contexts have been continued, of how many. */
  readonly onProgress?: (done: number, total: number) => void
}

const ids: Kind<readonly number[], 'integers'> = kind(
  'integers',
  'be a list of token ids',
  (value) => Array.isArray(value) && value.every((id) => Number.isInteger(id) && (id as number) >= 0),
)

export const nlgBeamTable = {
  data: { is: text, required: true, flag: { name: 'data', value: 'FILE' }, help: 'Rows of tokens, as gpt2_encode.py or lowrank paper nlg prepare writes them.' }, // prettier-ignore
  init_checkpoint: { is: text, required: true, flag: { name: 'init_checkpoint', value: 'FILE' }, help: "The model: transformers' pytorch_model.bin, a .pt of gpt2_ft.py or of lowrank paper nlg train, a model folder, or a PEFT folder." }, // prettier-ignore
  base_checkpoint: { is: text, flag: { name: 'base_checkpoint', value: 'FILE' }, help: 'The model itself, where `init_checkpoint` holds LoRA alone (no flag of gpt2_beam.py).' }, // prettier-ignore
  model_card: { is: text, flag: { name: 'model_card', value: 'CARD|DIR' }, help: 'Sizes of the model: gpt2.sm, gpt2.md or gpt2.lg, or a folder with the config.json of another GPT-2; the config.json beside the checkpoint, or else gpt2.sm, without it.' }, // prettier-ignore
  lora_dim: { is: whole(0), default: 0, flag: 'lora_dim', help: 'Rank of the LoRA in the checkpoint; 0 is a model without.' },
  lora_alpha: { is: number('be a number', Number.isFinite), default: 128, flag: { name: 'lora_alpha', default: null }, help: 'Numerator of the scale alpha/rank that it was trained with. 128 unless given.' }, // prettier-ignore
  batch_size: { is: whole(1), default: 10, flag: 'batch_size', help: 'Contexts that are continued together; it changes speed and memory, not the texts.' }, // prettier-ignore
  seq_len: { is: whole(2), default: 512, flag: 'seq_len', help: 'Most tokens of a context and its text; of longer contexts the last ones are read.' }, // prettier-ignore
  eval_len: { is: whole(1), default: 256, flag: 'eval_len', help: 'Most tokens of a text.' },
  min_length: { is: whole(0), default: 0, flag: 'min_length', help: 'Tokens before one may end the text.' },
  beam: { is: whole(1), default: 1, flag: 'beam', help: 'Beams.' },
  length_penalty: { is: number('be a finite number', Number.isFinite), default: 1, flag: 'length_penalty', help: 'Above 0 favours longer texts.' }, // prettier-ignore
  no_repeat_ngram_size: { is: whole(0), default: 4, flag: 'no_repeat_ngram_size', help: 'No N tokens in a row come twice in a text; 0 allows all.' }, // prettier-ignore
  repetition_penalty: { is: atLeast(Number.MIN_VALUE), default: 1, flag: 'repetition_penalty', help: 'Above 1 makes tokens less likely that the text has.' }, // prettier-ignore
  eos_token_id: { is: ids, default: [], flag: { name: 'eos_token_id', value: 'ID,…' }, help: 'Tokens that end a text, beside 50256 (<|endoftext|>).' }, // prettier-ignore
  work_dir: { is: text, default: 'gpt2_model', flag: { name: 'work_dir', value: 'DIR' }, help: 'Folder of the predictions.' },
  output_file: { is: text, default: 'beam_prediction.jsonl', flag: { name: 'output_file', value: 'NAME' }, help: 'Name of their file in it.' }, // prettier-ignore
  platform: { is: choice(['local'], 'be "local": this is one process'), default: 'local', flag: { name: 'platform', default: null }, help: "The original's way to start processes; here there is one." }, // prettier-ignore
  onProgress: { effect: callback },
} as const satisfies OptionTable<NlgBeamOptions>

/** The options with their defaults. */
export type ResolvedNlgBeam = Resolved<NlgBeamOptions, typeof nlgBeamTable>

/** @throws InvalidOptionError naming the option that is unknown, missing, out of range or contradicts another */
export function resolveNlgBeam(given: NlgBeamOptions): ResolvedNlgBeam {
  const options = resolveOptions(nlgBeamTable, given, 'paper nlg beam')
  const { eval_len, seq_len, min_length, lora_dim, output_file } = options
  if (eval_len >= seq_len)
    throw new InvalidOptionError(
      `--eval_len (${eval_len}) must be below --seq_len (${seq_len}): what is left of it are the tokens of the context`,
    )
  if (min_length > eval_len) throw new InvalidOptionError(`--min_length (${min_length}) must be at most --eval_len (${eval_len})`)
  if (lora_dim === 0 && given.lora_alpha !== undefined)
    throw new InvalidOptionError('--lora_alpha is for LoRA, but --lora_dim is 0, which is a model without')
  if (output_file === '' || baseName(output_file) !== output_file)
    throw new InvalidOptionError(`--output_file is the name of a file in --work_dir, got "${output_file}"`)
  return options
}

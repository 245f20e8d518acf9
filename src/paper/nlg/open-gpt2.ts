/**
 * @file The model that the scripts of microsoft/LoRA's examples/NLG run: GPT-2 from transformers' files, from what gpt2_ft.py
 * saves, or from folders, with LoRA on queries and values.
 */
import { adapterFromFile } from '../../adapter/adapter-from-file.js'
import { loadAdapter, type Adapter } from '../../adapter/adapter.js'
import type { Environment } from '../../environment.js'
import { InvalidAdapterError, InvalidModelError, InvalidOptionError } from '../../errors.js'
import { fromLoralib } from '../../formats/loralib-format.js'
import { CONFIG_FILE } from '../../formats/peft.js'
import type { HostTensor } from '../../graph/types.js'
import { FolderModel } from '../../model/folder-model.js'
import type { ConfigReader } from '../../models/config-reader.js'
import { readGpt2Checkpoint, TOKENS } from './gpt2-checkpoint.js'
import { findConfig, isCard, modelCards, type ModelCard } from './model-cards.js'

/** Which slices of `c_attn` (queries, keys, values) the scripts adapt. */
export const enableLora: readonly boolean[] = [true, false, true]

/** What the flags of gpt2_ft.py and gpt2_beam.py say of the model. */
export interface Gpt2Source {
  /**
   * `--init_checkpoint`: a `pytorch_model.bin` or `.safetensors` file, a `.pt` of gpt2_ft.py or of ours, a model folder, or a
   * PEFT folder.
   */
  readonly checkpoint: string
  /** `--base_checkpoint`, of ours alone: the weights of the model, where `checkpoint` holds LoRA without them. */
  readonly base?: string | undefined
  /** `--model_card`: `gpt2.sm`, `gpt2.md`, `gpt2.lg`, or a `config.json`; one beside the weights, or else `card`, without it. */
  readonly modelCard?: string | undefined
  /** The card that the script takes where none is given. */
  readonly card: ModelCard
  /** `--lora_dim`, the rank; 0 is a model without LoRA. */
  readonly loraDim: number
  /** `--lora_alpha`, numerator of the scale alpha/rank. */
  readonly loraAlpha: number
}

/** A model of the scripts. */
export interface OpenGpt2 {
  /** The model itself, without LoRA. */
  readonly model: FolderModel
  /**
   * The LoRA of the checkpoint as loralib holds it: `transformer.h.N.attn.c_attn.lora_A` [2·rank, hidden] and `….lora_B`
   * [2·hidden, rank], of queries and values; empty where it holds none, and of a PEFT folder.
   */
  readonly lora: ReadonlyMap<string, HostTensor>
  /** The same for whatever runs adapters, as PEFT has it (one LoRA of twice the rank and alpha); undefined where there is none. */
  readonly adapter: Adapter | undefined
}

/** @throws InvalidOptionError where rank and checkpoint do not say the same */
function checkRank(lora: ReadonlyMap<string, HostTensor>, { checkpoint, loraDim }: Gpt2Source): void {
  const rank = [...lora].find(([name]) => name.endsWith('.lora_B'))?.[1].shape[1]
  if (rank === undefined || rank === loraDim) return
  throw new InvalidOptionError(
    loraDim === 0
      ? `${checkpoint} holds LoRA of rank ${rank}: give --lora_dim ${rank} and the --lora_alpha that it was trained with, or a checkpoint without LoRA`
      : `${checkpoint} holds LoRA of rank ${rank}, but --lora_dim is ${loraDim}; give --lora_dim ${rank}`,
  )
}

/** @throws InvalidModelError where no weights of the model itself are found */
function checkHasModel(weights: ReadonlyMap<string, unknown>, { checkpoint, base }: Gpt2Source): void {
  if (weights.size > 0) return
  throw new InvalidModelError(
    base === undefined
      ? `${checkpoint} holds LoRA alone, as gpt2_ft.py saves it every --save_interval steps; name the model that it was trained on with --base_checkpoint ` +
          '(pytorch_model.bin, or its folder), or give the checkpoint of the end of an epoch, which holds both'
      : `${base} holds no weights of a model`,
  )
}

/** @throws InvalidOptionError where a card is of another size than the weights: the flag's, a preset's, or the script's default */
function checkWidth(
  config: ConfigReader,
  weights: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  path: string,
): void {
  const width = weights.get(TOKENS)?.shape[1]
  if (!isCard(config.source) || width === undefined || width === config.integer('n_embd')) return
  throw new InvalidOptionError(
    `--model_card ${config.source} is ${config.integer('n_embd')} wide, but ${path} is ${width} wide; ` +
      `give the card of this model with --model_card: ${modelCards.join(', ')}, or the folder of its config.json`,
  )
}

async function openPeft(environment: Environment, source: Gpt2Source): Promise<OpenGpt2> {
  const { checkpoint, base, loraDim } = source
  if (base === undefined)
    throw new InvalidAdapterError(
      `${checkpoint} holds an adapter alone; name the model that it was trained on with --base_checkpoint (pytorch_model.bin, or its folder)`,
    )
  if (loraDim !== 0)
    throw new InvalidOptionError(
      `${checkpoint} is a PEFT folder, whose ${CONFIG_FILE} tells rank and alpha; leave out --lora_dim and --lora_alpha`,
    )
  const { model } = await openGpt2(environment, { ...source, checkpoint: base, base: undefined })
  return { model, lora: new Map(), adapter: await loadAdapter(model, checkpoint) }
}

/**
 * Opens the model of a run. Weights of `checkpoint` go before those of `base`. Names are checked strictly, which the scripts
 * leave out: what they would start at random is missing here, and refused.
 *
 * Training goes on from `lora` where it is not empty and starts anew where it is; decoding runs `adapter ?? model`.
 * @throws InvalidModelError for a damaged file, or a tensor that is missing, unexpected or of another shape than the sizes say
 * @throws InvalidAdapterError for LoRA that does not fit the model
 * @throws InvalidOptionError for a `--model_card` that is none, a rank that the checkpoint does not have
 * @example
 * const { model, adapter } = await openGpt2(environment, {
 *   checkpoint: 'trained_models/GPT2_M/e2e/model.26290.pt', modelCard: 'gpt2.md', card: 'gpt2.sm', loraDim: 4, loraAlpha: 32,
 * })
 */
export async function openGpt2(environment: Environment, source: Gpt2Source): Promise<OpenGpt2> {
  const { files } = environment
  const { checkpoint, base, modelCard, card, loraAlpha } = source
  for (const path of [checkpoint, ...(base === undefined ? [] : [base])])
    if (!(await files.exists(path))) throw new InvalidModelError(`checkpoint "${path}" does not exist`)
  if (await files.exists(`${checkpoint}/${CONFIG_FILE}`)) return openPeft(environment, source)
  const places = base === undefined ? [checkpoint] : [base, checkpoint]
  const config = await findConfig(files, modelCard, places, card)
  const own = await readGpt2Checkpoint(files, checkpoint)
  const others = base === undefined ? undefined : await readGpt2Checkpoint(files, base)
  const weights = new Map([...(others?.weights ?? []), ...own.weights])
  checkHasModel(weights, source)
  checkRank(own.lora, source)
  checkWidth(config, weights, places[0]!)
  const model = FolderModel.fromWeights(environment, config, weights, { path: places[0]! })
  const { lora } = own
  if (lora.size === 0) return { model, lora, adapter: undefined }
  const file = fromLoralib(lora, { alpha: loraAlpha, enableLora, baseModel: places[0]!, taskType: 'CAUSAL_LM' }, checkpoint)
  return { model, lora, adapter: adapterFromFile(model, file, checkpoint) }
}

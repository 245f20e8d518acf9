/**
 * @file A checkpoint of GPT-2 as microsoft/LoRA's examples/NLG reads and writes it: transformers' `pytorch_model.bin`, and what
 * gpt2_ft.py saves: `{'model_state_dict': …}` with the names of DistributedDataParallel, of LoRA alone or of the whole model.
 */
import { InvalidModelError } from '../../errors.js'
import { openCheckpoint } from '../../formats/checkpoint.js'
import { loadTensor, readSafetensorsHeader } from '../../formats/safetensors.js'
import { inPlace, loadTorchTensor, namedTensors, openTorch } from '../../formats/torch/index.js'
import type { HostTensor, Initializer } from '../../graph/types.js'
import type { Files } from '../../io/files.js'

/** The tensors of a checkpoint, by the names that transformers' `GPT2LMHeadModel` gives them. */
export interface Gpt2Checkpoint {
  /** Weights of the model itself, `transformer.h.0.attn.c_attn.weight`: all, some or none of them. */
  readonly weights: ReadonlyMap<string, Initializer>
  /** `transformer.h.0.attn.c_attn.lora_A` [2·rank, hidden] and `….lora_B` [2·hidden, rank], in memory; none where nothing was adapted. */
  readonly lora: ReadonlyMap<string, HostTensor>
}

const BODY = 'transformer.'

/** The embedding of tokens [vocabulary, width], which is the head too. */
export const TOKENS = `${BODY}wte.weight`

/** Masks that were buffers, and the head, which is the embedding of tokens once more. */
const NO_WEIGHT = /(^|\.)attn\.(bias|masked_bias)$|^lm_head\.decoder\.weight$/

/** Endings of OpenAI's own names, which the original scripts read too. */
const formerEndings = { g: 'weight', b: 'bias', w: 'weight' } as const

/** The name of a tensor in `GPT2LMHeadModel`, undefined for what is no weight. */
function nameInModel(stored: string): string | undefined {
  const name = stored
    .replace(/^module\./, '')
    .replace(/\.([gbw])$/, (_, end: keyof typeof formerEndings) => `.${formerEndings[end]}`)
  if (NO_WEIGHT.test(name)) return undefined
  return name.startsWith(BODY) || name.startsWith('lm_head.') ? name : BODY + name
}

/** The tensors of a torch file: where they lie, those that can be used there; `MergedLinear`'s weight is stored transposed and cannot. */
async function torchTensors(files: Files, path: string): Promise<Map<string, Initializer>> {
  const file = await openTorch(files, path)
  const tensors = new Map<string, Initializer>()
  for (const [name, tensor] of namedTensors(file).tensors)
    if (nameInModel(name) !== undefined) tensors.set(name, inPlace(file, tensor) ?? (await loadTorchTensor(files, file, tensor)))
  return tensors
}

async function storedTensors(files: Files, path: string): Promise<ReadonlyMap<string, Initializer>> {
  if (await files.isDirectory(path)) return (await openCheckpoint(files, path)).weights
  return path.endsWith('.safetensors') ? (await readSafetensorsHeader(files, path)).tensors : torchTensors(files, path)
}

/**
 * Reads a checkpoint: a model folder, a `.safetensors` file, or any other file as one of torch.
 * @throws InvalidModelError if it is damaged or two of its tensors are the same weight
 */
export async function readGpt2Checkpoint(files: Files, path: string): Promise<Gpt2Checkpoint> {
  const weights = new Map<string, Initializer>()
  const lora = new Map<string, HostTensor>()
  for (const [stored, tensor] of await storedTensors(files, path)) {
    const name = nameInModel(stored)
    if (name === undefined) continue
    if (weights.has(name) || lora.has(name)) throw new InvalidModelError(`${path}: "${stored}" is stored twice, by two names`)
    if (/\.lora_[AB]$/.test(name)) lora.set(name, await loadTensor(files, tensor))
    else weights.set(name, tensor)
  }
  return { weights, lora }
}

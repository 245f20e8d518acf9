/** @file The sizes of GPT-2 that microsoft/LoRA's examples/NLG names, and where the sizes of another one are read. */
import { InvalidModelError, InvalidOptionError } from '../../errors.js'
import type { Files } from '../../io/files.js'
import { folderOf } from '../../io/places.js'
import { ConfigReader, type Json } from '../../models/config-reader.js'
import { readJsonObject } from '../../util/json.js'

/** Layers, heads and width by `--model_card` (`GPT2Config` in gpt2_ft.py and gpt2_beam.py). */
const sizes = {
  'gpt2.sm': { n_embd: 768, n_layer: 12, n_head: 12 },
  'gpt2.md': { n_embd: 1024, n_layer: 24, n_head: 16 },
  'gpt2.lg': { n_embd: 1280, n_layer: 36, n_head: 20 },
} as const

/** A name that `--model_card` takes. */
export type ModelCard = keyof typeof sizes

/** The names in the order of their sizes. */
export const modelCards = Object.keys(sizes) as readonly ModelCard[]

/** The token that begins and ends texts (`<|endoftext|>`). */
export const END_OF_TEXT = 50256

/** Whether a name is that of a card. */
export const isCard = (name: string): name is ModelCard => Object.hasOwn(sizes, name)

/** The `config.json` of a GPT-2 of these sizes, as transformers has it. */
export const cardConfig = (card: ModelCard): ConfigReader =>
  new ConfigReader(
    {
      model_type: 'gpt2',
      architectures: ['GPT2LMHeadModel'],
      vocab_size: 50257,
      n_positions: 1024,
      ...sizes[card],
      layer_norm_epsilon: 1e-5,
      activation_function: 'gelu_new',
      bos_token_id: END_OF_TEXT,
      eos_token_id: END_OF_TEXT,
    },
    card,
  )

async function readConfig(files: Files, path: string): Promise<ConfigReader> {
  const config = new ConfigReader((await readJsonObject(files, path, InvalidModelError)) as Record<string, Json>, path)
  if (config.string('model_type') !== 'gpt2')
    throw new InvalidModelError(`${path} is of a "${config.string('model_type')}"; the scripts of examples/NLG run a GPT-2 alone`)
  return config
}

/**
 * The sizes of the model.
 * @param given `--model_card`: one of {@link modelCards}, a `config.json`, or the folder of one
 * @param checkpoints where a `config.json` may lie beside the weights, which counts where no card is given
 * @param fallback the card that the original script takes where none is given
 * @throws InvalidOptionError for a card that is none; InvalidModelError for a `config.json` of another family
 */
export async function findConfig(
  files: Files,
  given: string | undefined,
  checkpoints: readonly string[],
  fallback: ModelCard,
): Promise<ConfigReader> {
  if (given !== undefined) {
    if (isCard(given)) return cardConfig(given)
    const path = (await files.isDirectory(given)) ? `${given}/config.json` : given
    if (await files.exists(path)) return readConfig(files, path)
    throw new InvalidOptionError(
      `--model_card is one of ${modelCards.join(', ')}, or the config.json of a GPT-2 of other sizes; "${given}" is neither`,
    )
  }
  for (const checkpoint of checkpoints) {
    const path = `${(await files.isDirectory(checkpoint)) ? checkpoint : folderOf(checkpoint)}/config.json`
    if (await files.exists(path)) return readConfig(files, path)
  }
  return cardConfig(fallback)
}

/**
 * @file generation_config.json: where generation ends, of a model's folder and of an adapter's.
 *
 * An adapter that was trained on turns learns the end that the chat template writes. Where the base does not stop there
 * (a base model whose eos is `<|endoftext|>`, with a ChatML template), the adapter's folder says so in a
 * generation_config.json of its own, which transformers reads with `GenerationConfig.from_pretrained(folder)`.
 */
import { InvalidAdapterError, InvalidModelError } from '../errors.js'
import type { Files } from '../io/files.js'
import { FolderModel } from './folder-model.js'
import type { Model } from './model.js'
import { readJsonObject } from '../util/json.js'

type Json = Readonly<Record<string, unknown>>

const idsOf = (value: unknown): number[] =>
  (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isInteger(id))

/** A folder's generation_config.json; undefined if it has none. @throws what `Refusal` makes of a damaged one */
async function readGenerationConfig(
  files: Files,
  folder: string,
  Refusal: typeof InvalidModelError | typeof InvalidAdapterError,
): Promise<Json | undefined> {
  const file = `${folder}/generation_config.json`
  return (await files.exists(file)) ? readJsonObject(files, file, Refusal) : undefined
}

const ofModel = (files: Files, folder: string): Promise<Json | undefined> =>
  readGenerationConfig(files, folder, InvalidModelError)

/** End tokens that generation_config.json or else config.json names. */
export async function configuredEnds(model: Model): Promise<number[]> {
  const { path, environment } = model
  const named = idsOf((await ofModel(environment.files, path))?.['eos_token_id'])
  return named.length > 0 || !(model instanceof FolderModel) ? named : idsOf(model.config.json['eos_token_id'])
}

/** Tokens at which an adapter's own folder says that generation ends; none where it says nothing. */
export async function readAdapterEnds(files: Files, folder: string): Promise<readonly number[]> {
  return idsOf((await readGenerationConfig(files, folder, InvalidAdapterError))?.['eos_token_id']).filter((id) => id >= 0)
}

/**
 * generation_config.json of a folder that ends texts with more tokens than the model, as a file by its name; nothing where
 * there are no such tokens.
 * @param ends to be added to the model's
 */
export async function endsFile(model: Model, ends: readonly number[]): Promise<ReadonlyMap<string, Uint8Array>> {
  if (ends.length === 0) return new Map()
  const tokenizer = await model.tokenizer()
  const { files } = model.environment
  // transformers would make a file that says it comes from config.json anew, without these tokens.
  const { _from_model_config: _, ...own } = (await ofModel(files, tokenizer?.folder ?? model.path)) ?? {}
  const known = tokenizer?.modelEosTokenIds ?? (await configuredEnds(model))
  const text = `${JSON.stringify({ ...own, eos_token_id: [...new Set([...known, ...ends])] }, null, 2)}\n`
  return new Map([['generation_config.json', new TextEncoder().encode(text)]])
}

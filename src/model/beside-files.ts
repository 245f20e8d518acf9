/** @file Files that what an adapter makes of a model has beside it, in place of the model's own. */
import { InvalidAdapterError } from '../errors.js'
import { CONFIG_FILE } from '../formats/peft.js'
import { tokenizerFilesOf } from '../formats/tokenizer-files.js'
import { homesOf, placeOutside } from '../io/places.js'
import { FolderModel } from './folder-model.js'
import { endsFile } from './generation-config.js'
import type { Model } from './model.js'

/**
 * The tokenizer that an adapter brought with a larger vocabulary, by the paths of its files: the model's own lacks its tokens.
 * @throws InvalidAdapterError naming a file that is a link to somewhere else
 */
async function broughtTokenizer(model: Model): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  const folder = model instanceof FolderModel && model.brought !== undefined ? (await model.tokenizer())?.folder : undefined
  const { files } = model.environment
  if (folder === undefined || folder === model.path || !(await files.exists(`${folder}/${CONFIG_FILE}`))) return found
  const homes = await homesOf(files, folder, `${folder}/${CONFIG_FILE}`)
  for (const name of await tokenizerFilesOf(files, folder)) {
    const path = `${folder}/${name}`
    const real = await placeOutside(files, homes, path)
    if (real !== undefined)
      throw new InvalidAdapterError(
        `"${path}" is a link to "${real}", outside the adapter's folder, and would be copied; put the file itself in its place`,
      )
    found.set(name, await files.read(path))
  }
  return found
}

/**
 * Files by their paths: the tokenizer that an adapter brought, and generation_config.json where it ends texts with more tokens
 * than the model.
 * @param ends to be added to the model's
 */
export const besideFiles = async (model: Model, ends: readonly number[]): Promise<ReadonlyMap<string, Uint8Array>> =>
  new Map([...(await broughtTokenizer(model)), ...(await endsFile(model, ends))])

/** @file Where results are written: by one at a time, never into the base model, and never unasked over something finished. */
import { checkAdapterFolderName, CONFIG_FILE, HEAD_FILE, TENSORS_FILE, TORCH_TENSORS_FILE } from '../formats/peft.js'
import { InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import { whileFileLocked, whileLocked } from '../io/folder-lock.js'
import { folderOf } from '../io/places.js'

/** Tensors of mlx-lm's adapters, which have a configuration of PEFT's name beside them. */
const MLX_TENSORS_FILE = 'adapters.safetensors'
/** The configuration first: what has none is no adapter. */
const ADAPTER_FILES: readonly string[] = [CONFIG_FILE, TENSORS_FILE, TORCH_TENSORS_FILE, MLX_TENSORS_FILE]
/** Weights of a model, whoever wrote it. */
const WEIGHTS = /^(model|pytorch_model|tf_model|flax_model|consolidated)[\w.-]*\.(safetensors|bin|pth|h5|msgpack)$|\.(onnx|gguf)$/

const MODEL_CONFIG = 'config.json'

const CHECKPOINT = /^checkpoint-(\d+)$/

/** Steps of the checkpoints in a folder, oldest first. A folder that was being written has another name. */
export async function listCheckpoints(files: Files, out: string): Promise<number[]> {
  const steps = (await namesIn(files, out)).flatMap((name) => CHECKPOINT.exec(name)?.[1] ?? []).map(Number)
  return steps.sort((a, b) => a - b)
}

export const checkpointName = (step: number): string => `checkpoint-${step}`

const namesIn = async (files: Files, folder: string): Promise<readonly string[]> =>
  (await files.isDirectory(folder)) ? files.list(folder) : []

/** @throws InvalidOptionError if it is the folder of the base model, which nothing may change */
export async function refuseBase(files: Files, out: string, model: { readonly path: string }): Promise<void> {
  const [target, source] = [await files.realPath(out), await files.realPath(model.path)]
  if (target === source || (model.path.endsWith('.onnx') && target === (await files.realPath(folderOf(model.path)))))
    throw new InvalidOptionError(`"${out}" is the folder of the base model, which is never changed; choose another output folder`)
}

/**
 * Refuses a folder that holds what must not be lost: checkpoints, an adapter, a model.
 * @param resume whether checkpoints are wanted: then they are not there
 */
export async function refuseFinished(files: Files, out: string, resume?: boolean): Promise<void> {
  const names = await namesIn(files, out)
  const instead = 'or replace it with overwrite (--overwrite)'
  const checkpoints = await listCheckpoints(files, out)
  // A fresh run must not mix its checkpoints with those of another: rotation would remove the wrong ones.
  if (checkpoints.length > 0)
    throw new InvalidOptionError(
      `"${out}" holds checkpoints of an earlier run (${checkpoints.map(checkpointName).join(', ')}). ` +
        (resume === undefined
          ? 'Choose another output folder, or write into it all the same with overwrite (--overwrite).'
          : `Continue it with resume (--resume), remove them, choose another output folder, ${instead}.`),
    )
  const adapter = names.filter((name) => ADAPTER_FILES.includes(name))
  if (adapter.length > 0)
    throw new InvalidOptionError(
      `"${out}" holds a finished adapter (${adapter.join(', ')})${resume === true ? ' and no checkpoint to continue from' : ''}. Choose another output folder, ${instead}.`,
    )
  const weights = names.filter((name) => WEIGHTS.test(name))
  // Of an export the weights lie in a folder below.
  if (names.includes(MODEL_CONFIG) && (await files.readText(`${out}/${MODEL_CONFIG}`)).includes('"model_type"'))
    weights.unshift(MODEL_CONFIG)
  if (weights.length > 0)
    throw new InvalidOptionError(
      `"${out}" is the folder of a model (${weights.slice(0, 3).join(', ')}). Choose another output folder, or write into it all the same with overwrite (--overwrite).`,
    )
}

/** Removes the adapter that a folder holds, of whatever format, and what was written beside it. */
export async function removeAdapter(files: Files, folder: string): Promise<void> {
  const names = await namesIn(files, folder)
  // Files that a model has too are an earlier adapter's only where there is no model.
  const besides = names.some((name) => WEIGHTS.test(name)) ? [] : [HEAD_FILE, 'generation_config.json']
  for (const name of [...ADAPTER_FILES, ...(names.includes(CONFIG_FILE) ? besides : [])])
    if (names.includes(name)) await files.remove(`${folder}/${name}`)
}

/** Where something is written, and whether what is there may go. */
export interface Place {
  readonly out: string
  readonly overwrite: boolean
  /** The model whose folder it must not be. */
  readonly base?: { readonly path: string } | undefined
}

/**
 * Does what writes an adapter into a folder, while that is this call's alone.
 * @param task is given what removes the adapter that was there: once the new one is known, and not if it cannot be made
 * @throws InvalidOptionError before the task begins, if the folder holds what must not be lost and `overwrite` is not said
 * @throws FileError if another run writes there
 */
export async function whileInFolder<T>(files: Files, place: Place, task: (clear: () => Promise<void>) => Promise<T>): Promise<T> {
  const { out, overwrite, base } = place
  if (base !== undefined) await refuseBase(files, out, base)
  await checkAdapterFolderName(files, out)
  return whileLocked(files, out, async () => {
    if (!overwrite) await refuseFinished(files, out)
    return task(() => removeAdapter(files, out))
  })
}

/** @throws InvalidOptionError naming the first of the files that is there */
export async function refuseFiles(files: Files, paths: readonly string[]): Promise<void> {
  for (const path of paths)
    if (await files.exists(path))
      throw new InvalidOptionError(`"${path}" is there already. Choose another name, or replace it with overwrite (--overwrite).`)
}

/**
 * Does what writes a file, while its name is this call's alone.
 * @throws InvalidOptionError before the task begins, if it is there and `overwrite` is not said
 * @throws FileError if another run writes it
 */
export async function whileAtFile<T>(files: Files, { out, overwrite }: Place, task: () => Promise<T>): Promise<T> {
  return whileFileLocked(files, out, async () => {
    if (!overwrite) await refuseFiles(files, [out])
    return task()
  })
}

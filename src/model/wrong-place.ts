/** @file What a path holds that was named as something else, and what to do with it: one sentence each. */
import { InvalidAdapterError, InvalidModelError } from '../errors.js'
import { adapterFormats } from '../formats/adapter-formats.js'
import { CONFIG_FILE } from '../formats/peft.js'
import type { Files } from '../io/files.js'
import { parseJson } from '../util/json.js'

/** The adapter format that a path is of, if it is one. */
async function adapterFormatOf(files: Files, path: string): Promise<(typeof adapterFormats)[number] | undefined> {
  for (const format of adapterFormats) if (await format.holds(files, path)) return format
  return undefined
}

/** `"base"`, as an adapter's configuration names it. */
async function baseNamed(files: Files, path: string): Promise<string | undefined> {
  try {
    const json = parseJson(await files.readText(`${path}/${CONFIG_FILE}`)) as { base_model_name_or_path?: unknown } | null
    const base = json?.base_model_name_or_path
    return typeof base === 'string' && base !== '' ? base : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Why a path, named as a model, is none. */
export async function notAModel(files: Files, path: string): Promise<InvalidModelError> {
  const wrong = (what: string): InvalidModelError => new InvalidModelError(`"${path}" ${what}`)
  if (!(await files.exists(path)))
    return wrong('does not exist; expected a model folder (config.json and weights) or an .onnx file')
  if (await files.exists(`${path}/${CONFIG_FILE}`)) {
    const base = await baseNamed(files, path)
    return wrong(
      `is an adapter (it holds ${CONFIG_FILE}), not a model; name the model that it was trained on${base === undefined ? '' : ` ("${base}")`} as the model, and this folder as the adapter`,
    )
  }
  if (await files.isDirectory(path))
    return wrong('holds no config.json; expected a Hugging Face model folder (config.json and model.safetensors)')
  const format = await adapterFormatOf(files, path)
  if (format !== undefined)
    return wrong(
      `is an adapter (${format.description}), not a model; name the model that it was trained on as the model, and give it the adapter converted to PEFT's folder (lowrank convert, or convert() of the library)`,
    )
  if (path.endsWith('.gguf'))
    return wrong('is a model of llama.cpp, which cannot be trained; name the folder or hub id that it was converted from')
  return wrong('is a file; expected a model folder (config.json and weights, name the folder itself) or an .onnx file')
}

/**
 * Makes sure that a path, named as an adapter, is a folder of PEFT.
 * @throws InvalidAdapterError saying what it is instead
 */
export async function checkIsPeftFolder(files: Files, path: string): Promise<void> {
  const isFolder = await files.isDirectory(path)
  if (isFolder && (await files.exists(`${path}/${CONFIG_FILE}`))) {
    const format = await adapterFormatOf(files, path)
    if (format === undefined || format.name.startsWith('peft')) return
    throw foreign(path, format.description)
  }
  if (!isFolder && !(await files.exists(path))) return
  const format = await adapterFormatOf(files, path)
  if (format !== undefined) throw foreign(path, format.description)
  if (isFolder && (await files.exists(`${path}/config.json`)))
    throw new InvalidAdapterError(
      `"${path}" is a model (it holds config.json), not an adapter; name it as the model, or name the folder that holds ${CONFIG_FILE}`,
    )
  const folder = path.replace(/[/\\]?[^/\\]*$/, '') || '.'
  if (!isFolder && (await files.exists(`${folder}/${CONFIG_FILE}`)))
    throw new InvalidAdapterError(`"${path}" is a file of an adapter's folder; name the folder itself ("${folder}")`)
  if (!isFolder)
    throw new InvalidAdapterError(
      `"${path}" is a file and no adapter that is known; expected a PEFT folder (${CONFIG_FILE} and adapter_model.safetensors)`,
    )
}

const foreign = (path: string, description: string): InvalidAdapterError =>
  new InvalidAdapterError(
    `"${path}" is ${description}; convert it to PEFT's folder first (lowrank convert, or convert() of the library), and name that as the adapter`,
  )

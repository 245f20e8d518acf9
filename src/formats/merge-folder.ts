/** @file The folder of a merged model: which folder may be written, and which files of the source come along. */
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import { isTransient } from '../io/folder-lock.js'
import { checkIsFolderName, homesOf, placeOutside } from '../io/places.js'
import { moduleFolders } from './sentence-folder.js'
import { isNamedTemplate, isTokenizerFile, TEMPLATE_FOLDER, TOKENIZER_FILE } from './tokenizer-files.js'
import { parseJson } from '../util/json.js'

/** Says that a folder was written by a merge or an export, and may be written again. */
const MARKER = 'lowrank_merge.json'

/** What is written last: where it is, the model is finished. */
const LAST = /^config\.json$|\.onnx$/

/** Files that hold weights in any format, or lists of them. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|ot|gguf|onnx|onnx_data|data|npz)$|\.index(\.\w+)?\.json$/

/** Tokenizers and templates are smaller by far; what is larger is no part of a model's description. */
const LARGEST_COPY = 256 << 20

const readMarker = async (files: Files, out: string): Promise<string[] | undefined> => {
  if (!(await files.exists(`${out}/${MARKER}`))) return undefined
  try {
    const { files: names } = parseJson(await files.readText(`${out}/${MARKER}`)) as { files?: unknown }
    // Only plain names: the marker decides what is removed.
    return Array.isArray(names) && names.every((n) => typeof n === 'string' && !n.startsWith('.') && !/[/\\]/.test(n))
      ? names
      : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** What an adapter or a training run left in the folder of its base: none of it is true of another model. */
const OF_A_RUN =
  /^(adapter_(config|model)\b.*|head_config\.json|training_state\.json|trainer_state\.json|log\.jsonl|run\.json|report\.html|.*\.(tmp|lock|incomplete))$/

/** Files that are written beside a model in the place of the source's, by their paths in the folder. */
export type Beside = ReadonlyMap<string, Uint8Array>

/** Whether a file of the source gives way: to one of its path, or, of a tokenizer, to another tokenizer as a whole. */
const givesWay = (path: string, more: Beside): boolean => more.has(path) || (more.has(TOKENIZER_FILE) && isTokenizerFile(path))

/** A file or a folder to copy, with the files in it. */
interface Entry {
  readonly name: string
  /** Paths in the source; one equal to the name where the entry is a file. */
  readonly paths: readonly string[]
}

/**
 * What in `source` describes the model without being its weights, config.json apart: small files, the chat templates with
 * names, and the folders of sentence-transformers' modules, with weights where they have some; but for what gives way.
 * @throws InvalidModelError naming a file that is a link to somewhere else, whose content is no part of the model
 */
async function smallFiles(files: Files, source: string, more: Beside): Promise<Entry[]> {
  const homes = await homesOf(files, source, `${source}/config.json`)
  const modules = new Set(await moduleFolders(files, source))
  const isSmall = async (path: string): Promise<boolean> => {
    const place = `${source}/${path}`
    const real = await placeOutside(files, homes, place)
    if (real !== undefined)
      throw new InvalidModelError(
        `"${place}" is a link to "${real}", outside the model's folder, and would be copied into the new model; remove the link, or put the file itself in its place`,
      )
    return !(await files.isDirectory(place)) && (await files.size(place)) <= LARGEST_COPY
  }
  const inside = async (folder: string, isWanted: (path: string) => boolean): Promise<string[]> => {
    const paths: string[] = []
    for (const inner of await files.list(`${source}/${folder}`)) {
      const path = `${folder}/${inner}`
      if (!inner.startsWith('.') && isWanted(path) && (await isSmall(path))) paths.push(path)
    }
    return paths
  }
  const entries: Entry[] = []
  for (const name of await files.list(source)) {
    if (name === 'config.json' || name === MARKER || name.startsWith('.') || givesWay(name, more)) continue
    if (await files.isDirectory(`${source}/${name}`)) {
      // sentence-transformers looks for the folder of a module even where it is empty.
      if (modules.has(name)) entries.push({ name, paths: await inside(name, () => true) })
      else if (name === TEMPLATE_FOLDER) {
        const paths = await inside(name, (path) => isNamedTemplate(path) && !givesWay(path, more))
        if (paths.length > 0) entries.push({ name, paths })
      }
    } else if (!WEIGHTS.test(name) && !OF_A_RUN.test(name) && (await isSmall(name))) entries.push({ name, paths: [name] })
  }
  return entries
}

/**
 * Writes what describes the model, config.json apart: the files of the source, and `more` in the place of some.
 * @throws InvalidModelError naming a file that is a link to somewhere else
 */
export async function writeSmallFiles(files: Files, source: string, out: string, more: Beside): Promise<void> {
  for (const { name, paths } of await smallFiles(files, source, more)) {
    if (paths.length !== 1 || paths[0] !== name) await files.makeFolder(`${out}/${name}`)
    for (const path of paths) await files.write(`${out}/${path}`, await files.read(`${source}/${path}`))
  }
  for (const [path, bytes] of more) await files.write(`${out}/${path}`, bytes)
}

/** @throws InvalidOptionError for a new folder that has the name of a file */
export const checkModelFolderName = (files: Files, out: string): Promise<void> =>
  checkIsFolderName(files, out, "config.json, weights and tokenizer; llama.cpp's convert_hf_to_gguf.py makes a .gguf file of it")

/**
 * Sees to it that a folder can be written: it is new, empty, holds an earlier merge or export that was not finished, or one
 * that may be replaced.
 * @returns the names of what the earlier one wrote
 * @throws InvalidOptionError if it holds a finished one and `overwrite` is not said, or anything else
 */
export async function checkOutput(files: Files, out: string, overwrite: boolean): Promise<readonly string[]> {
  if ((await files.exists(out)) && !(await files.isDirectory(out)))
    throw new InvalidOptionError(`"${out}" is a file; choose a folder for the model`)
  const present = (await files.isDirectory(out)) ? (await files.list(out)).filter((name) => !isTransient(name)) : []
  if (present.length === 0) return []
  const earlier = await readMarker(files, out)
  const foreign = present.filter((name) => name !== MARKER && !name.endsWith('.tmp') && !(earlier ?? []).includes(name))
  if (earlier === undefined || foreign.length > 0)
    throw new InvalidOptionError(
      `"${out}" is not empty and holds ${earlier === undefined ? 'no earlier merge or export' : 'other files than an earlier merge or export'} (${foreign.slice(0, 5).join(', ')}); ` +
        'choose an empty or new folder',
    )
  const finished = present.filter((name) => earlier.includes(name) && LAST.test(name))
  if (finished.length > 0 && !overwrite)
    throw new InvalidOptionError(
      `"${out}" holds a finished model (${finished.join(', ')}) that an earlier merge or export wrote. Choose another output folder, or replace it with overwrite (--overwrite).`,
    )
  return earlier
}

/**
 * Makes the folder ready: what an earlier merge or export wrote is removed.
 * @param source whose small files will be copied, if any will
 * @param written files and folders that will be written beside config.json, the copies and `more`
 * @throws InvalidOptionError as {@link checkOutput}
 */
export async function prepareOutput(
  files: Files,
  source: string | undefined,
  { out, overwrite }: { readonly out: string; readonly overwrite: boolean },
  written: readonly string[],
  more: Beside,
): Promise<void> {
  const earlier = await checkOutput(files, out, overwrite)
  // Found to be fit to copy before anything is removed.
  const copies = source === undefined ? [] : (await smallFiles(files, source, more)).map(({ name }) => name)
  // config.json first: from here on until the end the folder is no model.
  if (earlier.length > 0) for (const name of ['config.json', ...earlier]) await files.remove(`${out}/${name}`)
  const top = [...more.keys()].map((path) => path.split('/')[0]!)
  const names = [...new Set(['config.json', ...written, ...copies, ...top])].sort()
  await files.makeFolder(out)
  await files.write(`${out}/${MARKER}`, `${JSON.stringify({ written_by: 'lowrank merge', files: names }, null, 2)}\n`)
}

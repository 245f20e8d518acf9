/** @file The folder of a merged model: which folder may be written, and which files of the source come along. */
import { InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'

/** Says that a folder was written by a merge, and may be written again. */
export const MARKER = 'lowrank_merge.json'

/** Files that hold weights in any format, or lists of them. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|ot|gguf|onnx|onnx_data|data|npz)$|\.index(\.\w+)?\.json$/

/** Tokenizers and templates are smaller by far; what is larger is no part of a model's description. */
const LARGEST_COPY = 256 << 20

const readMarker = async (files: Files, out: string): Promise<string[] | undefined> => {
  if (!(await files.exists(`${out}/${MARKER}`))) return undefined
  try {
    const { files: names } = JSON.parse(await files.readText(`${out}/${MARKER}`)) as { files?: unknown }
    // Only plain names: the marker decides what is removed.
    return Array.isArray(names) && names.every((n) => typeof n === 'string' && !n.startsWith('.') && !/[/\\]/.test(n))
      ? names
      : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Names of the files in `source` that describe the model without being weights, config.json apart. */
async function smallFiles(files: Files, source: string): Promise<string[]> {
  const names: string[] = []
  for (const name of await files.list(source)) {
    if (name === 'config.json' || name === MARKER || name.startsWith('.') || WEIGHTS.test(name)) continue
    const path = `${source}/${name}`
    if (!(await files.isDirectory(path)) && (await files.size(path)) <= LARGEST_COPY) names.push(name)
  }
  return names
}

export async function copySmallFiles(files: Files, source: string, out: string): Promise<void> {
  for (const name of await smallFiles(files, source)) await files.write(`${out}/${name}`, await files.read(`${source}/${name}`))
}

/**
 * Makes the folder ready: it is new, empty, or holds an earlier merge, whose files are removed.
 * @param weightFiles files that will be written beside config.json and the copies
 * @returns the names of all files that the merge writes
 * @throws InvalidOptionError if the folder holds anything else
 */
export async function prepareOutput(
  files: Files,
  source: string,
  out: string,
  weightFiles: readonly string[],
): Promise<string[]> {
  if ((await files.exists(out)) && !(await files.isDirectory(out)))
    throw new InvalidOptionError(`"${out}" is a file; choose a folder to merge into`)
  const present = (await files.isDirectory(out)) ? await files.list(out) : []
  if (present.length > 0) {
    const earlier = await readMarker(files, out)
    const foreign = present.filter((name) => name !== MARKER && !name.endsWith('.tmp') && !(earlier ?? []).includes(name))
    if (earlier === undefined || foreign.length > 0)
      throw new InvalidOptionError(
        `"${out}" is not empty and holds ${earlier === undefined ? 'no earlier merge' : 'other files than an earlier merge'} (${foreign.slice(0, 5).join(', ')}); ` +
          'choose an empty or new folder',
      )
    // config.json first: from here on until the end the folder is no model.
    for (const name of ['config.json', ...earlier]) await files.remove(`${out}/${name}`)
  }
  const names = [...new Set(['config.json', ...weightFiles, ...(await smallFiles(files, source))])].sort()
  await files.makeFolder(out)
  await files.write(`${out}/${MARKER}`, `${JSON.stringify({ written_by: 'lowrank merge', files: names }, null, 2)}\n`)
  return [...names, MARKER]
}

/** @file Where a file really lies: symbolic links may not lead out of a folder that a stranger made. */
import { InvalidOptionError } from '../errors.js'
import type { Files } from './files.js'

/** The folder of a file as its path names it: `.` where it names none. */
export const folderOf = (path: string): string => {
  const end = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'))
  return end < 0 ? '.' : end === 0 ? '/' : path.slice(0, end)
}

/** The last part of a path or of a hub id; nothing of a root. */
export const baseName = (path: string): string => path.split(/[/\\]/).findLast((part) => part !== '') ?? ''

const parentOf = (path: string): string => path.replace(/[/\\][^/\\]*$/, '')

/** Whether a path lies in a folder; both are real ones. The folder without a name is the root. */
export function contains(folder: string, path: string): boolean {
  const bare = folder.replace(/[/\\]$/, '')
  return path.startsWith(bare) && (bare === '' || /^[/\\]/.test(path.slice(bare.length)))
}

/**
 * The folders that files of a folder may lie in, links followed: itself, and that of a file which must be there. The caches of
 * the Hugging Face Hub link a model's files to others side by side elsewhere.
 * @param anchor a file of the folder
 */
export const homesOf = async (files: Files, folder: string, anchor: string): Promise<readonly string[]> => [
  await files.realPath(folder),
  parentOf(await files.realPath(anchor)),
]

/** Where a file really lies, if that is in none of these folders, which are real ones; undefined if it is in one. */
export async function placeOutside(files: Files, homes: readonly string[], path: string): Promise<string | undefined> {
  const real = await files.realPath(path)
  return homes.some((home) => contains(home, real)) ? undefined : real
}

/** Endings of files that one may think to get where a folder is written. */
const FILE_NAME = /\.(gguf|safetensors|onnx|onnx_adapter|bin|pt|pth|ckpt|npz|h5|zip|tar|gz|json|jsonl)$/i

/**
 * Makes sure that a folder that is not there yet is not called as a file.
 * @param what is written into it, and what to do for a file
 * @throws InvalidOptionError
 */
export async function checkIsFolderName(files: Files, folder: string, what: string): Promise<void> {
  const [ending] = FILE_NAME.exec(folder) ?? []
  if (ending !== undefined && !(await files.isDirectory(folder)))
    throw new InvalidOptionError(
      `"${folder}" has the name of a file (${ending}), but a folder is written: ${what}. Name a folder`,
    )
}

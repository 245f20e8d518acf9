/** @file Where a file really lies: symbolic links may not lead out of a folder that a stranger made. */
import type { Files } from './files.js'

export const parentOf = (path: string): string => path.replace(/[/\\][^/\\]*$/, '')

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

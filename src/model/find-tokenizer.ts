/** @file The tokenizer of a model's folder, or of an .onnx file. */
import { neededTokenizer } from '../data/needed-tokenizer.js'
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.js'
import type { Files } from '../io/files.js'
import { describingFolders, isOnnxFolder } from './onnx-folders.js'

/**
 * The tokenizer beside an .onnx file: in its folder, or in the one above a folder called `onnx`.
 * @param lowercase text in lower case before all else, as sentence-transformers may ask for
 */
export async function findTokenizerBeside(files: Files, file: string, lowercase = false): Promise<Tokenizer | undefined> {
  const [own, above] = describingFolders(file)
  return (
    (await loadTokenizer(files, own, { lowercase })) ??
    (isOnnxFolder(own) ? loadTokenizer(files, above, { lowercase }) : undefined)
  )
}

/**
 * The tokenizer that a path leads to: a folder, or an .onnx file.
 * @throws InvalidDataError if there is none, or one of its files is damaged or asks for what is not supported
 */
export async function openTokenizer(files: Files, path: string): Promise<Tokenizer> {
  const found = await (path.endsWith('.onnx') ? findTokenizerBeside(files, path) : loadTokenizer(files, path))
  return neededTokenizer(found, `"${path}"`)
}

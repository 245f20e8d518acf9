/** @file Where the files that describe an .onnx model lie: beside it, or above a folder called `onnx`. */
import { folderOf } from '../io/places.js'

/** The folders that may describe a model: its own, and the one above, as in `onnx/model.onnx`. */
export const describingFolders = (path: string): readonly [string, string] => {
  const folder = folderOf(path)
  return [folder, folder === '.' ? '..' : `${folder}/..`]
}

/** A folder above describes the model only if this one is a part of it. */
export const isOnnxFolder = (folder: string): boolean => /(^|[/\\])onnx$/.test(folder)

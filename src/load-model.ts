/** @file Opening a model, whatever it lies in. */
import type { Environment } from './environment.js'
import { InvalidOptionError } from './errors.js'
import { FolderModel } from './model/folder-model.js'
import type { Model } from './model/model.js'
import { headOptionKeys, type HeadOptions } from './models/new-head.js'
import { OnnxModel, onnxOptionKeys, type OnnxOptions } from './onnx-model/onnx-model.js'
import { checkKeys, type OptionKeys, pickKeys } from './util/option-keys.js'
import { snapshot } from './util/snapshot.js'

/** What a model is for, and of an .onnx file what it gives. */
export type ModelOptions = OnnxOptions & HeadOptions

export const modelOptionKeys = { ...onnxOptionKeys, ...headOptionKeys } satisfies OptionKeys<ModelOptions>

/** What of the options belongs to one kind of model alone. */
const onnxOnly = ['output', 'constants', 'dims'] as const
const folderOnly = ['labels', 'numLabels', 'problemType', 'newHead'] as const

/** @throws InvalidOptionError for options of the other kind of model than a path leads to */
export function checkModelOptions(path: string, options: ModelOptions): void {
  const isFile = path.endsWith('.onnx')
  const misplaced = (isFile ? folderOnly : onnxOnly).filter((name) => options[name] !== undefined)
  if (misplaced.length > 0)
    throw new InvalidOptionError(
      `${misplaced.join(', ')} ${misplaced.length === 1 ? 'is an option' : 'are options'} of ${isFile ? 'model folders' : '.onnx files'}, but "${path}" is ` +
        (isFile
          ? 'a graph with the head that it was exported with; load the folder that it was exported from'
          : 'none, its config.json says what it gives'),
    )
}

/**
 * Opens a folder as a {@link FolderModel}, an .onnx file as an {@link OnnxModel}.
 * @param id what to call it in adapters; the path unless given
 * @throws InvalidOptionError for options of the other kind; what opening either kind throws
 */
export async function openModel(path: string, environment: Environment, asked: ModelOptions = {}, id?: string): Promise<Model> {
  checkKeys(asked, modelOptionKeys, 'openModel')
  const options = snapshot(asked)
  checkModelOptions(path, options)
  return path.endsWith('.onnx')
    ? OnnxModel.open(path, environment, pickKeys(options, onnxOptionKeys), id)
    : FolderModel.open(path, environment, id, pickKeys(options, headOptionKeys))
}

/** @file Adapters from one file format to another. */
import { InvalidAdapterError } from '../errors.js'
import { chooseAdapterFormat, detectAdapterFormat } from '../formats/adapter-formats.js'
import type { AdapterReadOptions, AdapterWriteOptions } from '../formats/adapter-file.js'
import type { TargetModule } from '../graph/target-module.js'
import type { Files } from '../io/files.js'
import type { Environment } from '../environment.js'
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'
import { whileAtFile, whileInFolder } from '../model/output-place.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { snapshot } from '../util/snapshot.js'

/** What the files themselves may not tell, and what is written. */
export interface ConvertOptions extends Omit<AdapterReadOptions, 'modules' | 'anyPlace'>, Pick<AdapterWriteOptions, 'layout'> {
  /** Format to write, by its name; by the ending of the path by default. */
  readonly format?: string
  /** Layers of the base model, which tell kinds and names that a file lacks. */
  readonly modules?: ReadonlyMap<string, TargetModule>
  /** Write although `to` is there: an adapter that a folder holds is removed, a file replaced. */
  readonly overwrite?: boolean
  /** The base model: gives `modules` and `baseConfig` where they are not given themselves. */
  readonly model?: Model
}

export const convertOptionKeys = {
  ...{ alpha: true, enableLora: true, kernelSizes: true, embeddings: true, component: true, taskType: true, baseModel: true },
  ...{ baseConfig: true, layout: true, format: true, modules: true, model: true, overwrite: true },
} satisfies OptionKeys<ConvertOptions>

/** What a conversion wrote. */
export interface Conversion {
  /** The path that was written. */
  readonly out: string
  /** Name of the format read. */
  readonly from: string
  /** Name of the format written. */
  readonly format: string
  /** Tensors of the adapter, by PEFT's count. */
  readonly tensors: number
  /** Whether nothing was left out, rounded or assumed. */
  readonly lossless: boolean
  /** What was assumed, rounded or left out. */
  readonly notes: readonly string[]
}

const ofModel = (model: Model | undefined): Pick<AdapterReadOptions, 'modules' | 'baseConfig'> => ({
  ...(model !== undefined && { modules: model.modules }),
  ...(model instanceof FolderModel && { baseConfig: model.config.json }),
})

/** Files with something that is done before the first is written: what cannot be converted removes nothing. */
function clearedFirst(files: Files, clear: () => Promise<void>): Files {
  let cleared: Promise<void> | undefined
  return {
    ...files,
    async write(path, content) {
      await (cleared ??= clear())
      await files.write(path, content)
    },
  }
}

/**
 * Converts an adapter.
 * @param from folder or file of any known format
 * @param to folder or file; its ending names the format unless `format` does
 * @throws InvalidAdapterError if it is damaged or cannot be said in the other format
 * @throws InvalidOptionError if the file lacks something that an option must tell, or if `to` is a file that is there, a folder
 * that holds an adapter, checkpoints or a model, and `overwrite` is not said
 * @throws FileError if another run writes there
 */
export async function convert(from: string, to: string, given: ConvertOptions, { files }: Environment): Promise<Conversion> {
  checkKeys(given, convertOptionKeys, 'convert')
  const options = snapshot(given)
  const { overwrite = false, ...told } = { ...ofModel(options.model), ...options }
  const target = chooseAdapterFormat(to, options.format)
  if ((await files.realPath(from)) === (await files.realPath(to)))
    throw new InvalidAdapterError(`"${to}" is the adapter that is converted; choose another place to write to`)
  const source = await detectAdapterFormat(files, from)
  const place = { out: to, overwrite, base: options.model }
  const write = async (into: Files) => {
    const adapter = await source.read(files, from, told)
    return { adapter, notes: [...adapter.notes, ...(await target.write(into, to, adapter, told))] }
  }
  const { adapter, notes } =
    target.isFolder === true
      ? await whileInFolder(files, place, (clear) => write(clearedFirst(files, clear)))
      : await whileAtFile(files, place, () => write(files))
  return {
    out: to,
    from: source.name,
    format: target.name,
    tensors: adapter.tensors.size,
    lossless: notes.every(({ loss }) => !loss),
    notes: notes.map(({ text }) => text),
  }
}

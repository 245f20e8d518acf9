/** @file lowrank in a browser: the same names as in Node, on WebAssembly or WebGPU. package.json chooses this entry for bundlers. */
import { browserEnvironment, browserOptionKeys, type BrowserOptions } from './browser-environment.js'
import type { Adapter, LoadAdapterOptions } from './adapter/adapter.js'
import type { Conversion, ConvertOptions } from './adapter/convert.js'
import type { Environment } from './environment.js'
import type { DataInspection } from './inspect-data/data-inspection.js'
import type { DataInspectionOptions } from './inspect-data/options.js'
import type { Inspection, InspectOptions } from './inspect/inspection.js'
import type { ModelOptions } from './load-model.js'
import type { Model } from './model/model.js'
import type { CollectedLabels } from './data/collect-labels.js'
import type { RowData } from './data/row-data.js'
import type { Tokenizer } from './data/tokenizer.js'
import { libraryOf, type LabelOptions, type Within } from './library.js'

/** Where and how a model runs (options for an environment, or one that is there already), and what it is for. */
export type LoadOptions = Within<BrowserOptions> & ModelOptions

const library = libraryOf<BrowserOptions, object>({
  environment: browserEnvironment,
  whereKeys: browserOptionKeys,
  fetchKeys: {},
  find(name) {
    const path = name.replace(/\/+$/, '')
    return Promise.resolve({ path, id: path })
  },
})

/**
 * Opens a Hugging Face model, or any .onnx file.
 *
 * @param path URL of a folder with `config.json` and `model.safetensors`, or a path in `options.files`
 * @throws UnsupportedOpError naming every node of an .onnx file that cannot be trained through
 * @throws InvalidModelError if the folder is incomplete, damaged, or of an unknown architecture
 * @throws InvalidOptionError for a task that the family has no head for, or labels that contradict the model's own head
 * @throws FileError if it cannot be fetched
 * @example
 * const model = await loadModel('https://example.org/SmolLM2-135M', { device: 'webgpu' })
 */
export function loadModel(path: string, options?: LoadOptions): Promise<Model> {
  return library.loadModel(path, options)
}

/**
 * Opens a tokenizer: text to the token ids that transformers' AutoTokenizer gives, and back.
 *
 * @param path URL of a folder with `tokenizer.json`, or of an `.onnx` file with a tokenizer beside it, or a path in
 *   `options.files`.
 *   A byte-level BPE may be kept as `vocab.json` and `merges.txt` beside a file that names its class, or as GPT-2's
 *   `encoder.json` and `vocab.bpe`.
 * @throws InvalidDataError if there is none of these, one is damaged, or asks for a component that is not supported
 * @throws FileError if it cannot be fetched
 * @example
 * const tokenizer = await loadTokenizer('https://example.org/SmolLM2-135M')
 * const ids = tokenizer.encode('Hello', { addSpecialTokens: false })
 */
export function loadTokenizer(path: string, options?: Within<BrowserOptions>): Promise<Tokenizer> {
  return library.loadTokenizer(path, options)
}

/**
 * Loads a PEFT adapter, from a URL or a path in the model's files, onto a model, strictly. Names that other versions of
 * transformers gave the modules are understood; what it holds for modules that are not run here is carried along.
 * @throws InvalidAdapterError naming every missing, unexpected or wrongly shaped tensor, or a config that changes the maths
 * in a way that is not supported
 * @throws FileError if it cannot be fetched
 * @example
 * const adapter = await loadAdapter(model, 'https://example.org/my-adapter')
 */
export function loadAdapter(model: Model, path: string, options?: LoadAdapterOptions): Promise<Adapter> {
  return library.loadAdapter(model, path, options)
}

/**
 * The labels that rows have, as options of `loadModel` for a fresh head: names in alphabetical order, or how many.
 *
 * @param data rows, as for training: URLs of files, or paths in `options.files`, blobs, rows in memory
 * @param options the task, and the columns that fields are read from
 * @throws InvalidDataError naming the row that has none, or one of another kind than those before
 * @example
 * const task = 'sequence-classification'
 * const labels = await collectLabels('https://example.org/train.jsonl', { task })
 */
export function collectLabels(data: RowData, options?: Within<BrowserOptions> & LabelOptions): Promise<CollectedLabels> {
  return library.collectLabels(data, options)
}

/**
 * Describes what a URL or path holds: a model, an adapter, a `.safetensors`, `.onnx`, `.gguf` or torch file.
 * @throws InvalidModelError, InvalidAdapterError if it is damaged or of an unknown kind
 * @throws InvalidOptionError for constants or lengths of anything but an .onnx file, or that do not fit its inputs
 * @example
 * const found = await inspect('my-adapter', { files: memoryFiles({ 'my-adapter/adapter_config.json': file }) })
 */
export function inspect(path: string, options?: Within<BrowserOptions> & InspectOptions): Promise<Inspection> {
  return library.inspect(path, options)
}

/**
 * What a run would learn from rows, and what it would cost: every row is read and becomes tokens and labels as in training,
 * with the same checks, and the first ones are shown token by token. No weight is read.
 *
 * @param model URL or path of the folder of a model or of a tokenizer alone, an `.onnx` file, or a model that is open
 * @param data rows, as for training
 * @param options of a run those that decide what is learned, of `loadModel` those that say what the model is for
 * @returns bad rows are listed, not thrown
 * @throws InvalidDataError if the data cannot be opened or holds no row; InvalidOptionError for options that do not fit the model
 * @example
 * const { data, epoch } = await inspectData('https://example.org/SmolLM2-135M', file, { maxLength: 512, batchSize: 8 })
 * console.log(data.learnedTokens, data.truncated.rows, epoch.padding)
 * for (const { file, line, message } of data.bad) console.error(file, line, message)
 */
export function inspectData(
  model: Model | string,
  data: RowData,
  options?: Within<BrowserOptions> & ModelOptions & DataInspectionOptions,
): Promise<DataInspection> {
  return library.inspectData(model, data, options)
}

/**
 * Writes an adapter in another file format. Both paths lie in the files of the environment, so there must be one: what is
 * written stays there.
 * @throws InvalidAdapterError if it is damaged or cannot be said in the other format
 * @throws InvalidOptionError if the file lacks something that an option must tell, or something is there already and
 * `overwrite` is not given
 * @example
 * await convert('my-adapter', 'my-adapter.gguf', { model, environment: model.environment })
 */
export function convert(
  from: string,
  to: string,
  options: ConvertOptions & { readonly environment: Environment },
): Promise<Conversion> {
  return library.convert(from, to, options)
}

export * from './public.js'
export { browserEnvironment, type BrowserOptions } from './browser-environment.js'
export { handleFiles } from './io/handle-files.js'
export { memoryFiles, type MemoryFiles } from './io/memory-files.js'

/** @file lowrank: LoRA for JavaScript. Everything public of the Node entry, by name. */
import type { Adapter, LoadAdapterOptions } from './adapter/adapter.js'
import type { Conversion, ConvertOptions } from './adapter/convert.js'
import type { DataInspection } from './inspect-data/data-inspection.js'
import type { DataInspectionOptions } from './inspect-data/options.js'
import type { Inspection, InspectOptions } from './inspect/inspection.js'
import type { ModelOptions } from './load-model.js'
import type { Model } from './model/model.js'
import type { CollectedLabels } from './data/collect-labels.js'
import type { RowData } from './data/row-data.js'
import type { Tokenizer } from './data/tokenizer.js'
import { findDataset } from './hub/node-dataset.js'
import { hubOptionKeys, resolveModel, type HubOptions } from './hub/node-resolve.js'
import { libraryOf, type LabelOptions, type Within } from './library.js'
import { environmentOptionKeys, nodeEnvironment, type EnvironmentOptions } from './node-environment.js'

/** Where and how a model runs (options for an environment, or one that is there already), how it is fetched, and what it is for. */
export type LoadOptions = Within<EnvironmentOptions> & HubOptions & ModelOptions

const library = libraryOf<EnvironmentOptions, HubOptions>({
  environment: (where, hub) => ({ ...nodeEnvironment(where), findDataset: (id) => findDataset(id, hub) }),
  whereKeys: environmentOptionKeys,
  fetchKeys: hubOptionKeys,
  // What the environment's files have is taken from there; any other name is the hub's.
  async find(name, kind, options, { files }) {
    return (await files.exists(name)) ? { path: name, id: name } : resolveModel(name, { ...options, kind })
  },
})

/**
 * Opens a Hugging Face model, or any .onnx file. Weights stay on disk and are never changed.
 *
 * @param path folder with `config.json` and `model.safetensors` (or shards), a hub id: `owner/name[@revision]`, or a
 *   `.onnx` file
 * @throws UnsupportedOpError naming every node of an .onnx file that cannot be trained through
 * @throws InvalidModelError if the folder is incomplete, damaged, or of an unknown architecture
 * @throws InvalidOptionError for a task that the family has no head for, or labels that contradict the model's own head
 * @throws HubError if it is a hub id that cannot be fetched
 * @example
 * const model = await loadModel('./SmolLM2-135M')
 * @example
 * // A pretrained encoder with a fresh head for two classes, which the adapter then trains and saves.
 * const classifier = await loadModel('./bert-base', { task: 'sequence-classification', labels: ['ham', 'spam'] })
 */
export function loadModel(path: string, options?: LoadOptions): Promise<Model> {
  return library.loadModel(path, options)
}

/**
 * Opens a tokenizer: text to the token ids that transformers' AutoTokenizer gives, and back.
 *
 * @param path folder with `tokenizer.json`, a hub id: `owner/name[@revision]`, of which no weights are fetched, or an
 *   `.onnx` file with a tokenizer beside it.
 *   A byte-level BPE may be kept as `vocab.json` and `merges.txt` beside a file that names its class, or as GPT-2's
 *   `encoder.json` and `vocab.bpe`.
 * @throws InvalidDataError if there is none of these, one is damaged, or asks for a component that is not supported
 * @throws HubError if it is a hub id that cannot be fetched
 * @example
 * const tokenizer = await loadTokenizer('./SmolLM2-135M')
 * const ids = tokenizer.encode('Hello', { addSpecialTokens: false })
 */
export function loadTokenizer(path: string, options?: Within<EnvironmentOptions> & HubOptions): Promise<Tokenizer> {
  return library.loadTokenizer(path, options)
}

/**
 * Loads a PEFT adapter, from a folder or a hub id, onto a model, strictly. Names that other versions of transformers gave
 * the modules are understood; what it holds for modules that are not run here is carried along, and told to `onWarning`.
 * @throws InvalidAdapterError naming every missing, unexpected or wrongly shaped tensor, or a config that changes the maths
 * in a way that is not supported
 * @throws HubError if it is a hub id that cannot be fetched
 * @example
 * const adapter = await loadAdapter(model, './my-adapter', { onWarning: console.warn })
 */
export function loadAdapter(model: Model, path: string, options?: HubOptions & LoadAdapterOptions): Promise<Adapter> {
  return library.loadAdapter(model, path, options)
}

/**
 * The labels that rows have, as options of `loadModel` for a fresh head: names in alphabetical order, or how many.
 *
 * @param data rows, as for training
 * @param options the task, and the columns that fields are read from
 * @throws InvalidDataError naming the row that has none, or one of another kind than those before
 * @example
 * const task = 'sequence-classification'
 * const model = await loadModel('./bert-base', { task, ...(await collectLabels('train.jsonl', { task })) })
 */
export function collectLabels(data: RowData, options?: Within<EnvironmentOptions> & LabelOptions): Promise<CollectedLabels> {
  return library.collectLabels(data, options)
}

/**
 * Describes what a path or hub id holds: a model, an adapter, a `.safetensors`, `.onnx`, `.gguf` or torch file. Headers are
 * read, weights are not.
 * @throws InvalidModelError, InvalidAdapterError if it is damaged or of an unknown kind
 * @throws InvalidOptionError for constants or lengths of anything but an .onnx file, or that do not fit its inputs
 * @example
 * const found = await inspect('./my-adapter')
 * if (found.kind === 'adapter') console.log(found.r, found.targetModules)
 */
export function inspect(path: string, options?: Within<EnvironmentOptions> & HubOptions & InspectOptions): Promise<Inspection> {
  return library.inspect(path, options)
}

/**
 * What a run would learn from rows, and what it would cost: every row is read and becomes tokens and labels as in training,
 * with the same checks, and the first ones are shown token by token. No weight is read.
 *
 * @param model a folder or hub id of a model or of a tokenizer alone, an `.onnx` file, or a model that is open
 * @param data rows, as for training
 * @param options of a run those that decide what is learned, of `loadModel` those that say what the model is for
 * @returns bad rows are listed, not thrown
 * @throws InvalidDataError if the data cannot be opened or holds no row; InvalidOptionError for options that do not fit the model
 * @example
 * const { data, epoch } = await inspectData('./SmolLM2-135M', 'train.jsonl', { maxLength: 512, batchSize: 8 })
 * console.log(data.learnedTokens, data.truncated.rows, epoch.padding)
 * for (const { file, line, message } of data.bad) console.error(file, line, message)
 */
export function inspectData(
  model: Model | string,
  data: RowData,
  options?: Within<EnvironmentOptions> & HubOptions & ModelOptions & DataInspectionOptions,
): Promise<DataInspection> {
  return library.inspectData(model, data, options)
}

/**
 * Writes an adapter in another file format: PEFT, loralib's .pt, .onnx_adapter, mlx-lm, llama.cpp's .gguf; kohya and diffusers
 * are read.
 *
 * @param to folder or file; its ending names the format unless the option `format` does
 * @throws InvalidAdapterError if it is damaged or cannot be said in the other format
 * @throws InvalidOptionError if the file lacks something that an option must tell, or something is there already and
 * `overwrite` is not given
 * @throws FileError if another run writes there
 * @example
 * await convert('roberta_base_lora_mnli.bin', 'mnli', { alpha: 16 })
 */
export function convert(from: string, to: string, options?: Within<EnvironmentOptions> & ConvertOptions): Promise<Conversion> {
  return library.convert(from, to, options)
}

export * from './public.js'
export { push, type Pushed, type PushOptions, type PushProgress } from './hub/node-push.js'
export type { PublishedFile } from './hub/publishable.js'
export type { DownloadProgress, HubOptions } from './hub/node-resolve.js'
export { report } from './report/node-report.js'
export type { ReportOptions } from './report/report.js'
export { nodeMpi } from './distributed/node-mpi.js'
export { nodeEnvironment, type EnvironmentOptions } from './node-environment.js'

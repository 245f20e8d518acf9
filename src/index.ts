/** @file lowrank: LoRA for JavaScript. Everything public of the Node entry, by name. */
import { resolveModel, type ResolveOptions } from './hub/node-resolve.js'
import { libraryOf, type In, type Library } from './library.js'
import type { ModelOptions } from './load-model.js'
import { environmentOptionKeys, nodeEnvironment, type EnvironmentOptions } from './node-environment.js'
import type { OptionKeys } from './util/option-keys.js'

/** How hub ids are fetched. */
export type HubOptions = Pick<
  ResolveOptions,
  'revision' | 'token' | 'cacheDir' | 'endpoint' | 'offline' | 'onProgress' | 'onWarning'
>

const hubOptionKeys = {
  ...{ revision: true, token: true, cacheDir: true, endpoint: true, offline: true, onProgress: true, onWarning: true },
} satisfies OptionKeys<HubOptions>

/** Where and how a model runs (options for an environment, or one that is there already), how it is fetched, and what it is for. */
export type LoadOptions = In<EnvironmentOptions> & HubOptions & ModelOptions

const node: Library<EnvironmentOptions, HubOptions> = libraryOf({
  environment: nodeEnvironment,
  whereKeys: environmentOptionKeys,
  fetchKeys: hubOptionKeys,
  // What the environment's files have is taken from there; any other name is the hub's.
  async find(name: string, kind, options: HubOptions, { files }) {
    return (await files.exists(name)) ? { path: name, id: name } : resolveModel(name, { ...options, kind })
  },
})

/**
 * Opens a Hugging Face model, or any .onnx file. Weights stay on disk and are never changed.
 *
 * The path is a folder with `config.json` and `model.safetensors` (or shards), a hub id: `owner/name[@revision]`, or a
 * `.onnx` file.
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
export const loadModel: Library<EnvironmentOptions, HubOptions>['loadModel'] = node.loadModel

/**
 * Opens a tokenizer: text to the token ids that transformers' AutoTokenizer gives, and back.
 *
 * The path is a folder with `tokenizer.json`, a hub id: `owner/name[@revision]`, of which no weights are fetched, or an
 * `.onnx` file with a tokenizer beside it.
 * @throws InvalidDataError if there is no `tokenizer.json`, it is damaged, or asks for a component that is not supported
 * @throws HubError if it is a hub id that cannot be fetched
 * @example
 * const tokenizer = await loadTokenizer('./SmolLM2-135M')
 * const ids = tokenizer.encode('Hello', { addSpecialTokens: false })
 */
export const loadTokenizer: Library<EnvironmentOptions, HubOptions>['loadTokenizer'] = node.loadTokenizer

/**
 * Loads a PEFT adapter, from a folder or a hub id, onto a model, strictly. Names that other versions of transformers gave
 * the modules are understood; what it holds for modules that are not run here is carried along, and told to `onWarning`.
 * @throws InvalidAdapterError naming every missing, unexpected or wrongly shaped tensor, or a config that changes the maths
 * in a way that is not supported
 * @throws HubError if it is a hub id that cannot be fetched
 * @example
 * const adapter = await loadAdapter(model, './my-adapter', { onWarning: console.warn })
 */
export const loadAdapter: Library<EnvironmentOptions, HubOptions>['loadAdapter'] = node.loadAdapter

/**
 * The labels that rows have, as options of `loadModel` for a fresh head: names in alphabetical order, or how many.
 *
 * Of the files of rows `token-classification` reads a list of labels a row, every other task one label.
 * @throws InvalidDataError naming the row that has none, or one of another kind than those before
 * @example
 * const task = 'sequence-classification'
 * const model = await loadModel('./bert-base', { task, ...(await collectLabels('train.jsonl', { task })) })
 */
export const collectLabels: Library<EnvironmentOptions, HubOptions>['collectLabels'] = node.collectLabels

/**
 * Describes what a path or hub id holds: a model, an adapter, a `.safetensors`, `.onnx`, `.gguf` or torch file. Headers are
 * read, weights are not.
 * @throws InvalidModelError, InvalidAdapterError if it is damaged or of an unknown kind
 * @throws InvalidOptionError for constants or lengths of anything but an .onnx file, or that do not fit its inputs
 * @example
 * const found = await inspect('./my-adapter')
 * if (found.kind === 'adapter') console.log(found.r, found.targetModules)
 */
export const inspect: Library<EnvironmentOptions, HubOptions>['inspect'] = node.inspect

/**
 * Writes an adapter in another file format: PEFT, loralib's .pt, .onnx_adapter, mlx-lm, llama.cpp's .gguf; kohya and diffusers
 * are read. The ending of the second path names the format, unless the option `format` does.
 * @throws InvalidAdapterError if it is damaged or cannot be said in the other format
 * @throws InvalidOptionError if the file lacks something that an option must tell, or something is there already and
 * `overwrite` is not given
 * @throws FileError if another run writes there
 * @example
 * await convert('roberta_base_lora_mnli.bin', 'mnli', { alpha: 16 })
 */
export const convert: Library<EnvironmentOptions, HubOptions>['convert'] = node.convert

export * from './public.js'
export type { DownloadProgress } from './hub/node-resolve.js'
export { nodeMpi } from './distributed/node-mpi.js'
export { nodeEnvironment, type EnvironmentOptions } from './node-environment.js'

/** @file lowrank: LoRA for JavaScript. Everything public of the Node entry, by name. */
import { collectLabels as collectLabelsOf, type CollectedLabels } from './data/collect-labels.js'
import type { TaskOption } from './models/task.js'
import { createLora, loadAdapter as loadAdapterOf, type Adapter, type LoraOptions } from './core/adapter.js'
import { convert as convertWith, type Conversion, type ConvertOptions } from './core/convert.js'
import { openTokenizer } from './core/find-tokenizer.js'
import { inspect as inspectWith, inspectOptionKeys, type Inspection, type InspectOptions } from './core/inspect.js'
import { Model, modelOptionKeys, type ModelOptions } from './core/model.js'
import { resolveModel, type ResolveOptions } from './hub/node-resolve.js'
import { environmentOptionKeys, nodeEnvironment, type EnvironmentOptions } from './node-environment.js'
import { checkKeys, pickKeys, type OptionKeys } from './util/option-keys.js'
import { snapshot } from './util/snapshot.js'
import type { Tokenizer } from './data/tokenizer.js'
import { nodeFiles } from './io/node-files.js'

/** How hub ids are fetched. */
export type HubOptions = Pick<
  ResolveOptions,
  'revision' | 'token' | 'cacheDir' | 'endpoint' | 'offline' | 'onProgress' | 'onWarning'
>

const hubOptionKeys = {
  ...{ revision: true, token: true, cacheDir: true, endpoint: true, offline: true, onProgress: true, onWarning: true },
} satisfies OptionKeys<HubOptions>

/** Where and how a model runs, how it is fetched, and what it is for. */
export type LoadOptions = EnvironmentOptions & HubOptions & ModelOptions

const loadOptionKeys = {
  ...environmentOptionKeys,
  ...hubOptionKeys,
  ...modelOptionKeys,
} satisfies OptionKeys<LoadOptions>

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
export async function loadModel(path: string, given: LoadOptions = {}): Promise<Model> {
  checkKeys(given, loadOptionKeys, 'loadModel')
  const options = snapshot(given)
  const found = await resolveModel(path, options)
  const environment = nodeEnvironment(pickKeys(options, environmentOptionKeys))
  return Model.load(found.path, environment, pickKeys(options, modelOptionKeys), found.id)
}

/**
 * Opens a tokenizer: text to the token ids that transformers' AutoTokenizer gives, and back.
 *
 * @param path folder with `tokenizer.json`, a hub id: `owner/name[@revision]`, of which no weights are fetched, or an
 *   `.onnx` file with a tokenizer beside it
 * @throws InvalidDataError if there is no `tokenizer.json`, it is damaged, or asks for a component that is not supported
 * @throws HubError if it is a hub id that cannot be fetched
 * @example
 * const tokenizer = await loadTokenizer('./SmolLM2-135M')
 * const ids = tokenizer.encode('Hello', { addSpecialTokens: false })
 */
export async function loadTokenizer(path: string, options: HubOptions = {}): Promise<Tokenizer> {
  checkKeys(options, hubOptionKeys, 'loadTokenizer')
  return openTokenizer(nodeFiles(), (await resolveModel(path, { ...options, kind: 'tokenizer' })).path)
}

/**
 * Puts a new LoRA adapter on a model.
 *
 * @param options PEFT's names in camelCase; `r` 8 and the architecture's default targets unless said
 * @example
 * const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: ['q_proj', 'v_proj'] })
 */
export const addLora = (model: Model, options: LoraOptions = {}): Promise<Adapter> => createLora(model, options)

/** Loads a PEFT adapter, from a folder or a hub id, onto a model, strictly. */
export async function loadAdapter(model: Model, path: string, given: HubOptions = {}): Promise<Adapter> {
  checkKeys(given, hubOptionKeys, 'loadAdapter')
  const options = snapshot(given)
  return loadAdapterOf(
    model,
    (await resolveModel(path, { ...options, kind: 'adapter' })).path,
    pickKeys(options, { onWarning: true }),
  )
}

const collectKeys = { task: true } as const

/**
 * The labels that rows have, as options of `loadModel` for a fresh head: names in alphabetical order, or how many.
 *
 * @param data files of rows
 * @param options `task`: `token-classification` reads a list of labels a row, every other task one label
 * @throws InvalidDataError naming the row that has none, or one of another kind than those before
 * @example
 * const task = 'sequence-classification'
 * const model = await loadModel('./bert-base', { task, ...(await collectLabels('train.jsonl', { task })) })
 */
export async function collectLabels(
  data: string | readonly string[],
  options: { readonly task?: TaskOption } = {},
): Promise<CollectedLabels> {
  checkKeys(options, collectKeys, 'collectLabels')
  return collectLabelsOf(nodeEnvironment().files, snapshot(data), options.task ?? 'sequence-classification')
}

/** Describes what a path or hub id holds: a model, an adapter, a `.safetensors` or an `.onnx` file. */
export async function inspect(path: string, given: InspectOptions & HubOptions = {}): Promise<Inspection> {
  checkKeys(given, { ...hubOptionKeys, ...inspectOptionKeys }, 'inspect')
  const options = snapshot(given)
  const { path: found } = await resolveModel(path, { ...pickKeys(options, hubOptionKeys), kind: 'any' })
  return inspectWith(found, nodeEnvironment(), pickKeys(options, inspectOptionKeys))
}

/**
 * Writes an adapter in another file format: PEFT, loralib's .pt, .onnx_adapter, mlx-lm, llama.cpp's .gguf; kohya and diffusers are read.
 *
 * @example
 * await convert('roberta_base_lora_mnli.bin', 'mnli', { alpha: 16 })
 */
export const convert = (from: string, to: string, options: ConvertOptions = {}): Promise<Conversion> =>
  convertWith(from, to, options, nodeEnvironment())

export * from './public.js'
export type { DownloadProgress } from './hub/node-resolve.js'
export { nodeMpi } from './distributed/node-mpi.js'
export { nodeEnvironment } from './node-environment.js'

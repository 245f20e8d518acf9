/** @file lowrank in a browser: the same names as in Node, on WebAssembly or WebGPU. package.json chooses this entry for bundlers. */
import { browserEnvironment, browserOptionKeys, type BrowserOptions } from './browser-environment.js'
import {
  createLora,
  loadAdapter as loadAdapterOf,
  type Adapter,
  type LoadAdapterOptions,
  type LoraOptions,
} from './core/adapter.js'
import { convert as convertWith, type Conversion, type ConvertOptions } from './core/convert.js'
import type { Environment } from './core/environment.js'
import { openTokenizer } from './core/find-tokenizer.js'
import { inspect as inspectWith, inspectOptionKeys, type Inspection } from './core/inspect.js'
import { Model, modelOptionKeys, type ModelOptions } from './core/model.js'
import { InvalidOptionError } from './errors.js'
import { checkKeys, pickKeys, type OptionKeys } from './util/option-keys.js'
import { snapshot } from './util/snapshot.js'
import { collectLabels as collectLabelsOf, type CollectedLabels } from './data/collect-labels.js'
import type { Tokenizer } from './data/tokenizer.js'

/** Where and how a model runs: options for an environment, or one that is there already. */
export type LoadOptions = (BrowserOptions | { readonly environment: Environment }) & ModelOptions

const environmentKeys = { ...browserOptionKeys, environment: true } as const

const loadOptionKeys = { ...environmentKeys, ...modelOptionKeys } satisfies OptionKeys<LoadOptions>

function environmentOf(options: LoadOptions, where: string): Environment {
  checkKeys(options, loadOptionKeys, where)
  if ('environment' in options && options.environment !== undefined) {
    const beside = Object.keys(browserOptionKeys).find(
      (name) => (options as BrowserOptions)[name as keyof BrowserOptions] !== undefined,
    )
    if (beside !== undefined)
      throw new InvalidOptionError(
        `${where}: "${beside}" belongs to the environment, which is given; give it to browserEnvironment`,
      )
    return options.environment
  }
  return browserEnvironment(pickKeys(options as BrowserOptions, browserOptionKeys))
}

/**
 * Opens a Hugging Face model, or any .onnx file.
 *
 * @param path URL of a folder with `config.json` and `model.safetensors`, or a path in `options.files`
 * @throws InvalidModelError if the folder is incomplete, damaged, or of an unknown architecture
 * @throws FileError if it cannot be fetched
 * @example
 * const model = await loadModel('https://example.org/SmolLM2-135M', { device: 'webgpu' })
 */
export const loadModel = (path: string, given: LoadOptions = {}): Promise<Model> => {
  const options = snapshot(given)
  const folder = path.replace(/\/+$/, '')
  return Promise.resolve().then(() =>
    Model.load(folder, environmentOf(options, 'loadModel'), pickKeys(options, modelOptionKeys), folder),
  )
}

/**
 * Opens a tokenizer: text to the token ids that transformers' AutoTokenizer gives, and back.
 *
 * @param path URL of a folder with `tokenizer.json`, or of an `.onnx` file with a tokenizer beside it, or a path in
 *   `options.files`
 * @throws InvalidDataError if there is no `tokenizer.json`, it is damaged, or asks for a component that is not supported
 * @throws FileError if it cannot be fetched
 * @example
 * const tokenizer = await loadTokenizer('https://example.org/SmolLM2-135M')
 * const ids = tokenizer.encode('Hello', { addSpecialTokens: false })
 */
export const loadTokenizer = (path: string, given: LoadOptions = {}): Promise<Tokenizer> => {
  const options = snapshot(given)
  return Promise.resolve().then(() => openTokenizer(environmentOf(options, 'loadTokenizer').files, path.replace(/\/+$/, '')))
}

/**
 * The labels that rows have, as options of `loadModel` for a fresh head: names in alphabetical order, or how many.
 *
 * @param data URLs of files of rows, or paths in `options.files`
 * @param given `task`: `token-classification` reads a list of labels a row, every other task one label
 * @throws InvalidDataError naming the row that has none, or one of another kind than those before
 */
export const collectLabels = (data: string | readonly string[], given: LoadOptions = {}): Promise<CollectedLabels> => {
  const options = snapshot(given)
  const files = snapshot(data)
  return Promise.resolve().then(() =>
    collectLabelsOf(environmentOf(options, 'collectLabels').files, files, options.task ?? 'sequence-classification'),
  )
}

/**
 * Puts a new LoRA adapter on a model.
 *
 * @param options PEFT's names in camelCase; `r` 8 and the architecture's default targets unless said
 * @example
 * const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: ['q_proj', 'v_proj'] })
 */
export const addLora = (model: Model, options: LoraOptions = {}): Promise<Adapter> => createLora(model, options)

/** Loads a PEFT adapter, from a URL or a path in the model's files, onto a model, strictly. */
export const loadAdapter = (model: Model, path: string, options: LoadAdapterOptions = {}): Promise<Adapter> => {
  checkKeys(options, { onWarning: true } satisfies OptionKeys<LoadAdapterOptions>, 'loadAdapter')
  return loadAdapterOf(model, path.replace(/\/+$/, ''), options)
}

/** Describes what a URL or path holds: a model, an adapter, a `.safetensors` or an `.onnx` file. */
export const inspect = (path: string, given: LoadOptions = {}): Promise<Inspection> => {
  const options = snapshot(given)
  return Promise.resolve().then(() => inspectWith(path, environmentOf(options, 'inspect'), pickKeys(options, inspectOptionKeys)))
}

const withoutEnvironment = <T extends { environment: Environment }>({ environment: _, ...rest }: T): Omit<T, 'environment'> =>
  rest

/** Writes an adapter in another file format. */
export const convert = (from: string, to: string, options: ConvertOptions & { environment: Environment }): Promise<Conversion> =>
  convertWith(from, to, withoutEnvironment(options), options.environment)

export * from './public.js'
export { browserEnvironment, type BrowserOptions } from './browser-environment.js'
export type { Files } from './io/files.js'
export { handleFiles } from './io/handle-files.js'
export { memoryFiles, type MemoryFiles } from './io/memory-files.js'

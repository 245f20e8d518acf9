/** @file lowrank in a browser: the same names as in Node, on WebAssembly or WebGPU. package.json chooses this entry for bundlers. */
import { browserEnvironment, type BrowserOptions } from './browser-environment.js'
import { createLora, loadAdapter as loadAdapterOf, type Adapter, type LoraOptions } from './core/adapter.js'
import { convert as convertWith, type Conversion, type ConvertOptions } from './core/convert.js'
import type { Environment } from './core/environment.js'
import { inspect as inspectWith, type Inspection } from './core/inspect.js'
import { Model } from './core/model.js'
import type { OnnxOptions } from './core/onnx-model.js'

/** Where and how a model runs: options for an environment, or one that is there already. */
export type LoadOptions = (BrowserOptions | { readonly environment: Environment }) & OnnxOptions

const environmentOf = (options: LoadOptions): Environment =>
  'environment' in options ? options.environment : browserEnvironment(options)

/**
 * Opens a Hugging Face model, or any .onnx file.
 *
 * @param path URL of a folder with `config.json` and `model.safetensors`, or a path in `options.files`
 * @throws InvalidModelError if the folder is incomplete, damaged, or of an unknown architecture
 * @throws FileError if it cannot be fetched
 * @example
 * const model = await loadModel('https://example.org/SmolLM2-135M', { device: 'webgpu' })
 */
export const loadModel = (path: string, options: LoadOptions = {}): Promise<Model> => {
  const folder = path.replace(/\/+$/, '')
  return Promise.resolve().then(() => Model.load(folder, environmentOf(options), options, folder))
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
export const loadAdapter = (model: Model, path: string): Promise<Adapter> => loadAdapterOf(model, path.replace(/\/+$/, ''))

/** Describes what a URL or path holds: a model, an adapter, a `.safetensors` or an `.onnx` file. */
export const inspect = (path: string, options: LoadOptions = {}): Promise<Inspection> =>
  Promise.resolve().then(() => inspectWith(path, environmentOf(options)))

/** Writes an adapter in another file format. */
export const convert = (from: string, to: string, options: ConvertOptions & { environment: Environment }): Promise<Conversion> =>
  convertWith(from, to, options, options.environment)

export type { Conversion, ConvertOptions } from './core/convert.js'
export { Adapter, type LoraOptions } from './core/adapter.js'
export { Model } from './core/model.js'
export { FolderModel } from './core/folder-model.js'
export { OnnxModel, type OnnxOptions } from './core/onnx-model.js'
export type { TaskOption } from './core/onnx/task.js'
export type { ProblemType, Task, TaskName } from './models/task.js'
export type { AdapterFileInspection } from './core/inspect-torch.js'
export type {
  AdapterInspection,
  FileInspection,
  InspectedModule,
  InspectedTarget,
  Inspection,
  ModelInspection,
} from './core/inspect.js'
export { merge, type Merged, type MergeResult } from './core/merge.js'
export { exportOnnx, exportWithAdapterInputs } from './core/export.js'
export type { ExportOptions, ExportResult } from './core/export-model.js'
export type { Environment } from './core/environment.js'
export type { Communicator } from './distributed/communicator.js'
export { train } from './train/trainer.js'
export { planTraining, type TrainingPlan } from './train/plan/index.js'
export type { MachineRates } from './train/plan/rates.js'
export {
  generate,
  generateStream,
  type BeamGeneration,
  type FinishReason,
  type GenerateEvent,
  type GenerateOptions,
  type Generation,
} from './generate/generate.js'
export type { BeamOptions } from './generate/beam-options.js'
export { generateBatch, type BatchOptions, type BatchPrompt } from './generate/generate-batch.js'
export { AdapterSet, type AdapterSetOptions } from './core/adapter-set.js'
export { forward, logits, type ForwardOptions } from './core/forward.js'
export { combineAdapters, type CombineOptions, type WeightedAdapter } from './core/combine.js'
export { combinationTypes, type CombinationType } from './adapters/combine/combine-layer.js'
export { extractLora, type ExtractedLayer, type Extraction, type ExtractOptions } from './core/extract.js'
export type { TrainOptions } from './train/options.js'
export type { CheckpointEvent, DoneEvent, EvalEvent, StartEvent, StepEvent, TrainEvent, WarningEvent } from './train/events.js'
export { fullTrainee, type Trainee } from './train/trainee.js'
export { initializeEva, type EvaOptions } from './train/initialize-eva.js'
export { evaluate, type EvaluateOptions, type Evaluation } from './train/evaluate.js'
export type { BuiltLoss, LossFunction, LossInputs } from './train/objectives/custom.js'
export type { ObjectiveOptions } from './train/objectives/index.js'
export type { PreferenceLossType } from './losses/preference.js'
export type { SimilarityLossName } from './train/objectives/similarity.js'
export type { Pooling } from './losses/similarity.js'
export { browserEnvironment, type BrowserOptions } from './browser-environment.js'
export type { Files } from './io/files.js'
export { handleFiles } from './io/handle-files.js'
export { memoryFiles, type MemoryFiles } from './io/memory-files.js'
export {
  FileError,
  HubError,
  InvalidAdapterError,
  InvalidDataError,
  InvalidModelError,
  InvalidOptionError,
  LowrankError,
  RuntimeError,
  ShapeError,
  TrainingError,
  UnsupportedOpError,
} from './errors.js'
export * as nn from './nn/index.js'
export {
  Conv1d,
  Conv2d,
  Conv3d,
  Embedding,
  Linear,
  loraStateDict,
  markOnlyLoraAsTrainable,
  MergedLinear,
  trainModule,
} from './nn/index.js'

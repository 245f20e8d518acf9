/** @file lowrank: LoRA for JavaScript. Everything public of the Node entry, by name. */
import { addLora as addLoraTo, loadAdapter as loadAdapterOf, type Adapter, type LoraOptions } from './core/adapter.js'
import { Model } from './core/model.js'
import { nodeEnvironment } from './node-environment.js'
import type { RuntimeOptions } from './runtime/runtime.js'

/** Where and how a model runs. */
export type LoadOptions = RuntimeOptions

/**
 * Opens a Hugging Face model folder. Weights stay on disk and are never changed.
 *
 * @param path folder with `config.json` and `model.safetensors` (or shards)
 * @throws InvalidModelError if the folder is incomplete, damaged, or of an unknown architecture
 * @example
 * const model = await loadModel('./SmolLM2-135M')
 */
export const loadModel = (path: string, options: LoadOptions = {}): Promise<Model> => Model.open(path, nodeEnvironment(options))

/**
 * Puts a new LoRA adapter on a model.
 *
 * @param options PEFT's names in camelCase; `r` 8 and the architecture's default targets unless said
 * @example
 * const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: ['q_proj', 'v_proj'] })
 */
export const addLora = (model: Model, options: LoraOptions = {}): Promise<Adapter> => Promise.resolve().then(() => addLoraTo(model, options))

/** Loads a PEFT adapter folder onto a model, strictly. */
export const loadAdapter = (model: Model, path: string): Promise<Adapter> => loadAdapterOf(model, path)

export { Adapter, type LoraOptions } from './core/adapter.js'
export { Model } from './core/model.js'
export { merge, type Merged, type MergeResult } from './core/merge.js'
export type { Environment } from './core/environment.js'
export { train } from './train/trainer.js'
export type { TrainOptions } from './train/options.js'
export type { CheckpointEvent, DoneEvent, EvalEvent, StartEvent, StepEvent, TrainEvent, WarningEvent } from './train/events.js'
export { fullTrainee, type Trainee } from './train/trainee.js'
export { evaluate, type EvaluateOptions, type Evaluation } from './train/evaluate.js'
export { nodeEnvironment } from './node-environment.js'
export {
  FileError,
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

/** @file What the entries for Node and for browsers have in common: every name that needs neither. */
export type { Conversion, ConvertOptions } from './adapter/convert.js'
export { Adapter, createLora as addLora, type LoraOptions, type SaveOptions } from './adapter/adapter.js'
export type { Model } from './model/model.js'
export type { ModelOptions } from './load-model.js'
export type { Tokenizer } from './data/tokenizer.js'
export { FolderModel } from './model/folder-model.js'
export { OnnxModel, type OnnxOptions } from './onnx-model/onnx-model.js'
export type { DimOverrides } from './lower/file-dims.js'
export type { InputConstant, InputConstants } from './lower/input-constants.js'
export type { ProblemType, Task, TaskName, TaskOption } from './models/task.js'
export type { HeadOptions } from './models/new-head.js'
export type { CollectedLabels } from './data/collect-labels.js'
export type { AdapterFileInspection } from './inspect/inspection.js'
export type {
  AdapterInspection,
  FileInspection,
  InspectedModule,
  InspectedTarget,
  Inspection,
  InspectOptions,
  ModelInspection,
} from './inspect/inspection.js'
export { merge, type Merged, type MergeOptions, type MergeResult } from './adapter/merge.js'
export { exportOnnx, exportWithAdapterInputs } from './adapter/export.js'
export type { ExportOptions, ExportResult } from './adapter/export-model.js'
export type { Environment } from './environment.js'
export type { Communicator } from './distributed/communicator.js'
export { train } from './train/trainer.js'
export { planTraining, type TrainingPlan } from './plan/index.js'
export type { MachineRates } from './plan/rates.js'
export { generate, generateStream } from './generate/generate.js'
export type { BeamGeneration, FinishReason, GenerateEvent, Generation } from './generate/generation.js'
export type { GenerateOptions } from './generate/generate-options.js'
export type { BeamOptions } from './generate/beam-options.js'
export { generateBatch, type BatchOptions, type BatchPrompt } from './generate/generate-batch.js'
export { AdapterSet, type AdapterSetOptions } from './adapter/adapter-set.js'
export { forward, logits, type ForwardOptions } from './adapter/forward.js'
export { combineAdapters, type CombineOptions, type WeightedAdapter } from './adapter/combine.js'
export { combinationTypes, type CombinationType } from './adapters/combine/combine-layer.js'
export { extractLora, type ExtractedLayer, type Extraction, type ExtractOptions } from './adapter/extract.js'
export type { TrainOptions } from './train/options.js'
export type {
  CheckingEvent,
  CheckpointEvent,
  DoneEvent,
  EndReason,
  ErrorEvent,
  EvalEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
  WarningEvent,
} from './train/events.js'
export { fullTrainee, type Trainee } from './train/trainee.js'
export { initializeEva, type EvaOptions } from './train/initialize-eva.js'
export { evaluate, type EvaluateOptions, type Evaluation } from './train/evaluate.js'
export type { BuiltLoss, LossFunction, LossInputs } from './train/objectives/custom.js'
export type { ObjectiveOptions } from './train/objectives/index.js'
export type { PreferenceLossType } from './losses/preference.js'
export type { SimilarityLossName } from './train/objectives/similarity.js'
export type { Pooling } from './losses/embedding.js'
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

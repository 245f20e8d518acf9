/** @file What the entries for Node and for browsers have in common: every name that needs neither. */
export type { Conversion, ConvertOptions } from './adapter/convert.js'
export { Adapter, addLora, type LoadAdapterOptions, type LoraOptions, type SaveOptions } from './adapter/adapter.js'
export { startFrom, type AdapterStart } from './adapter/start-from.js'
export type { Model } from './model/model.js'
export type { ModelOptions } from './load-model.js'
export type { DialogueOptions, MaskedTokens, PlacedText, Tokenizer, TokenSpan, TurnEnd } from './data/tokenizer.js'
export type { PlacedToken } from './tokenizer/pipeline.js'
export type { EncodedText } from './data/text-pairs.js'
export type { Message, TemplateVariables } from './data/messages.js'
export type { InitLoraWeights, LoraConfig } from './adapters/lora-config.js'
export type { LoraTarget } from './adapters/lora.js'
export type { TensorRole } from './adapters/part.js'
export type { ParameterVector, ParameterSpec } from './adapter/parameter-vector.js'
export type { DisposableResource } from './util/disposable.js'
export { VERSION } from './util/version.js'
export { FolderModel } from './model/folder-model.js'
export { OnnxModel, type OnnxOptions } from './onnx-model/onnx-model.js'
export type { DimOverrides } from './lower/file-dims.js'
export type { InputConstant, InputConstants } from './lower/input-constants.js'
export type { CacheLayout, ModelGraph } from './models/architecture.js'
export { randomWeights, weightShapes, type WeightOptions } from './models/config-weights.js'
export { Random, type RandomState } from './util/rng.js'
export type { BuildOptions, ModelDropout } from './models/build-options.js'
export { taskNames, type ProblemType, type Task, type TaskName, type TaskOption } from './models/task.js'
export type { HeadOptions } from './models/new-head.js'
export type { Columns } from './data/column-names.js'
export type { RowReading } from './data/row-reading.js'
export type { DataRow, RowData, RowIterable } from './data/row-data.js'
export type { LabelOptions } from './library.js'
export type { CollectedLabels } from './data/collect-labels.js'
export type {
  BadRow,
  DataInspection,
  EpochCost,
  LabelCount,
  LengthBin,
  LengthSummary,
  Overlap,
  RowPair,
  RowPlace,
  RowsInspection,
  ShownRow,
  ShownSequence,
} from './inspect-data/data-inspection.js'
export type { DataInspectionOptions } from './inspect-data/options.js'
export type { AdapterFileInspection, InspectedPair } from './inspect/inspection.js'
export type {
  AdapterInspection,
  FileInspection,
  InspectedModule,
  InspectedTarget,
  Inspection,
  InspectOptions,
  ModelInspection,
} from './inspect/inspection.js'
export { analyzeAdapter, type AdapterAnalysis, type AnalyzedLayer, type AnalyzeOptions } from './analyze/analyze-adapter.js'
export type { Amplification } from './analyze/amplification.js'
export type { LeftOut } from './analyze/branches.js'
export {
  compareAdapters,
  type AdapterComparison,
  type ComparedLayer,
  type ComparedMatrix,
  type CompareOptions,
} from './analyze/compare-adapters.js'
export type { SimilarityGrid } from './analyze/similarity.js'
export type { Spectrum } from './analyze/spectrum.js'
export { analysisPage, type NamedAnalysis, type NamedComparison } from './report/analysis-page.js'
export { similarityPicture } from './report/similarity-picture.js'
export { merge, type Merged, type MergeOptions, type MergeResult } from './adapter/merge.js'
export { exportOnnx, exportWithAdapterInputs } from './adapter/export.js'
export type { OnnxFileSizes } from './export/onnx-file.js'
export type { ExportDType } from './export/onnx-folder.js'
export type { ExportOptions, ExportResult } from './adapter/export-model.js'
export type { Environment } from './environment.js'
export type { JsonValue } from './util/python-json.js'
export type { Files } from './io/files.js'
export type { Device, Runtime, RuntimeOptions, Session, SessionOptions } from './runtime/runtime.js'
export { baseSchemes, type BaseScheme } from './quantize/index.js'
export type { SentenceSettings } from './formats/sentence-folder.js'
export type { Within } from './library.js'
export type { Communicator, Copyable, Summable } from './distributed/communicator.js'
export { train } from './train/trainer.js'
export { planTraining, type TrainingPlan } from './plan/index.js'
export { measureRates, type MachineRates } from './plan/rates.js'
export type { ProductKind } from './plan/work.js'
export { generate, generateStream } from './generate/generate.js'
export type { BeamGeneration, FinishReason, GenerateEvent, Generation, SampledText } from './generate/generation.js'
export type { BatchOptions, BatchPrompt, GenerateOptions, PromptOption, TextOptions } from './generate/generate-options.js'
export type { Constraint, ConstraintState, TokenSet } from './generate/constraint.js'
export { jsonObjectConstraint, jsonSchemaConstraint, type JsonSchema } from './constrain/json-constraint.js'
export { ToolCalls, ToolCallReader, type ToolChoice } from './tool-calls/tool-calls.js'
export type { ToolCall, ToolCallEvent } from './tool-calls/tool-call-parser.js'
export type { Tool } from './tool-calls/tool.js'
export type { LikelyToken, TokenLogprob } from './generate/logprobs.js'
export type { SamplingOptions } from './generate/sampling-options.js'
export type { BeamOptions } from './generate/beam-options.js'
export { generateBatch } from './generate/generate-batch.js'
export { ContinuousBatch, type ContinuousBatchOptions } from './generate/continuous-batch.js'
export type { ContinuousPrompt } from './generate/continuous-prompt.js'
export { AdapterSet, type AdapterSetOptions } from './adapter/adapter-set.js'
export type { RowAdapters, ScaledAdapter } from './adapter/row-adapters.js'
export { forward, logits, type ForwardOptions, type Tensors } from './adapter/forward.js'
export { combineAdapters, type CombineOptions, type WeightedAdapter } from './adapter/combine.js'
export { combinationTypes, type CombinationType } from './adapters/combine/combine-layer.js'
export type { MajoritySignMethod } from './adapters/combine/merge-tensors.js'
export { extractLora, type ExtractedLayer, type Extraction, type ExtractOptions } from './adapter/extract.js'
export type { TrainOptions } from './train/options.js'
export { presetNames, type PresetName } from './train/preset-names.js'
export {
  presetOptions,
  presets,
  type Preset,
  type PresetCondition,
  type PresetLoadOptions,
  type PresetModel,
  type PresetOptions,
  type PresetSetting,
  type PresetSettings,
} from './train/presets.js'
export type { MetricForBest } from './train/best.js'
export { trackerNames, type TrackerName } from './tracking/index.js'
export type { AdamWName } from './optim/adamw.js'
export type { ScheduleName, SchedulePoints } from './optim/schedule.js'
export type {
  CheckingEvent,
  CheckpointEvent,
  DoneEvent,
  EndReason,
  ErrorEvent,
  EvalEvent,
  Sample,
  SamplesEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
  WarningEvent,
} from './train/events.js'
export { fullTrainee, type Trainee, type TraineeGraph } from './train/trainee.js'
export { initializeEva, type EvaOptions } from './train/initialize-eva.js'
export { evaluate } from './train/evaluate.js'
export type { Evaluation } from './train/evaluation.js'
export { evaluateTexts, type EvaluateTextsOptions, type TextEvaluation } from './train/evaluate-texts.js'
export type { MetricName, MetricScore, Scores } from './metrics/score.js'
export type { Segment, SegmentScore } from './metrics/segment.js'
export type { TokenizerName } from './metrics/tokenize/tokenizers.js'
export type { EvaluateOptions } from './train/evaluate-options.js'
export { predict } from './predict/predict.js'
export { embed } from './predict/embed.js'
export type { PredictInput } from './predict/inputs.js'
export type { EmbedOptions, PredictOptions } from './predict/options.js'
export type {
  AnswerPrediction,
  AnswerSpan,
  EmbeddingPrediction,
  EntitySpan,
  LabelPrediction,
  LabelScore,
  LabelsPrediction,
  Prediction,
  SimilarityPrediction,
  TagsPrediction,
  ValuePrediction,
  WordTag,
} from './predict/prediction.js'
export type { BuiltLoss, LossFunction, LossInputs } from './train/objectives/custom.js'
export type { ObjectiveOptions } from './train/objectives/options.js'
export {
  dpoLossTypes,
  ktoLossTypes,
  preferenceLossTypes,
  type DpoLossType,
  type KtoLossType,
  type PreferenceLossType,
} from './losses/preference-loss-types.js'
export type { SimilarityLossName } from './losses/similarity.js'
export { poolings, type EmbeddingLayer, type Pooling } from './losses/embedding.js'
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

/** @file Public surface of `lowrank/nn`: networks of one's own with LoRA layers in them, as loralib's users build them. */
export { Module, initialize, type Named } from './module.js'
export { Parameter, ModuleBuffer, constant, kaiming, normal, type InitFunction } from './parameter.js'
export { ForwardBuilder } from './forward-builder.js'
export { LoraLayer, type LoraLayerOptions } from './lora-layer.js'
export { Linear, MergedLinear, type LinearLayer, type LinearOptions, type MergedLinearOptions } from './linear.js'
export { Embedding, type EmbeddingInit, type EmbeddingOptions } from './embedding.js'
export { Conv1d, Conv2d, Conv3d, type ConvNd, type ConvOptions, type PerAxis } from './convolution.js'
export { BatchNorm2d, LayerNorm, RMSNorm, type BatchNormOptions, type NormOptions } from './normalization.js'
export { Dropout, Flatten, GELU, ReLU, Sigmoid, SiLU, Tanh } from './activations.js'
export { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d, type Pool2d, type PoolOptions } from './pooling.js'
export { Lambda, Residual, Sequential } from './containers.js'
export { loraStateDict, markOnlyLoraAsTrainable, merge, type BiasMode } from './lora-state.js'
export {
  floats,
  loadStateDict,
  readTensors,
  saveTensors,
  stateDict,
  type LoadedState,
  type LoadStateOptions,
  type StateDict,
} from './state-dict.js'
export { buildGraph, Predictor, type BuiltGraph, type InputType, type ModelInput } from './build.js'
export { takeRows } from '../graph/take-rows.js'
export type { ModuleBatch } from './batches.js'
export type { LossChoice, LossFunction } from './losses.js'
export type { AdamWChoice, OptimizerChoice, SgdChoice } from './optimizer.js'
export { trainModule, type ModuleTrainEvent, type TrainModuleOptions } from './train-module.js'
export type { ModuleDoneEvent, ModuleEvalEvent, ModuleStartEvent, ModuleStepEvent } from './train-module.js'
export type { Random, RandomState } from '../util/rng.js'
export type { Value } from '../graph/types.js'

/** @file What an inspection tells. */
import type { LoraConfig } from '../adapters/lora-config.js'
import type { OnnxOptions } from '../onnx-model/onnx-model.js'
import type { TaskName } from '../models/task.js'
import type { OptionKeys } from '../util/option-keys.js'

/** A layer that can be adapted. */
export interface InspectedModule {
  /** Module path, as `target_modules` match it. */
  readonly name: string
  /** `Linear`, `Conv1D`, an ONNX operator, or `matrix` where a file does not tell. */
  readonly kind: string
  /** Of the weight, as stored. */
  readonly shape: readonly number[]
  /** Parameters of the weight. */
  readonly parameters: number
  /** What is special about adapting it. */
  readonly notes?: readonly string[]
}

/** A layer of a PEFT adapter. */
export interface InspectedTarget {
  /** Module path. */
  readonly name: string
  /** Rank. */
  readonly r: number
  /** `lora_alpha` of the layer. */
  readonly alpha: number
  /** What the branch is multiplied by. */
  readonly scale: number
  /** Length of a row before the layer. */
  readonly inFeatures: number
  /** Length of a row after it. */
  readonly outFeatures: number
  /** Of A and B together. */
  readonly parameters: number
}

/** A model folder. */
export interface ModelInspection {
  /** Tells the kinds of inspections apart. */
  readonly kind: 'model'
  /** The folder. */
  readonly path: string
  /** `model_type` of config.json. */
  readonly architecture: string
  /** Numbers of the weights; tied ones count once. */
  readonly parameters: number
  /** Element types of the weights on disk. */
  readonly dtypes: readonly string[]
  /** Number of token ids. */
  readonly vocabularySize: number
  /** Most positions of a row. */
  readonly maxPositions: number
  /** PEFT's default for the architecture. */
  readonly defaultTargetModules: readonly string[]
  /** Layers that can be adapted. */
  readonly modules: readonly InspectedModule[]
}

/** A PEFT folder. */
export interface AdapterInspection {
  /** Tells the kinds of inspections apart. */
  readonly kind: 'adapter'
  /** The folder. */
  readonly path: string
  /** `base_model_name_or_path`. */
  readonly baseModel: string | null
  /** Rank, but for layers that `rankPattern` names. */
  readonly r: number
  /** `lora_alpha`, but for layers that `alphaPattern` names. */
  readonly alpha: number
  /** `lora_dropout`. */
  readonly dropout: number
  /** Whether the branch is scaled by alpha/√r. */
  readonly useRslora: boolean
  /** Ranks by patterns of module paths. */
  readonly rankPattern: Readonly<Record<string, number>>
  /** Alphas by patterns of module paths. */
  readonly alphaPattern: Readonly<Record<string, number>>
  /** As the configuration has it. */
  readonly targetModules: LoraConfig['targetModules']
  /** The head that it brings to its base, and the names of its labels: what its head_config.json says. */
  readonly head?: { readonly task: TaskName; readonly labels: readonly string[] }
  /** Numbers of all tensors. */
  readonly parameters: number
  /** Size of the tensors' file. */
  readonly bytes: number
  /** Layers with a branch. */
  readonly modules: readonly InspectedTarget[]
}

/** A layer of an adapter. */
export interface InspectedPair {
  /** Module path. */
  readonly name: string
  /** Rank. */
  readonly r: number
  /** Length of a row before the layer. */
  readonly inFeatures: number
  /** Length of a row after it. */
  readonly outFeatures: number
  /** Of A and B together. */
  readonly parameters: number
}

/** An adapter in another format than PEFT's folder. */
export interface AdapterFileInspection {
  /** Tells the kinds of inspections apart. */
  readonly kind: 'adapter-file'
  /** The file or folder. */
  readonly path: string
  /** Name of the format, as `convert` calls it. */
  readonly format: string
  /** What the file says of its base model. */
  readonly baseModel: string | null
  /** Rank, but for layers that have one of their own. */
  readonly r: number
  /** Null where the file does not tell it. */
  readonly alpha: number | null
  /** As PEFT's configuration of it would have them. */
  readonly targetModules: readonly string[]
  /** Modules that are stored whole. */
  readonly modulesToSave: readonly string[] | null
  /** Which biases are stored. */
  readonly bias: string
  /** Numbers of all tensors. */
  readonly parameters: number
  /** Size of the file, or of the folder's files of tensors. */
  readonly bytes: number
  /** Number of tensors. */
  readonly tensors: number
  /** Layers with a branch. */
  readonly modules: readonly InspectedPair[]
  /** What was assumed or left out. */
  readonly notes: readonly string[]
}

/** A file of tensors or a graph. */
export interface FileInspection {
  /** Tells the kinds of inspections apart. */
  readonly kind: 'safetensors' | 'onnx' | 'torch' | 'gguf'
  /** The file. */
  readonly path: string
  /** Numbers of all tensors. */
  readonly parameters: number
  /** Size of the file. */
  readonly bytes: number
  /** Number of tensors. */
  readonly tensors: number
  /** Metadata of a safetensors file; operator sets, inputs, outputs and task of an ONNX file; the container of a torch file; keys of a GGUF file. */
  readonly metadata: Readonly<Record<string, string>>
  /** Layers that can be adapted. */
  readonly modules: readonly InspectedModule[]
  /** Nodes of an ONNX file that cannot be trained through, and what to do about each. */
  readonly unsupported?: readonly string[]
}

/** What {@link inspect} found; `kind` tells them apart. */
export type Inspection = ModelInspection | AdapterInspection | AdapterFileInspection | FileInspection

/** What an `.onnx` file leaves open. */
export type InspectOptions = Pick<OnnxOptions, 'constants' | 'dims'>

export const inspectOptionKeys = { constants: true, dims: true } satisfies OptionKeys<InspectOptions>

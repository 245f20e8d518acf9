/** @file What an inspection tells. */
import type { LoraConfig } from '../adapters/lora-config.js'
import type { OnnxOptions } from '../onnx-model/onnx-model.js'
import type { OptionKeys } from '../util/option-keys.js'

/** A layer that can be adapted. */
export interface InspectedModule {
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

export interface InspectedTarget {
  readonly name: string
  readonly r: number
  readonly alpha: number
  readonly scale: number
  readonly inFeatures: number
  readonly outFeatures: number
  /** Of A and B together. */
  readonly parameters: number
}

export interface ModelInspection {
  readonly kind: 'model'
  readonly path: string
  readonly architecture: string
  readonly parameters: number
  /** Element types of the weights on disk. */
  readonly dtypes: readonly string[]
  readonly vocabularySize: number
  readonly maxPositions: number
  readonly defaultTargetModules: readonly string[]
  readonly modules: readonly InspectedModule[]
}

export interface AdapterInspection {
  readonly kind: 'adapter'
  readonly path: string
  readonly baseModel: string | null
  readonly r: number
  readonly alpha: number
  readonly dropout: number
  readonly useRslora: boolean
  readonly rankPattern: Readonly<Record<string, number>>
  readonly alphaPattern: Readonly<Record<string, number>>
  readonly targetModules: LoraConfig['targetModules']
  readonly parameters: number
  /** Size of the tensors' file. */
  readonly bytes: number
  readonly modules: readonly InspectedTarget[]
}

/** A layer of an adapter. */
export interface InspectedPair {
  readonly name: string
  readonly r: number
  readonly inFeatures: number
  readonly outFeatures: number
  /** Of A and B together. */
  readonly parameters: number
}

/** An adapter in another format than PEFT's folder. */
export interface AdapterFileInspection {
  readonly kind: 'adapter-file'
  readonly path: string
  /** Name of the format, as `convert` calls it. */
  readonly format: string
  readonly baseModel: string | null
  readonly r: number
  /** Null where the file does not tell it. */
  readonly alpha: number | null
  readonly targetModules: readonly string[]
  readonly modulesToSave: readonly string[] | null
  readonly bias: string
  readonly parameters: number
  readonly bytes: number
  readonly tensors: number
  readonly modules: readonly InspectedPair[]
  readonly notes: readonly string[]
}

export interface FileInspection {
  readonly kind: 'safetensors' | 'onnx' | 'torch' | 'gguf'
  readonly path: string
  readonly parameters: number
  readonly bytes: number
  readonly tensors: number
  /** Metadata of a safetensors file; operator sets, inputs, outputs and task of an ONNX file; the container of a torch file; keys of a GGUF file. */
  readonly metadata: Readonly<Record<string, string>>
  readonly modules: readonly InspectedModule[]
  /** Nodes of an ONNX file that cannot be trained through, and what to do about each. */
  readonly unsupported?: readonly string[]
}

export type Inspection = ModelInspection | AdapterInspection | AdapterFileInspection | FileInspection

/** What an `.onnx` file leaves open. */
export type InspectOptions = Pick<OnnxOptions, 'constants' | 'dims'>

export const inspectOptionKeys = { constants: true, dims: true } satisfies OptionKeys<InspectOptions>

/** @file What an architecture declares: its names, its default targets and how its graph is built. */
import type { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'
import type { ConfigReader } from './config-reader.js'
import type { ModelBuilder } from './model-builder.js'
import type { Task, TaskName } from './task.js'
import type { Renamings } from './former-names.js'

/** A model family. One file each in this folder; `registry.ts` lists them. */
export interface Architecture {
  /** `model_type` values of config.json that this file builds. */
  readonly modelTypes: readonly string[]
  /** What transformers' class names begin with (`Bert` of `BertForMaskedLM`), in the order of `modelTypes`. */
  readonly classPrefixes: readonly string[]
  /** PEFT's default `target_modules` for the family. */
  readonly defaultTargetModules: readonly string[]
  /** Names of tensors in published checkpoints that are no weights (buffers of older versions). */
  readonly ignoredTensors?: RegExp
  /**
   * Names of tensors that a checkpoint may carry although the task at hand has no use for them: heads of other tasks and
   * of pretraining, poolers. All that lies outside the base model is among them.
   */
  readonly spareTensors?: RegExp
  /** Prefix of the base model inside the full one, for checkpoints saved without it (`transformer.`, `model.`). */
  readonly baseModelPrefix: string
  /** Prefixes that the base model has in the classes of other tasks (`transformer.` in `LlamaForQuestionAnswering`). */
  readonly otherPrefixes?: readonly string[]
  /** Prefix of the base model in the class of a task; none in the bare class of `feature-extraction`, else `baseModelPrefix`. */
  prefixFor?(task: Task): string
  /** Tasks that the family has heads for, the usual one first; `causal-lm` alone by default. */
  readonly tasks?: readonly TaskName[]
  /** Names that modules had in other versions of transformers, one table for each. Checkpoints may have those of the first. */
  readonly formerNames?: readonly Renamings[]
  /** Paths of modules that are never built (what sees, heads of pretraining): adapters of them are carried, not run. */
  readonly unreadModules?: RegExp
  /** Whether `build` puts in the dropouts of config.json where the options asks for them. */
  readonly dropsOut?: boolean
  /** Name of a tensor in our graph for one of a checkpoint, for published names of other versions (`gamma`, `beta`). */
  renameTensor?(name: string): string
  /**
   * Reads what the graph needs from config.json, refusing values that would change the maths unsupported.
   * @param prefix of the base model's tensors and modules in the class for the task, see {@link prefixOf}
   */
  build(model: ModelBuilder, config: ConfigReader, task: Task, prefix: string): Backbone
}

/** Prefix of the base model's tensors and modules in transformers' class for a task: bare classes (`BertModel`) have none. */
export const prefixOf = (architecture: Architecture, task: Task): string =>
  architecture.prefixFor?.(task) ?? (task.name === 'feature-extraction' ? '' : architecture.baseModelPrefix)

/** What `build` returns. */
export interface Backbone {
  /** Final hidden states, [batch*sequence, hidden]. */
  readonly hidden: Value
  /** Of a language model: applies its head to rows of hidden states, [rows, hidden] to [rows, vocabulary]. */
  readonly head?: (hidden: Value) => Value
  /**
   * Of every other task: what the head says. Sequence and image classification [batch, labels], token classification
   * [batch, sequence, labels], question answering [batch, sequence, 2], feature extraction [batch, sequence, hidden].
   */
  readonly output?: Value
  readonly vocabularySize: number
  readonly maxPositions: number
  /** `present_key.N`, `present_value.N` of every layer (`present.N.key`, `present.N.value` for export), when built with a cache. */
  readonly present?: readonly Value[]
  /** Set when the graph was built with a cache: what generation must allocate per layer. */
  readonly cache?: CacheLayout
}

/** The keys and values that generation keeps: in each layer two arrays [batch, kvHeads, positions, headDim]. */
export interface CacheLayout {
  /** Layers with a cache. */
  readonly layers: number
  /** Heads of keys and values, which groups of queries share. */
  readonly kvHeads: number
  /** Numbers of one key. */
  readonly headDim: number
  /** A row that grows beyond so many positions must be read anew: its keys change (LongRoPE). */
  readonly rereadAbove?: number
}

/** A built model of any task. */
export interface ModelGraph {
  /** Its outputs are the task's, the main one first. */
  readonly graph: Graph
  /** What it is for. */
  readonly task: Task
  /** Final hidden states, [batch*sequence, hidden]: what the head of a language model reads. */
  readonly hidden: Value
  /** The first output of the graph: `logits`, or `last_hidden_state` of a model without a head. */
  readonly output: Value
  /** 0 where no tokens are read. */
  readonly vocabularySize: number
  /** Most positions of a row, 0 where no tokens are read. */
  readonly maxPositions: number
  /** Set when the graph was built with a cache. */
  readonly cache?: CacheLayout
}

/** A built language model. */
export interface LanguageModelGraph extends ModelGraph {
  /** [batch, sequence, vocabulary], or [batch, vocabulary] in `cached` mode. The same as `output`. */
  readonly logits: Value
}

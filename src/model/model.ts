/// <reference lib="esnext.disposable" preserve="true" />
/** @file A model as training, evaluation and adapters see it, whatever it was read from. */
import type { Tokenizer } from '../data/tokenizer.js'
import type { SentenceSettings } from '../formats/sentence-folder.js'
import type { HostTensor, Initializer, Value } from '../graph/types.js'
import type { TargetModule } from '../graph/target-module.js'
import type { InputConstants } from '../lower/input-constants.js'
import type { ModelGraph } from '../models/architecture.js'
import type { BuildOptions } from '../models/build-options.js'
import type { Task } from '../models/task.js'
import type { Environment } from '../environment.js'

/**
 * A frozen model: a graph that can be built, the layers of it that can be adapted, and what its rows must look like.
 * `FolderModel` is one with a config.json, `OnnxModel` any graph.
 */
export interface Model extends AsyncDisposable {
  /** Files and runtime that it uses. */
  readonly environment: Environment
  /** Folder or file the model was read from. */
  readonly path: string
  /** What an adapter's `base_model_name_or_path` says: the hub id, or the path. */
  readonly id: string
  /** What the model is for, and with it the loss, the rows and the metrics. */
  readonly task: Task
  /**
   * What the graph takes, labels not among them. Known names (`input_ids`, `attention_mask`, `position_ids`,
   * `token_type_ids`) come from a row's text or tokens; any other is a field of the rows. The first axis counts rows.
   */
  readonly inputs: readonly Value[]
  /** Inputs of an .onnx file that are constants here: those with which the model is another. */
  readonly constants?: InputConstants | undefined
  /** Constants by the names of the graph. */
  readonly weights: ReadonlyMap<string, Initializer>
  /** Layers that can be adapted, by module path. */
  readonly modules: ReadonlyMap<string, TargetModule>
  /** PEFT's default `target_modules`; empty where there are none. */
  readonly defaultTargetModules: readonly string[]
  /** Number of parameters; tied weights count once. */
  readonly parameterCount: number
  /** Number of token ids; 0 where no tokens are read. */
  readonly vocabularySize: number
  /** Most positions of a row; 0 where no tokens are read. */
  readonly maxPositions: number
  /** How its folder says that embeddings are made, where it is one of sentence-transformers. */
  readonly sentence?: SentenceSettings | undefined
  /** Fills the ends of rows, where the model names one. */
  readonly padTokenId: number | undefined

  /**
   * The graph of the frozen model.
   * @param weights others in place of the model's own, of the same names and shapes: training of every weight
   * @throws InvalidOptionError for options that the model cannot follow (a fixed graph cannot be packed or cached)
   */
  build(options: BuildOptions, weights?: ReadonlyMap<string, Initializer>): ModelGraph
  /** The tokenizer beside the model, or undefined if there is none (rows must then be tokenised already). */
  tokenizer(): Promise<Tokenizer | undefined>
  /** Whether {@link dispose} was called. */
  readonly disposed: boolean
  /** Gives back every session of the runtime that the model holds; what is running ends first. Nothing can be run on it then. */
  dispose(): Promise<void>
  /** Writes the model with other weights into a folder. */
  saveWeights(folder: string, weights: ReadonlyMap<string, HostTensor>): Promise<void>
}

/** @file A model as the user holds it: its folder, config, weights, tokenizer and runtime. */
import { InvalidModelError } from '../errors.js'
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.js'
import { openCheckpoint, type Checkpoint } from '../formats/checkpoint.js'
import { elementCount, type Initializer } from '../graph/types.js'
import type { Module } from '../graph/module.js'
import type { Architecture, BuildOptions, LanguageModelGraph } from '../models/architecture.js'
import { ConfigReader, type Json } from '../models/config-reader.js'
import { buildLanguageModel, findArchitecture, graphNames } from '../models/registry.js'
import type { Environment } from './environment.js'

/** A language model from a Hugging Face folder. Its weights stay on disk, untouched. */
export class Model {
  private tokenizerPromise: Promise<Tokenizer | undefined> | undefined

  private constructor(
    readonly environment: Environment,
    /** Folder the model was read from. */
    readonly path: string,
    /** What an adapter's `base_model_name_or_path` says: the hub id, or the folder. */
    readonly id: string,
    readonly config: ConfigReader,
    readonly architecture: Architecture,
    /** By the names of the graph, which are those of transformers' full model. */
    readonly weights: ReadonlyMap<string, Initializer>,
    /** Layers that can be adapted, by module path. */
    readonly modules: ReadonlyMap<string, Module>,
    readonly vocabularySize: number,
    readonly maxPositions: number,
  ) {}

  /**
   * Reads the headers of a model folder and checks every tensor against the config.
   * @param id what to call the model in adapters; the folder unless said
   * @throws InvalidModelError if the folder is incomplete, damaged or of an unknown architecture
   */
  static async open(path: string, environment: Environment, id = path): Promise<Model> {
    const { files } = environment
    const configPath = `${path}/config.json`
    if (!(await files.isDirectory(path))) throw new InvalidModelError(`model folder "${path}" does not exist`)
    if (!(await files.exists(configPath)))
      throw new InvalidModelError(
        `"${path}" holds no config.json; expected a Hugging Face model folder (config.json and model.safetensors)`,
      )
    let json: unknown
    try {
      json = JSON.parse(await files.readText(configPath))
    } catch (cause) {
      throw new InvalidModelError(`${configPath} is not valid JSON: ${(cause as Error).message}`, { cause })
    }
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new InvalidModelError(`${configPath} must hold a JSON object`)
    const config = new ConfigReader(json as Record<string, Json>, configPath)
    const architecture = findArchitecture(config)
    const checkpoint: Checkpoint = await openCheckpoint(files, path)
    const names = graphNames(architecture, checkpoint.weights.keys())
    const weights = new Map([...names].map(([from, to]) => [to, checkpoint.weights.get(from)!]))
    const built = buildLanguageModel(config, weights, { mode: 'full', positions: 1 }, path)
    return new Model(
      environment,
      path,
      id,
      config,
      architecture,
      weights,
      built.graph.modules,
      built.vocabularySize,
      built.maxPositions,
    )
  }

  /** A model from a config and weights in memory: for tests, benchmarks and training from scratch. */
  static fromWeights(
    environment: Environment,
    config: ConfigReader,
    weights: ReadonlyMap<string, Initializer>,
    options: { path?: string; tokenizer?: Tokenizer } = {},
  ): Model {
    const path = options.path ?? config.source
    const built = buildLanguageModel(config, weights, { mode: 'full', positions: 1 }, path)
    const model = new Model(
      environment,
      path,
      path,
      config,
      findArchitecture(config),
      weights,
      built.graph.modules,
      built.vocabularySize,
      built.maxPositions,
    )
    if (options.tokenizer !== undefined) model.tokenizerPromise = Promise.resolve(options.tokenizer)
    return model
  }

  /** The graph of the frozen model. */
  build(options: BuildOptions): LanguageModelGraph {
    return buildLanguageModel(this.config, this.weights, options, this.path)
  }

  /** Number of parameters; tied weights count once. */
  get parameterCount(): number {
    let total = 0
    for (const weight of this.weights.values()) total += elementCount(weight.shape)
    return total
  }

  /** The tokenizer beside the model, or undefined if the folder has none (rows must then be tokenised already). */
  tokenizer(): Promise<Tokenizer | undefined> {
    this.tokenizerPromise ??= loadTokenizer(this.environment.files, this.path)
    return this.tokenizerPromise
  }
}

/** @file A model from a Hugging Face folder: config.json, safetensors, tokenizer. */
import { InvalidModelError } from '../errors.js'
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.js'
import { openCheckpoint } from '../formats/checkpoint.js'
import { encodeSafetensors } from '../formats/safetensors.js'
import { elementCount, type HostTensor, type Initializer, type Value } from '../graph/types.js'
import type { Module } from '../graph/module.js'
import type { Architecture, BuildOptions, ModelGraph } from '../models/architecture.js'
import { ConfigReader, type Json } from '../models/config-reader.js'
import { buildModel, findArchitecture, graphNames, tasksOf } from '../models/registry.js'
import { replicatedConfig, replicatedNames, type LayerRanges } from '../models/replicate-layers.js'
import { readTask, type Task } from '../models/task.js'
import type { Environment } from './environment.js'
import type { Model } from './model.js'

/** What a folder gives beside its graph. */
interface Contents {
  readonly environment: Environment
  readonly path: string
  readonly id: string
  readonly config: ConfigReader
  readonly architecture: Architecture
  readonly weights: ReadonlyMap<string, Initializer>
  readonly task: Task
  readonly layerReplication?: LayerRanges
}

/** A model that config.json describes. Its weights stay on disk, untouched. */
export class FolderModel implements Model {
  readonly environment: Environment
  readonly path: string
  readonly id: string
  readonly config: ConfigReader
  readonly architecture: Architecture
  readonly weights: ReadonlyMap<string, Initializer>
  readonly task: Task
  /** Ranges of the folder's layers that this model consists of, where it is not the folder's own. */
  readonly layerReplication: LayerRanges | undefined
  readonly modules: ReadonlyMap<string, Module>
  readonly inputs: readonly Value[]
  readonly vocabularySize: number
  readonly maxPositions: number
  private tokenizerPromise: Promise<Tokenizer | undefined> | undefined

  private constructor(contents: Contents) {
    this.environment = contents.environment
    this.path = contents.path
    this.id = contents.id
    this.config = contents.config
    this.architecture = contents.architecture
    this.weights = contents.weights
    this.task = contents.task
    this.layerReplication = contents.layerReplication
    const built = this.build({ mode: 'full', positions: 1 })
    this.modules = built.graph.modules
    this.inputs = built.graph.inputs
    this.vocabularySize = built.vocabularySize
    this.maxPositions = built.maxPositions
  }

  /**
   * Reads the headers of a model folder and checks every tensor against the config.
   * @param id what to call the model in adapters; the folder unless said
   * @throws InvalidModelError if the folder is incomplete, damaged, of an unknown architecture or for a task it has no head for
   */
  static async open(path: string, environment: Environment, id = path): Promise<FolderModel> {
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
    const task = readTask(config, tasksOf(architecture))
    const checkpoint = await openCheckpoint(files, path)
    const names = graphNames(architecture, checkpoint.weights.keys(), task)
    const weights = new Map([...names].map(([from, to]) => [to, checkpoint.weights.get(from)!]))
    return new FolderModel({ environment, path, id, config, architecture, weights, task })
  }

  /** A model from a config and weights in memory: for tests, benchmarks and training from scratch. */
  static fromWeights(
    environment: Environment,
    config: ConfigReader,
    weights: ReadonlyMap<string, Initializer>,
    options: { path?: string; tokenizer?: Tokenizer } = {},
  ): FolderModel {
    const path = options.path ?? config.source
    const architecture = findArchitecture(config)
    const task = readTask(config, tasksOf(architecture))
    const model = new FolderModel({ environment, path, id: path, config, architecture, weights, task })
    if (options.tokenizer !== undefined) model.tokenizerPromise = Promise.resolve(options.tokenizer)
    return model
  }

  build(options: BuildOptions, weights = this.weights): ModelGraph {
    return buildModel(this.config, weights, options, this.path, this.task)
  }

  /** The model with its layers as PEFT's `layer_replication` orders them. @throws InvalidOptionError for other ranges than it has */
  replicated(ranges: LayerRanges): FolderModel {
    const { config, sources } = replicatedConfig(this.config, ranges, this.weights.keys())
    const names = replicatedNames(this.weights.keys(), sources)
    const weights = new Map([...names].map(([name, source]) => [name, this.weights.get(source)!]))
    const { environment, path, id, architecture, task } = this
    const model = new FolderModel({ environment, path, id, config, architecture, weights, task, layerReplication: ranges })
    model.tokenizerPromise = this.tokenizer()
    return model
  }

  get defaultTargetModules(): readonly string[] {
    return this.architecture.defaultTargetModules
  }

  /** `pad_token_id` of config.json, where it is a token of the vocabulary. */
  get padTokenId(): number | undefined {
    const id = this.config.json['pad_token_id']
    return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < this.vocabularySize ? id : undefined
  }

  get parameterCount(): number {
    let total = 0
    // Copies of a layer share their weights.
    for (const weight of new Set(this.weights.values())) total += elementCount(weight.shape)
    return total
  }

  tokenizer(): Promise<Tokenizer | undefined> {
    this.tokenizerPromise ??= loadTokenizer(this.environment.files, this.path)
    return this.tokenizerPromise
  }

  async saveWeights(folder: string, weights: ReadonlyMap<string, HostTensor>): Promise<void> {
    const { files } = this.environment
    const { torch_dtype: _, ...config } = this.config.json
    await files.write(`${folder}/model.safetensors`, encodeSafetensors(weights))
    // Last, so that a folder with a config has its weights.
    await files.write(`${folder}/config.json`, `${JSON.stringify({ ...config, dtype: 'float32' }, null, 2)}\n`)
  }
}

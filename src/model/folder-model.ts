/** @file A model from a Hugging Face folder: config.json, safetensors, tokenizer. */
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.js'
import { hasCheckpoint, openCheckpoint } from '../formats/checkpoint.js'
import { moduleFolders, readSentenceSettings, type SentenceSettings } from '../formats/sentence-folder.js'
import { encodeSafetensors } from '../formats/safetensors.js'
import type { Files } from '../io/files.js'
import { elementCount, formatShape, type HostTensor, type Initializer, type Value } from '../graph/types.js'
import type { TargetModule } from '../graph/target-module.js'
import type { Architecture, ModelGraph } from '../models/architecture.js'
import type { BuildOptions } from '../models/build-options.js'
import { ConfigReader, type Json } from '../models/config-reader.js'
import { freshModules, headOptionKeys, headWeights, requestHead, type HeadOptions } from '../models/new-head.js'
import { buildModel, findArchitecture, graphNames, tasksOf, weightShapes } from '../models/registry.js'
import { replicatedConfig, replicatedNames, type LayerRanges } from '../models/replicate-layers.js'
import { readTask, taskNamed, type Task, type TaskName } from '../models/task.js'
import { checkKeys } from '../util/option-keys.js'
import { checkModelNotDisposed, DisposableResource } from '../util/disposable.js'
import type { Environment } from '../environment.js'
import { releaseSessions } from './session-pool.js'
import type { Model } from './model.js'
import { refuseQuantizedConfig, refuseQuantizedTensors } from '../models/quantized-checkpoint.js'
import { notAModel } from './wrong-place.js'
import { fingerprintArray } from '../util/fingerprint.js'
import { isObject, readJsonObject } from '../util/json.js'

/** What a folder gives beside its graph. */
interface Contents {
  readonly environment: Environment
  readonly path: string
  readonly id: string
  readonly config: ConfigReader
  readonly architecture: Architecture
  readonly weights: ReadonlyMap<string, Initializer>
  readonly task: Task
  readonly layerReplication?: LayerRanges | undefined
  readonly replicatedFrom?: FolderModel
  readonly head?: FolderHead | undefined
  readonly origin?: Origin | undefined
  readonly brought?: ReadonlyMap<string, HostTensor> | undefined
}

/** The head of a model for another task than its folder says. */
export interface FolderHead {
  /** Weights that the folder lacks, with their first values, by the graph's names: whatever is trained must save them. */
  readonly fresh: ReadonlyMap<string, HostTensor>
  /** Nothing but the default says how many labels there are. */
  readonly open: boolean
  /** Modules that hold the fresh weights, as `modules_to_save` names them. */
  readonly modules: readonly string[]
  /** What was asked for. */
  readonly options: HeadOptions
  /** Whether the folder has weights by names of fresh ones in other shapes: transformers refuses it unless told to ignore them. */
  readonly mismatches: boolean
}

/** What the folder holds, before a head was asked for. */
interface Origin {
  readonly config: ConfigReader
  /** By their names in the files. */
  readonly tensors: ReadonlyMap<string, Initializer>
  readonly sentence?: SentenceSettings | undefined
}

/** A model that config.json describes. Its weights stay on disk, untouched. */
export class FolderModel extends DisposableResource implements Model {
  readonly environment: Environment
  readonly path: string
  readonly id: string
  /** @internal config.json */
  readonly config: ConfigReader
  /** @internal The family. */
  readonly architecture: Architecture
  readonly weights: ReadonlyMap<string, Initializer>
  readonly task: Task
  /** @internal Ranges of the folder's layers that this model consists of, where it is not the folder's own. */
  readonly layerReplication: LayerRanges | undefined
  /** @internal The model with the folder's own layers, where this one's are replicated. */
  readonly replicatedFrom: FolderModel | undefined
  /** @internal Set where the task, or its labels, were asked for and are not the folder's own. */
  readonly head: FolderHead | undefined
  /** @internal Weights of the base that an adapter brought in place of the folder's own, by the graph's names. */
  readonly brought: ReadonlyMap<string, HostTensor> | undefined
  readonly sentence: SentenceSettings | undefined
  private readonly origin: Origin
  /** Models that were made of this one, by what they were made for. */
  private readonly derived = new Map<string, FolderModel>()
  readonly modules: ReadonlyMap<string, TargetModule>
  readonly inputs: readonly Value[]
  readonly vocabularySize: number
  readonly maxPositions: number
  private tokenizerPromise: Promise<Tokenizer | undefined> | undefined

  private constructor(contents: Contents) {
    super()
    this.environment = contents.environment
    this.path = contents.path
    this.id = contents.id
    this.config = contents.config
    this.architecture = contents.architecture
    this.weights = contents.weights
    this.task = contents.task
    this.layerReplication = contents.layerReplication
    this.replicatedFrom = contents.replicatedFrom
    this.head = contents.head
    this.brought = contents.brought
    this.origin = contents.origin ?? { config: contents.config, tensors: contents.weights }
    this.sentence = this.task.name === 'feature-extraction' ? this.origin.sentence : undefined
    const built = this.build({ mode: 'full', positions: 1 })
    this.modules = built.graph.modules
    this.inputs = built.graph.inputs
    this.vocabularySize = built.vocabularySize
    this.maxPositions = built.maxPositions
  }

  /**
   * Reads the headers of a model folder and checks every tensor against the config.
   * @param id what to call the model in adapters; the folder by default
   * @param head what the model shall be for, where that is not what its config says
   * @param outline whether a folder without weights will do, of a model that is never run: their shapes are told by the config
   * @throws InvalidModelError if the folder is incomplete, damaged, of an unknown architecture or for a task it has no head for;
   * InvalidOptionError for a task that the family has no head for
   */
  static async open(
    path: string,
    environment: Environment,
    id = path,
    head: HeadOptions = {},
    { outline = false } = {},
  ): Promise<FolderModel> {
    const { files } = environment
    const configPath = `${path}/config.json`
    if (!(await files.exists(configPath))) {
      await refuseOlderLayout(files, path)
      throw await notAModel(files, path)
    }
    const json = await readJsonObject(files, configPath, InvalidModelError)
    const config = new ConfigReader(json as Record<string, Json>, configPath)
    refuseQuantizedConfig(config)
    const architecture = findArchitecture(config)
    const tensors =
      outline && !(await hasCheckpoint(files, path)) ? outlineOf(config, head) : (await openCheckpoint(files, path)).weights
    refuseQuantizedTensors(tensors.keys(), path)
    const sentence = await readSentenceSettings(files, path)
    const origin = { config, tensors, sentence }
    const asked = isAsked(head) ? head : impliedHead(origin, architecture)
    if (asked !== undefined) return FolderModel.forTask({ environment, path, id, architecture, origin }, asked)
    const task = readTask(config, tasksOf(architecture))
    const weights = inGraph(architecture, tensors, task)
    return new FolderModel({ environment, path, id, config, architecture, weights, task, origin })
  }

  private static forTask(
    { origin, ...contents }: Pick<Contents, 'environment' | 'path' | 'id' | 'architecture'> & { readonly origin: Origin },
    options: HeadOptions,
  ): FolderModel {
    const { architecture } = contents
    const requested = requestHead(origin.config, architecture, options)
    const { config, task, open } = requested
    const stored = inGraph(architecture, origin.tensors, task)
    const { weights, fresh } = headWeights(requested, architecture, stored, options.seed ?? 0)
    const mismatches = [...fresh].some(
      ([name, { shape }]) => formatShape(stored.get(name)?.shape ?? shape) !== formatShape(shape),
    )
    const head = { fresh, open, options, modules: freshModules(architecture, task, fresh.keys()), mismatches }
    return new FolderModel({ ...contents, config, task, weights, head, origin })
  }

  /**
   * The model for a task, as `loadModel` with these options opens it; the same object for the same options.
   * @throws InvalidOptionError for a task that the family has no head for
   */
  withHead(options: HeadOptions): FolderModel {
    checkKeys(options, headOptionKeys, 'model.withHead')
    if (this.layerReplication !== undefined)
      throw new InvalidOptionError(`the layers of "${this.path}" are replicated; begin with the model as it was loaded`)
    const { environment, path, id, architecture, origin } = this
    return this.derive(['head', options], () => FolderModel.forTask({ environment, path, id, architecture, origin }, options))
  }

  /** The model of a key, made where there is none yet, or that one was disposed of. */
  private derive(key: readonly [kind: string, ...unknown[]], make: () => FolderModel): FolderModel {
    checkModelNotDisposed(this)
    const text = JSON.stringify(key)
    const known = this.derived.get(text)
    if (known?.disposed === false) return known
    const model = make()
    this.derived.set(text, model)
    return model
  }

  /** @internal A model from a config and weights in memory: for tests, benchmarks and training from scratch. */
  static fromWeights(
    environment: Environment,
    config: ConfigReader,
    weights: ReadonlyMap<string, Initializer>,
    options: { path?: string; tokenizer?: Tokenizer; task?: TaskName } = {},
  ): FolderModel {
    const path = options.path ?? config.source
    const architecture = findArchitecture(config)
    const task = options.task === undefined ? readTask(config, tasksOf(architecture)) : taskNamed(config, options.task)
    const model = new FolderModel({ environment, path, id: path, config, architecture, weights, task })
    if (options.tokenizer !== undefined) model.tokenizerPromise = Promise.resolve(options.tokenizer)
    return model
  }

  build(options: BuildOptions, weights = this.weights): ModelGraph {
    checkModelNotDisposed(this)
    return buildModel(this.config, weights, options, this.path, this.task)
  }

  /** @internal The model with its layers as PEFT's `layer_replication` orders them. @throws InvalidOptionError for other ranges than it has */
  replicated(ranges: LayerRanges): FolderModel {
    return this.derive(['replicated', ranges], () => {
      const { config, sources } = replicatedConfig(this.config, ranges, this.weights.keys())
      const names = replicatedNames(this.weights.keys(), sources)
      const weights = new Map([...names].map(([name, source]) => [name, this.weights.get(source)!]))
      const { environment, path, id, architecture, task, head, origin } = this
      const replicated = { config, weights, layerReplication: ranges, replicatedFrom: this }
      const model = new FolderModel({ environment, path, id, architecture, task, head, origin, ...replicated })
      model.tokenizerPromise = this.tokenizer()
      return model
    })
  }

  /**
   * The model with other weights in place of some; the same object for the same weights.
   * @internal
   * @param weights by the graph's names
   * @param larger how many tokens the vocabulary has by now, and a folder whose tokenizer, if there is one, knows them
   */
  withBaseWeights(
    weights: ReadonlyMap<string, HostTensor>,
    larger: { readonly vocabulary?: number; readonly tokenizer?: string } = {},
  ): FolderModel {
    const prints = [...weights].map(([name, { dtype, shape, data }]) => [name, dtype, shape, fingerprintArray(data)])
    return this.derive(['base weights', larger, ...prints], () => {
      const { environment, path, id, architecture, task, head, origin, layerReplication, replicatedFrom } = this
      const config = larger.vocabulary === undefined ? this.config : withVocabulary(this.config, larger.vocabulary)
      const contents = { environment, path, id, architecture, task, head, origin, layerReplication, config, brought: weights }
      const model = new FolderModel({
        ...contents,
        weights: new Map([...this.weights, ...weights]),
        ...(replicatedFrom && { replicatedFrom }),
      })
      const own = this.tokenizer()
      model.tokenizerPromise =
        larger.tokenizer === undefined ? own : loadTokenizer(environment.files, larger.tokenizer).then((theirs) => theirs ?? own)
      return model
    })
  }

  /** The models that were made of it for other tasks or adapters go as well. */
  protected async release(): Promise<void> {
    await releaseSessions(this)
    for (const model of this.derived.values()) await model.dispose()
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
    const { lowercase = false } = this.sentence ?? {}
    this.tokenizerPromise ??= loadTokenizer(this.environment.files, this.path, { lowercase })
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

/** Tensors of a config's names and shapes, without a value. */
const outlineOf = (config: ConfigReader, { task }: HeadOptions): ReadonlyMap<string, Initializer> =>
  new Map(
    // A head of pretraining is never made anew, so it must be there.
    [...weightShapes(config, task === 'masked-lm' ? taskNamed(config, task) : undefined)].map(([name, shape]) => [
      name,
      { dtype: 'float32', shape, file: { path: config.source, offset: 0, length: 0 } },
    ]),
  )

/** Whether anything is asked for but a seed. */
const isAsked = ({ seed: _, ...options }: HeadOptions): boolean => Object.values(options).some((value) => value !== undefined)

/**
 * The task that a decoder's folder means without saying so in its config: embeddings where sentence-transformers pools its
 * states, and where it was saved by the class of its body, without a head of its own or a shared one.
 */
function impliedHead({ config, tensors, sentence }: Origin, architecture: Architecture): HeadOptions | undefined {
  const tasks = tasksOf(architecture)
  const [className] = config.strings('architectures') ?? []
  if (tasks[0] !== 'causal-lm' || !tasks.includes('feature-extraction')) return undefined
  if (sentence !== undefined) return { task: 'feature-extraction' }
  if (className?.endsWith('Model') !== true) return undefined
  if (/LMHeadModel$|DoubleHeadsModel$/.test(className) || config.json['tie_word_embeddings'] !== false) return undefined
  const hasHead = [...tensors.keys()].some((name) => /(^|\.)(lm_head|embed_out)\./.test(name))
  return hasHead ? undefined : { task: 'feature-extraction' }
}

/** Tensors of files by the names of the graph. */
function inGraph(
  architecture: Architecture,
  tensors: ReadonlyMap<string, Initializer>,
  task: Task,
): ReadonlyMap<string, Initializer> {
  return new Map([...graphNames(architecture, tensors.keys(), task)].map(([from, to]) => [to, tensors.get(from)!]))
}

/** config.json with another number of tokens, wherever it says it. */
function withVocabulary({ json, source }: ConfigReader, tokens: number): ConfigReader {
  const text = json['text_config']
  if (json['vocab_size'] === undefined && isObject(text))
    return new ConfigReader({ ...json, text_config: { ...text, vocab_size: tokens } }, source)
  return new ConfigReader({ ...json, vocab_size: tokens }, source)
}

/** Before version 0.4 sentence-transformers kept the transformer itself in a folder. */
async function refuseOlderLayout(files: Files, path: string): Promise<void> {
  const [first] = (await files.exists(`${path}/modules.json`)) ? await moduleFolders(files, path) : []
  if (first === undefined || !(await files.exists(`${path}/${first}/config.json`))) return
  throw new InvalidModelError(
    `"${path}" keeps its transformer in "${first}", as sentence-transformers did before version 0.4; save it anew in Python (SentenceTransformer("${path}").save("new folder")), ` +
      `or give "${path}/${first}" and say the pooling (--pooling)`,
  )
}

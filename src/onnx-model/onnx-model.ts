/** @file A model from any .onnx file. */
import { readSentenceSettings, type SentenceSettings } from '../formats/sentence-folder.js'
import type { Files } from '../io/files.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import { findTokenizerBeside } from '../model/find-tokenizer.js'
import type { Graph } from '../graph/graph.js'
import { isConvolution, type TargetModule } from '../graph/target-module.js'
import { elementCount, formatShape, isFloat, type HostTensor, type Initializer, type Value } from '../graph/types.js'
import type { ModelGraph } from '../models/architecture.js'
import type { BuildOptions } from '../models/build-options.js'
import type { BranchPlace } from '../lower/inline-if.js'
import type { DimOverrides } from '../lower/file-dims.js'
import type { InputConstants } from '../lower/input-constants.js'
import type { ConfigReader } from '../models/config-reader.js'
import { architectures } from '../models/registry.js'
import { scoresTokens, type Task, type TaskOption } from '../models/task.js'
import { checkModelNotDisposed, DisposableResource } from '../util/disposable.js'
import type { Environment } from '../environment.js'
import { releaseSessions } from '../model/session-pool.js'
import type { Model } from '../model/model.js'
import { textInputs } from './inputs.js'
import type { WeightOrigin } from './names.js'
import { prepareGraph, readConfigBeside, readOnnx } from './read.js'
import { describingFolders, isOnnxFolder } from '../model/onnx-folders.js'
import { folderOf } from '../io/places.js'
import { withTaskOutput } from './outputs.js'
import { checkPlaces } from './places.js'
import { findTask, noTaskMessage } from './task.js'
import { writeOnnxInto } from './write.js'
import type { OptionKeys } from '../util/option-keys.js'

/** What a file may leave open. */
export interface OnnxOptions {
  /** What the model is for; from config.json, else from the names of outputs and inputs, by default. */
  readonly task?: TaskOption
  /** Output that the loss reads, where there are several. */
  readonly output?: string
  /**
   * Inputs of the graph that shall be constants, such as `{ sr: 16000 }`: one number for all elements, or their list in
   * row-major order. They decide the `If`s that depend on them. Of decoders for generation `use_cache_branch` is false and
   * `num_logits_to_keep` 0 by default.
   */
  readonly constants?: InputConstants
  /**
   * Lengths of the inputs by their names in the file, such as `{ height: 640, width: 640 }`: ONNX Runtime's free dimension
   * overrides. Rows must then have that size. The number of rows, and the length of texts, stay free.
   */
  readonly dims?: DimOverrides
}

export const onnxOptionKeys = { task: true, output: true, constants: true, dims: true } satisfies OptionKeys<OnnxOptions>

/** What a file gives. */
interface Contents {
  readonly environment: Environment
  readonly path: string
  readonly id: string
  readonly graph: Graph
  readonly origins: ReadonlyMap<string, WeightOrigin>
  readonly branches: ReadonlyMap<string, BranchPlace>
  readonly task: Task
  readonly output: string
  readonly config: ConfigReader | undefined
  readonly constants: InputConstants | undefined
  readonly sentence: SentenceSettings | undefined
}

/** Positions of a model that says nothing of any limit. */
const UNLIMITED = Number.MAX_SAFE_INTEGER

/**
 * A graph that someone exported. Its weights stay as they are, in the file or beside it; what is trained lies beside
 * them. Layers have the names that PEFT gives them.
 */
export class OnnxModel extends DisposableResource implements Model {
  readonly environment: Environment
  readonly path: string
  readonly id: string
  /** @internal config.json beside the file, where there is one. */
  readonly config: ConfigReader | undefined
  readonly task: Task
  readonly inputs: readonly Value[]
  readonly weights: ReadonlyMap<string, Initializer>
  readonly modules: ReadonlyMap<string, TargetModule>
  /** @internal What the weights are called in the file, where they are not called the same. */
  readonly origins: ReadonlyMap<string, WeightOrigin>
  /** @internal Where in the file those are that its branches hold. */
  readonly branches: ReadonlyMap<string, BranchPlace>
  /** Inputs that are constants here, as {@link OnnxOptions} gave them; undefined if there are none. */
  readonly constants: InputConstants | undefined
  readonly vocabularySize: number
  readonly maxPositions: number
  /** What sentence-transformers keeps beside the file; undefined where the graph itself gives one vector a text. */
  readonly sentence: SentenceSettings | undefined
  private readonly graph: Graph
  private readonly hidden: Value
  private tokenizerPromise: Promise<Tokenizer | undefined> | undefined

  private constructor({ environment, path, id, graph, origins, branches, task, output, config, constants, sentence }: Contents) {
    super()
    this.environment = environment
    this.path = path
    this.id = id
    this.config = config
    this.constants = constants
    this.task = task
    this.origins = origins
    this.branches = branches
    this.inputs = graph.inputs
    const scales = scalesOf(graph)
    this.weights = new Map(
      [...graph.initializers].filter(
        ([name, { dtype, shape }]) => isFloat(dtype) && elementCount(shape) > 1 && !scales.has(name),
      ),
    )
    const first = graph.value(output)
    this.sentence = task.name === 'feature-extraction' && first.shape?.length === 3 ? sentence : undefined
    const { graph: finished, hidden } = withTaskOutput(graph, first, task)
    this.graph = finished
    this.modules = finished.modules
    this.vocabularySize = vocabularyOf(this, first)
    this.maxPositions = positionsOf(this)
    this.hidden = hidden
  }

  /**
   * Reads a file and what lies beside it: external data (never loaded), config.json and the tokenizer of its folder, or
   * of the folder above one called `onnx`.
   * @throws InvalidModelError if the file is damaged or made for texts of one length; UnsupportedOpError naming every node
   *   that cannot be trained through; InvalidOptionError for a constant that does not fit its input
   */
  static async open(path: string, environment: Environment, options: OnnxOptions = {}, id = path): Promise<OnnxModel> {
    const decoded = await readOnnx(environment.files, path)
    const config = (await readConfigBeside(environment.files, path))?.config
    const { graph, origins, branches } = prepareGraph(decoded, options, config)
    // Functions and branches that were put in place bring weights of their own.
    await checkPlaces(environment.files, graph, path, folderOf(path))
    refuseFixedText(graph, path)
    const { task, output } = findTask(graph, options, config, path)
    return new OnnxModel({
      environment,
      path,
      id,
      graph,
      origins,
      branches,
      task,
      output: output.name,
      config,
      constants: givenConstants(options),
      sentence: await settingsBeside(environment.files, path),
    })
  }

  protected release(): Promise<void> {
    return releaseSessions(this)
  }

  build({ mode, packed, dropout }: BuildOptions, weights?: ReadonlyMap<string, Initializer>): ModelGraph {
    checkModelNotDisposed(this)
    if (mode !== 'full') throw new InvalidOptionError(this.cannotGenerate)
    if (packed === true)
      throw new InvalidOptionError('the attention of an .onnx file cannot tell packed examples apart; train without packing')
    if (dropout !== undefined)
      throw new InvalidOptionError(
        'an .onnx file no longer says where its model drops values; leave modelDropout (--model-dropout) out, or train the folder that it was exported from',
      )
    const graph = this.graph.clone()
    for (const [name, tensor] of weights ?? []) {
      if (!graph.initializers.has(name)) continue
      graph.initializers.set(name, tensor)
      widenReaders(graph, name, tensor)
    }
    const { task, hidden, vocabularySize, maxPositions } = this
    return { graph, task, hidden, output: graph.outputs[0]!, vocabularySize, maxPositions }
  }

  /** @internal Why no text can be generated with it, and what to do. */
  get cannotGenerate(): string {
    return (
      `"${this.path}" is an .onnx file, a fixed graph that no text is generated with here; give the folder that it was exported from ` +
      '(config.json and safetensors) as the model, with the same adapter if there is one, or run the file in transformers.js'
    )
  }

  /** @internal Why the task is unknown. */
  get noTask(): string {
    return noTaskMessage(this.graph, this.path)
  }

  /** PEFT's for the `model_type` of config.json, where they are layers of the graph. */
  get defaultTargetModules(): readonly string[] {
    const type = this.config?.json['model_type']
    const known = architectures.find(({ modelTypes }) => modelTypes.some((name) => name === type))?.defaultTargetModules ?? []
    const exists = (target: string): boolean =>
      [...this.modules.keys()].some((name) => name === target || name.endsWith(`.${target}`))
    return known.filter(exists)
  }

  get padTokenId(): number | undefined {
    const id = this.config?.json['pad_token_id']
    const fits = typeof id === 'number' && Number.isInteger(id) && id >= 0
    return fits && (this.vocabularySize === 0 || id < this.vocabularySize) ? id : undefined
  }

  get parameterCount(): number {
    const quantised = new Map(
      [...this.modules.values()].flatMap((module) => (this.weights.has(module.weight) ? [] : [[module.weight, sizeOf(module)]])),
    )
    const sizes = [...[...this.weights.values()].map(({ shape }) => elementCount(shape)), ...quantised.values()]
    return sizes.reduce((sum, size) => sum + size, 0)
  }

  tokenizer(): Promise<Tokenizer | undefined> {
    this.tokenizerPromise ??= findTokenizerBeside(this.environment.files, this.path, this.sentence?.lowercase)
    return this.tokenizerPromise
  }

  async saveWeights(folder: string, weights: ReadonlyMap<string, HostTensor>): Promise<void> {
    const deltas = [...weights].map(
      ([name, { data }]) =>
        [name, [{ module: name.replace(/\.[^.]*$/, ''), kind: 'replaced' as const, values: data as Float32Array }]] as const,
    )
    await writeOnnxInto(this, folder, new Map(deltas))
  }
}

/** A copy, so that what an adapter says of its model stays true; undefined if nothing is constant. */
const givenConstants = ({ constants = {} }: OnnxOptions): InputConstants | undefined => {
  const given = Object.entries(constants).map(([name, value]) => [name, typeof value === 'object' ? [...value] : value] as const)
  return given.length === 0 ? undefined : Object.fromEntries(given)
}

/** Scales of quantised tensors: numbers of the file that are no weights of a layer. */
const scalesOf = ({ nodes }: Graph): ReadonlySet<string> =>
  new Set(nodes.flatMap(({ op, inputs }) => (/^(Dequantize|Quantize)Linear$/.test(op) ? inputs.slice(1) : [])))

/** Texts differ in length, and a graph traced for one length holds it in many places. */
function refuseFixedText({ inputs }: Graph, path: string): void {
  const fixed = inputs.find(({ name, shape }) => textInputs.has(name) && shape?.some((dim) => typeof dim === 'number'))
  if (fixed !== undefined)
    throw new InvalidModelError(
      `${path} was exported for texts of fixed shape, "${fixed.name}" ${formatShape(fixed.shape)}, but rows differ in length; export it with dynamic axes for batch and sequence`,
    )
}

/** Numbers of a layer's weight, however it is packed. */
const sizeOf = ({ kind, inFeatures, outFeatures, convolution }: TargetModule): number =>
  isConvolution(kind)
    ? elementCount([outFeatures, inFeatures / convolution!.groups, ...convolution!.kernel])
    : inFeatures * outFeatures

/** A weight that became float32 needs no cast. */
function widenReaders(graph: Graph, name: string, { dtype, shape }: Initializer): void {
  const before = graph.value(name)
  if (before.dtype === dtype) return
  if (formatShape(before.shape) !== formatShape(shape))
    throw new InvalidModelError(`weight "${name}" is ${formatShape(before.shape)}, its replacement ${formatShape(shape)}`)
  graph.values.set(name, { ...before, dtype })
}

/** Rows of the table that `input_ids` is looked up in, else of the classes that a language model predicts; 0 without text. */
function vocabularyOf({ inputs, modules, config, task }: OnnxModel, output: Value): number {
  if (!inputs.some(({ name }) => name === 'input_ids')) return 0
  const table = [...modules.values()].find(({ kind, input }) => kind === 'Embedding' && input === 'input_ids')
  const told = config?.json['vocab_size']
  const last = scoresTokens(task) ? output.shape?.at(-1) : undefined
  return table?.inFeatures ?? (typeof told === 'number' ? told : typeof last === 'number' ? last : 0)
}

const positionKeys = ['max_position_embeddings', 'n_positions', 'n_ctx']

/** Most positions of a row: told by config.json, or rows of a table of positions. */
function positionsOf({ inputs, modules, config }: OnnxModel): number {
  const ids = inputs.find(({ name }) => name === 'input_ids')
  if (ids === undefined) return 0
  const told = positionKeys.map((key) => config?.json[key]).find((value) => typeof value === 'number')
  // RoBERTa's family numbers positions from 2 on.
  const offset = /roberta|camembert/.test(String(config?.json['model_type'])) ? 2 : 0
  if (told !== undefined) return told - offset
  const table = [...modules.values()].find(
    ({ kind, name }) => kind === 'Embedding' && /(position_embeddings|wpe|embed_positions)$/.test(name),
  )
  return table?.inFeatures ?? UNLIMITED
}

async function settingsBeside(files: Files, path: string): Promise<SentenceSettings | undefined> {
  const [own, above] = describingFolders(path)
  return (await readSentenceSettings(files, own)) ?? (isOnnxFolder(own) ? readSentenceSettings(files, above) : undefined)
}

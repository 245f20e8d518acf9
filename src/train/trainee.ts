/** @file What can be trained: an adapter, or every weight of a model. The trainer knows neither. */
import { LoraPart } from '../adapters/lora.js'
import type { LoraConfig } from '../adapters/lora-config.js'
import type { Adapter } from '../adapter/adapter.js'
import { besideFiles } from '../model/beside-files.js'
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'
import { ParameterVector } from '../adapter/parameter-vector.js'
import { loadTensor, toFloat32 } from '../formats/safetensors.js'
import type { GenerateOptions } from '../generate/generate-options.js'
import { tokenizerFilesOf } from '../formats/tokenizer-files.js'
import { generate } from '../generate/generate.js'
import type { Generation } from '../generate/generation.js'
import type { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'
import type { BuildOptions } from '../models/build-options.js'
import { fingerprintArray, fingerprintText } from '../util/fingerprint.js'
import { checkArgument } from '../util/arguments.js'
import { modelArgument } from '../model/model-argument.js'

/** A model with inputs for everything that is trained. `graph.outputs` are the model's own, the task's first. */
export interface TraineeGraph {
  /** The model's graph. */
  readonly graph: Graph
  /** Final hidden states, [batch*sequence, hidden]: what the head of a language model reads. */
  readonly hidden: Value
  /** Inputs, in the order of `Trainee.parameters`. */
  readonly parameters: readonly Value[]
}

/** What can be trained: an adapter, every weight of a model, or something of one's own. */
export interface Trainee {
  /** The model that it is a change of. */
  readonly model: Model
  /** What is trained. */
  readonly parameters: ParameterVector
  /** Parameters of the base that are frozen and the trained ones together. */
  readonly totalParameters: number
  /** The model's graph with an input for everything that is trained. `training` switches dropout on. */
  build(options: BuildOptions & { readonly training: boolean }): TraineeGraph
  /** Writes the result: a PEFT folder, or a model. */
  save(folder: string): Promise<void>
  /** Tells of tokens that learned turns end with and that the model does not stop at: generation does from here on. */
  addEndTokens?(ids: readonly number[]): void
  /** Continues a prompt with what was learned so far; absent where no text can be generated on the way. */
  generate?(options: GenerateOptions): Promise<Generation>
  /** Tells runs apart that must not resume each other. */
  readonly fingerprint: string
  /** Of an adapter, for its model card. */
  readonly config?: LoraConfig
}

/** Trains the A and B of an adapter. */
export function adapterTrainee(adapter: Adapter): Trainee {
  const { model, parameters, config } = adapter
  return {
    model,
    parameters,
    totalParameters: model.parameterCount + parameters.count,
    build({ training, ...options }) {
      const built = model.build(options)
      const attached = adapter.attach(built.graph, { dropout: training })
      return { graph: attached.graph, hidden: built.hidden, parameters: attached.parameters }
    },
    save: (folder) => adapter.saveNumbers(parameters, folder),
    addEndTokens: (ids) => {
      adapter.addEndTokens(ids)
    },
    generate: (options) => generate(adapter, options),
    config,
    fingerprint: adapterFingerprint(adapter),
  }
}

/** Layers, ranks and scales, every tensor that is trained, and where the branches begin. */
function adapterFingerprint({ targets, parameters, parts, config }: Adapter): string {
  const begins = parts.flatMap((part) => {
    const initial = part instanceof LoraPart ? part.initial : undefined
    return initial === undefined ? [] : [fingerprintArray(initial.A), fingerprintArray(initial.B)]
  })
  return JSON.stringify({
    targets: targets.map((t) => [t.module.name, t.r, t.scale]),
    tensors: parameters.specs.map(({ name, shape }) => [name, ...shape]),
    dropout: config.loraDropout,
    init: config.initLoraWeights,
    ...(begins.length > 0 && { begins: fingerprintText(begins.join()) }),
  })
}

/** The tokenizer's files of a model folder, without which what is saved reads no text; of an .onnx file the folder has them. */
async function tokenizerOf(model: Model): Promise<[name: string, bytes: Uint8Array][]> {
  if (!(model instanceof FolderModel)) return []
  const { files } = model.environment
  const names = await tokenizerFilesOf(files, model.path)
  return Promise.all(names.map(async (name) => [name, await files.read(`${model.path}/${name}`)] as [string, Uint8Array]))
}

/**
 * Trains every weight of a model from its current values: pre-training and full fine-tuning.
 * All weights are held in memory, with two moments each.
 * @example
 * for await (const event of train(await fullTrainee(model), { data: 'train.jsonl', out: 'tuned' }));
 */
export async function fullTrainee(model: Model): Promise<Trainee> {
  checkArgument(model, modelArgument, 'fullTrainee')
  const names = [...model.build({ mode: 'full', positions: 1 }).graph.initializers.keys()].filter((name) =>
    model.weights.has(name),
  )
  const ends = new Set<number>()
  const parameters = new ParameterVector(names.map((name) => ({ name, shape: model.weights.get(name)!.shape })))
  for (const name of names) {
    const weight = model.weights.get(name)!
    parameters.view(name).set(toFloat32(await loadTensor(model.environment.files, weight)))
  }
  return {
    model,
    parameters,
    totalParameters: parameters.count,
    build(options) {
      // Built from the float32 copies, so that a 16-bit checkpoint leaves no cast between an input and its use.
      const built = model.build(options, parameters.tensors)
      return {
        graph: built.graph,
        hidden: built.hidden,
        parameters: names.map((name) => built.graph.promoteToInput(name)),
      }
    },
    async save(folder) {
      const { files } = model.environment
      for (const [name, bytes] of [...(await tokenizerOf(model)), ...(await besideFiles(model, [...ends]))])
        await files.write(`${folder}/${name}`, bytes)
      await model.saveWeights(folder, parameters.tensors)
    },
    addEndTokens(ids) {
      for (const id of ids) ends.add(id)
    },
    fingerprint: JSON.stringify(parameters.specs),
  }
}

/** @file The architectures lowrank knows, and the way from config and weights to a graph. */
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import type { Value } from '../graph/types.js'
import { prefixOf, type Architecture, type LanguageModelGraph, type ModelGraph } from './architecture.js'
import type { BuildOptions } from './build-options.js'
import { bert } from './bert.js'
import type { ConfigReader } from './config-reader.js'
import { debertaV2 } from './deberta-v2.js'
import { distilbert } from './distilbert.js'
import { gemma } from './gemma.js'
import { gemma2 } from './gemma2.js'
import { gemma3, gemma3Text } from './gemma3.js'
import { gptNeox } from './gpt-neox.js'
import { gpt2 } from './gpt2.js'
import { llama } from './llama.js'
import { mistral } from './mistral.js'
import { ModelBuilder, type Weights } from './model-builder.js'
import { phi3 } from './phi3.js'
import { qwen2 } from './qwen2.js'
import { qwen3 } from './qwen3.js'
import { roberta } from './roberta.js'
import { readTask, taskNamed, type Task, type TaskName } from './task.js'
import { someOf } from '../util/some-of.js'
import { vit } from './vit.js'

export const architectures: readonly Architecture[] = [
  gpt2,
  gptNeox,
  llama,
  mistral,
  qwen2,
  qwen3,
  gemma,
  gemma2,
  gemma3Text,
  gemma3,
  phi3,
  bert,
  roberta,
  distilbert,
  debertaV2,
  vit,
]

export const knownModelTypes = (): string[] => architectures.flatMap((a) => a.modelTypes)

/**
 * The architecture of a model by `model_type`.
 * @throws InvalidModelError for an unknown one, listing those we know
 */
export function findArchitecture(config: ConfigReader): Architecture {
  const type = config.string('model_type')
  const architecture = architectures.find((a) => a.modelTypes.includes(type))
  if (architecture === undefined)
    throw new InvalidModelError(
      `${config.source}: model type "${type}" is not supported; known are ${knownModelTypes().join(', ')}`,
    )
  return architecture
}

/**
 * The name that our graph gives a tensor of a checkpoint. Checkpoints of the base model alone (published GPT-2)
 * lack its prefix; the class of another task may have another, or none (feature extraction, the base model alone).
 *
 * @param names all tensors of the checkpoint
 * @param withUnread also those of modules that are never built, which `ignoredTensors` leaves out
 * @returns graph name by checkpoint name, without the tensors that are no weights
 */
export function graphNames(
  architecture: Architecture,
  names: Iterable<string>,
  task?: Task,
  withUnread = false,
): Map<string, string> {
  const { baseModelPrefix, otherPrefixes = [], ignoredTensors, spareTensors, unreadModules } = architecture
  const prefixes = [baseModelPrefix, ...otherPrefixes]
  const isUnread = (name: string): boolean => unreadModules?.test(architecture.renameTensor?.(name) ?? name) === true
  const renamed = [...names]
    .filter((name) => ignoredTensors?.test(name) !== true || (withUnread && isUnread(name)))
    .map((name) => [name, architecture.renameTensor?.(name) ?? name] as const)
  const bare = !renamed.some(([, name]) => prefixes.some((known) => name.startsWith(known)))
  const isHead = (name: string): boolean => HEADS.test(name) || spareTensors?.test(name) === true
  const wanted = task === undefined ? baseModelPrefix : prefixOf(architecture, task)
  const full = (name: string): string => {
    if (bare) return isHead(name) ? name : wanted + name
    const prefix = prefixes.find((known) => name.startsWith(known))
    return prefix === undefined ? name : wanted + name.slice(prefix.length)
  }
  return new Map(renamed.map(([from, name]) => [from, full(name)]))
}

/** Heads, which stand beside the base model whatever its prefix. */
const HEADS = /^(lm_head|score|classifier|qa_outputs)\./

/** Whether a tensor that the graph never asked for may be there, see {@link Architecture.spareTensors}. */
const isSpare = ({ spareTensors, baseModelPrefix }: Architecture, name: string): boolean =>
  spareTensors !== undefined && (spareTensors.test(name) || spareTensors.test(baseModelPrefix + name))

/** Lists a few of many. */
const some = (items: readonly string[]): string => someOf(items, { separator: '; ' })

/** A layer has a tensor at least: a damaged configuration can ask for any number of layers, each of which takes memory. */
function refuseEndless(config: ConfigReader, tensors: number): void {
  for (const key of ['num_hidden_layers', 'n_layer', 'n_layers']) {
    const layers = config.json[key]
    if (typeof layers === 'number' && layers > Math.max(1000, tensors))
      throw new InvalidModelError(
        `${config.source}: "${key}" is ${layers}, but the weights are ${tensors} tensors; the file is damaged`,
      )
  }
}

/**
 * Builds the graph of a model for the task that its config names, or another that its family has a head for.
 *
 * Inputs and outputs are those of {@link BuildOptions.mode}; `graph.outputs` is the task's output, then `present_key.N`
 * and `present_value.N` layer by layer with a cache. The dropouts of config.json are in it where
 * `options.dropout` asks for them.
 *
 * @param weights by the checkpoint's own names
 * @param source where the weights came from, for messages
 * @throws InvalidModelError for an unknown architecture, a config we cannot follow, and for tensors that are missing,
 *   unexpected or of another shape than config.json says: all of them in one message
 */
export function buildModel(
  config: ConfigReader,
  weights: Weights,
  options: BuildOptions,
  source: string,
  task?: Task,
): ModelGraph {
  const architecture = findArchitecture(config)
  refuseEndless(config, weights.size)
  const wanted = task ?? readTask(config, tasksOf(architecture))
  const names = graphNames(architecture, weights.keys(), wanted)
  const model = new ModelBuilder(
    config.string('model_type'),
    new Map([...names].map(([from, to]) => [to, weights.get(from)!])),
    options,
  )
  const built = assemble(model, architecture, config, wanted)
  if (model.problems.length > 0) throw new InvalidModelError(`${source}: ${some(model.problems)}`)
  const unexpected = model.unusedWeights().filter((name) => !isSpare(architecture, name))
  if (unexpected.length > 0)
    throw new InvalidModelError(
      `${source}: unexpected ${unexpected.length === 1 ? 'tensor' : 'tensors'} ${some(unexpected.map((name) => `"${name}"`))}; ` +
        `a model of type "${config.string('model_type')}" with this config.json has none of that name`,
    )
  return built
}

/** {@link buildModel} for the task `causal-lm`, whatever class the config names. */
export function buildLanguageModel(
  config: ConfigReader,
  weights: Weights,
  options: BuildOptions,
  source: string,
): LanguageModelGraph {
  const built = buildModel(config, weights, options, source, taskNamed(config, 'causal-lm'))
  return { ...built, logits: built.output }
}

/** Names and shapes of all weights of a model, in the order the graph asks for them. */
export const weightShapes = (config: ConfigReader, task?: Task): Map<string, readonly number[]> => outline(config, task).requested

/** Names of the weights that norms add to a scale of 1. */
export const zeroCenteredWeights = (config: ConfigReader): ReadonlySet<string> => outline(config).zeroCentered

/** The model of a config, built without weights. */
function outline(config: ConfigReader, task?: Task): ModelBuilder {
  const model = new ModelBuilder('shapes', new Map(), { mode: 'full', positions: 1 })
  const architecture = findArchitecture(config)
  assemble(model, architecture, config, task ?? readTask(config, tasksOf(architecture)))
  return model
}

export const tasksOf = (architecture: Architecture): readonly TaskName[] => architecture.tasks ?? ['causal-lm']

function assemble(model: ModelBuilder, architecture: Architecture, config: ConfigReader, task: Task): ModelGraph {
  const { graph } = model
  if (model.options.dropout !== undefined && architecture.dropsOut !== true)
    throw new InvalidOptionError(
      `the dropouts of a model of type "${config.string('model_type')}" are not built; models that have them: ${architectures
        .filter(({ dropsOut }) => dropsOut === true)
        .flatMap(({ modelTypes }) => modelTypes)
        .join(', ')}. Leave modelDropout (--model-dropout) out`,
    )
  const backbone = architecture.build(model, config, task, prefixOf(architecture, task))
  const { hidden, head, output: own, vocabularySize, maxPositions, present = [], cache } = backbone
  const last = own ?? (head && languageModelOutput(model, hidden, head, vocabularySize))
  if (last === undefined)
    throw new InvalidModelError(`${config.source}: model type "${config.string('model_type')}" has no head for ${task.name}`)
  const name = task.name === 'feature-extraction' ? 'last_hidden_state' : 'logits'
  const output = last.name === name ? last : model.b.emit('Identity', [last], {}, { name })
  graph.outputs = [output, ...present]
  return { graph, task, hidden, output, vocabularySize, maxPositions, ...(cache && { cache }) }
}

function languageModelOutput(
  { b, options }: ModelBuilder,
  hidden: Value,
  head: (hidden: Value) => Value,
  vocabularySize: number,
): Value {
  if (options.mode !== 'cached' || options.allLogits === true) {
    const shape = ['batch', 'sequence', vocabularySize]
    return b.emit('Reshape', [head(hidden), b.shapeVector(shape)], {}, { name: 'logits', shapes: [shape] })
  }
  // Only the newest position is asked for: the head is the largest product of a small model.
  const rows = b.gather(b.reshape(hidden, ['batch', 'sequence', hidden.shape![1]!]), b.scalar(-1, 'int64'), 1)
  return b.emit('Identity', [head(rows)], {}, { name: 'logits' })
}

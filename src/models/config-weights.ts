/** @file Weights of a config.json alone: their names and shapes, and random ones to begin with, without a checkpoint. */
import type { HostTensor } from '../graph/types.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import type { JsonValue } from '../util/python-json.js'
import { ConfigReader, type Json } from './config-reader.js'
import { randomWeights as randomWeightsOf } from './random.js'
import { requestHead } from './new-head.js'
import { findArchitecture, weightShapes as weightShapesOf } from './registry.js'
import type { Task, TaskOption } from './task.js'

/** What weights are for. */
export interface WeightOptions {
  /** The task; the one that the config names, by default. */
  readonly task?: TaskOption
}

const weightOptionKeys = { task: true } satisfies OptionKeys<WeightOptions>

/** The config of a model for the task that is asked for. */
function requested(
  json: Readonly<Record<string, JsonValue>>,
  options: WeightOptions,
  who: string,
): { readonly config: ConfigReader; readonly task?: Task } {
  checkKeys(options, weightOptionKeys, who)
  const config = new ConfigReader(json as Readonly<Record<string, Json>>, 'config.json')
  return options.task === undefined ? { config } : requestHead(config, findArchitecture(config), options)
}

/**
 * Names and shapes of all weights of a model, by its config.json, in the order in which its graph asks for them.
 * @param options what the model is for, where that is not what its config says
 * @throws InvalidModelError for an unknown architecture and for a config that cannot be followed
 * @throws InvalidOptionError for a task that the family has no head for
 * @example
 * const shapes = weightShapes(config)
 * const embedding = shapes.get('model.embed_tokens.weight') // [vocabulary, hidden]
 */
export function weightShapes(
  config: Readonly<Record<string, JsonValue>>,
  options: WeightOptions = {},
): Map<string, readonly number[]> {
  const { config: asked, task } = requested(config, options, 'weightShapes')
  return weightShapesOf(asked, task)
}

/**
 * Random float32 weights for a config.json, to train a model from nothing: matrices from N(0, `initializer_range`²) (0.02
 * unless the config says), scales of norms 1 (0 where the family stores them minus 1), biases 0. The same seed gives the
 * same tensor, whatever else the model has.
 * @param options what the model is for, where that is not what its config says: `{ task: 'masked-lm' }` to pretrain an encoder
 * @throws InvalidModelError for an unknown architecture and for a config that cannot be followed
 * @throws InvalidOptionError for a seed that is no integer of at most 53 bits, and for a task that the family has no head for
 * @example
 * const { files } = nodeEnvironment()
 * await files.write('tiny/model.safetensors', encodeSafetensors(randomWeights(config, 1)))
 * await files.write('tiny/config.json', JSON.stringify(config))
 * const trainee = await fullTrainee(await loadModel('tiny'))
 */
export function randomWeights(
  config: Readonly<Record<string, JsonValue>>,
  seed: number,
  options: WeightOptions = {},
): Map<string, HostTensor> {
  const { config: asked, task } = requested(config, options, 'randomWeights')
  return randomWeightsOf(asked, seed, task)
}

/** @file Weights of a config.json alone: their names and shapes, and random ones to begin with, without a checkpoint. */
import type { HostTensor } from '../graph/types.js'
import type { JsonValue } from '../util/python-json.js'
import { ConfigReader, type Json } from './config-reader.js'
import { randomWeights as randomWeightsOf } from './random.js'
import { weightShapes as weightShapesOf } from './registry.js'

const reader = (config: Readonly<Record<string, JsonValue>>): ConfigReader =>
  new ConfigReader(config as Readonly<Record<string, Json>>, 'config.json')

/**
 * Names and shapes of all weights of a model, by its config.json, in the order in which its graph asks for them.
 * @throws InvalidModelError for an unknown architecture and for a config that cannot be followed
 * @example
 * const shapes = weightShapes(config)
 * const embedding = shapes.get('model.embed_tokens.weight') // [vocabulary, hidden]
 */
export function weightShapes(config: Readonly<Record<string, JsonValue>>): Map<string, readonly number[]> {
  return weightShapesOf(reader(config))
}

/**
 * Random float32 weights for a config.json, to train a model from nothing: matrices from N(0, `initializer_range`²) (0.02
 * unless the config says), scales of norms 1 (0 where the family stores them minus 1), biases 0. The same seed gives the
 * same tensor, whatever else the model has.
 * @throws InvalidModelError for an unknown architecture and for a config that cannot be followed
 * @throws InvalidOptionError for a seed that is no integer of at most 53 bits
 * @example
 * const { files } = nodeEnvironment()
 * await files.write('tiny/model.safetensors', encodeSafetensors(randomWeights(config, 1)))
 * await files.write('tiny/config.json', JSON.stringify(config))
 * const trainee = await fullTrainee(await loadModel('tiny'))
 */
export function randomWeights(config: Readonly<Record<string, JsonValue>>, seed: number): Map<string, HostTensor> {
  return randomWeightsOf(reader(config), seed)
}

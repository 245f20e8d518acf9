/** @file Random weights: for pretraining, benchmarks and tests. */
import { float32 } from '../graph/constants.js'
import { elementCount, type HostTensor } from '../graph/types.js'
import { Random } from '../util/rng.js'
import type { ConfigReader } from './config-reader.js'
import type { Task } from './task.js'
import { weightShapes, zeroCenteredWeights } from './registry.js'

/**
 * First values of one weight: a matrix from N(0, deviation²), a bias 0, the scale of a norm `scale`. Each tensor has a
 * stream of its own.
 */
export const freshTensor = (name: string, shape: readonly number[], seed: number, deviation: number, scale = 1): Float32Array => {
  const data = new Float32Array(elementCount(shape))
  if (name.endsWith('.bias')) return data
  // The only vectors besides biases are the scales of norms.
  if (shape.length === 1) return data.fill(scale)
  const random = Random.derive(seed, name)
  for (let i = 0; i < data.length; i++) data[i] = random.normal(0, deviation)
  return data
}

/**
 * Fresh float32 weights for a config: matrices from N(0, `initializer_range`²) (0.02 unless the config says), norms 1
 * (0 where they are stored minus 1), biases 0. Each tensor has a stream of its own, so the same seed gives the same tensor whatever else the model has.
 */
export function randomWeights(config: ConfigReader, seed: number, task?: Task): Map<string, HostTensor> {
  const deviation = config.number('initializer_range', 0.02)
  const zeroCentered = zeroCenteredWeights(config)
  return new Map(
    [...weightShapes(config, task)].map(([name, shape]) => [
      name,
      float32(shape, freshTensor(name, shape, seed, deviation, zeroCentered.has(name) ? 0 : 1)),
    ]),
  )
}

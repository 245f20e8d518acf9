/** @file Small models whose weights are a formula of their names, as in test/oracle/write-logits.py. */
import { readFileSync } from 'node:fs'
import { float32 } from '../../src/graph/constants.js'
import { elementCount, type HostTensor } from '../../src/graph/types.js'
import { ConfigReader, type Json } from '../../src/models/config-reader.js'
import { weightShapes } from '../../src/models/registry.js'

export interface ModelCase {
  readonly config: Record<string, Json>
  /** PyTorch's parameters, tied ones once. */
  readonly weights: readonly string[]
  /** PyTorch's linear layers and embeddings, in the order of `named_modules`. */
  readonly modules: readonly string[]
  /** [rows, sequence, vocabulary] by the side that is padded. */
  readonly logits: Readonly<Record<'right' | 'left', readonly number[]>>
}

export interface ModelCases {
  readonly input_ids: readonly (readonly number[])[]
  readonly attention_masks: Readonly<Record<'right' | 'left', readonly (readonly number[])[]>>
  readonly cases: Readonly<Record<string, ModelCase>>
}

export const modelCases = JSON.parse(readFileSync('test/fixtures/models/logits.json', 'utf8')) as ModelCases

export function formulaValues(name: string, shape: readonly number[]): Float32Array {
  const hash = [...name].reduce((sum, c, i) => sum + (i + 1) * c.charCodeAt(0), 0) % 1009
  const base = shape.length === 1 && name.endsWith('weight') ? 1 : 0
  const size = shape.length === 1 ? 0.2 : 0.4
  return Float32Array.from({ length: elementCount(shape) }, (_, i) => base + size * Math.sin(hash + 1.7 * i + 0.013 * i * i))
}

export const configOf = (json: Record<string, Json>): ConfigReader => new ConfigReader(json, 'config.json')

export function formulaWeights(config: ConfigReader): Map<string, HostTensor> {
  return new Map([...weightShapes(config)].map(([name, shape]) => [name, float32(shape, formulaValues(name, shape))]))
}

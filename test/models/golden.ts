/** @file Golden cases for the tests of models: folders, tensors, feeds and norm-wise errors. */
import { readFileSync } from 'node:fs'
import { readSafetensorsHeader, loadTensor, toFloat32 } from '../../src/formats/safetensors.js'
import { int64 } from '../../src/graph/constants.js'
import type { HostTensor } from '../../src/graph/types.js'
import { nodeFiles } from '../../src/io/node-files.js'
import type { LanguageModelGraph } from '../../src/models/architecture.js'
import type { BuildOptions } from '../../src/models/build-options.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import type { Weights } from '../../src/models/model-builder.js'
import { buildLanguageModel } from '../../src/models/registry.js'

const files = nodeFiles()

/** A tensor file, every tensor by name, still on disk. */
export async function tensorsOf(path: string): Promise<Weights> {
  return (await readSafetensorsHeader(files, path)).tensors
}

export async function hostTensor(tensors: Weights, name: string): Promise<HostTensor> {
  const tensor = tensors.get(name)
  if (tensor === undefined || !('file' in tensor)) throw new Error(`no tensor ${name}`)
  return loadTensor(files, tensor)
}

export const floats = async (tensors: Weights, name: string): Promise<Float32Array> => toFloat32(await hostTensor(tensors, name))

export const readConfig = (path: string): ConfigReader => new ConfigReader(JSON.parse(readFileSync(path, 'utf8')), path)

export async function buildFolder(folder: string, options: BuildOptions = { mode: 'full' }): Promise<LanguageModelGraph> {
  return buildLanguageModel(readConfig(`${folder}/config.json`), await tensorsOf(`${folder}/model.safetensors`), options, folder)
}

/** ‖a − b‖ / ‖b‖ */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`lengths differ: ${a.length} and ${b.length}`)
  let difference = 0
  let norm = 0
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2
    norm += b[i]! ** 2
  }
  return Math.sqrt(difference / norm)
}

/** Positions 0, 1, … of every row, as transformers numbers them when none are given. */
export function positionIds(batch: number, sequence: number, first = 0): HostTensor {
  return int64(
    [batch, sequence],
    Array.from({ length: batch * sequence }, (_, i) => first + (i % sequence)),
  )
}

/** [rows, …] as nested lists, one a row; of a vector its numbers. */
export function rowsOf({ shape, data }: HostTensor): unknown[] {
  const nest = (values: readonly number[], [count = 0, ...rest]: readonly number[]): unknown[] => {
    if (rest.length === 0) return [...values]
    const size = values.length / count
    return Array.from({ length: count }, (_, i) => nest(values.slice(i * size, (i + 1) * size), rest))
  }
  return nest(Array.from(data as ArrayLike<number | bigint>, Number), shape)
}

/** @file The batch of a golden case as rows that are already tokenised. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadTensor, readSafetensorsHeader, toFloat32 } from '../../src/formats/safetensors.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { rowsOf } from '../models/golden.js'
import { golden } from './run-cli.js'

export interface GoldenCase {
  readonly base_loss: number
  readonly loss: number
  readonly training: {
    readonly lr: number
    readonly weight_decay: number
    readonly losses_before_each_step: readonly number[]
    readonly grad_norms: readonly number[]
  }
}

export const readCase = (name: string): GoldenCase =>
  JSON.parse(readFileSync(join(golden, name, 'case.json'), 'utf8')) as GoldenCase

/** JSONL with the inputs of each row (`input_ids`, `attention_mask`, `pixel_values`) and its labels. */
export async function goldenRows(name: string): Promise<string> {
  const files = nodeFiles()
  const { tensors } = await readSafetensorsHeader(files, join(golden, name, 'tensors.safetensors'))
  const columns: Record<string, unknown[]> = {}
  for (const [key, tensor] of tensors) {
    if (!key.startsWith('input.')) continue
    columns[key.slice('input.'.length)] = rowsOf(await loadTensor(files, tensor))
  }
  const rows = Object.values(columns)[0]!
  return rows
    .map((_, i) => `${JSON.stringify(Object.fromEntries(Object.entries(columns).map(([key, column]) => [key, column[i]])))}\n`)
    .join('')
}

/** Every tensor of a safetensors file as float32. */
export async function readAll(path: string): Promise<Map<string, Float32Array>> {
  const files = nodeFiles()
  const { tensors } = await readSafetensorsHeader(files, path)
  const result = new Map<string, Float32Array>()
  for (const [name, tensor] of tensors) result.set(name, toFloat32(await loadTensor(files, tensor)))
  return result
}

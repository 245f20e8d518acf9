/** @file The batch of a golden case as rows that are already tokenised. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadTensor, readSafetensorsHeader, toFloat32 } from '../../src/formats/safetensors.js'
import { nodeFiles } from '../../src/io/node-files.js'
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

/** JSONL with `input_ids`, `attention_mask` and `labels` of each row. */
export async function goldenRows(name: string): Promise<string> {
  const files = nodeFiles()
  const { tensors } = await readSafetensorsHeader(files, join(golden, name, 'tensors.safetensors'))
  const rows = async (key: string): Promise<number[][]> => {
    const tensor = tensors.get(`input.${key}`)!
    const values = Array.from((await loadTensor(files, tensor)).data as BigInt64Array, Number)
    const [count, length] = tensor.shape as [number, number]
    return Array.from({ length: count }, (_, i) => values.slice(i * length, (i + 1) * length))
  }
  const [ids, mask, labels] = [await rows('input_ids'), await rows('attention_mask'), await rows('labels')]
  return ids.map((input_ids, i) => `${JSON.stringify({ input_ids, attention_mask: mask[i], labels: labels[i] })}\n`).join('')
}

/** Every tensor of a safetensors file as float32. */
export async function readAll(path: string): Promise<Map<string, Float32Array>> {
  const files = nodeFiles()
  const { tensors } = await readSafetensorsHeader(files, path)
  const result = new Map<string, Float32Array>()
  for (const [name, tensor] of tensors) result.set(name, toFloat32(await loadTensor(files, tensor)))
  return result
}

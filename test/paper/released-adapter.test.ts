/** @file The released adapter of RoBERTa-base for MNLI: to PEFT and back with the same tensors, and on a random RoBERTa-base the logits of loralib's formula. Skipped where ../shared/models is absent. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { loadAdapter } from '../../src/adapter/adapter.js'
import { convert } from '../../src/adapter/convert.js'
import { forward } from '../../src/adapter/forward.js'
import { encodeTorch, readTorchTensors } from '../../src/formats/torch/index.js'
import { float32, int64 } from '../../src/graph/constants.js'
import type { HostTensor } from '../../src/graph/types.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { relativeError } from '../models/golden.js'
import { temporaryFolder, testEnvironment } from '../support/training.js'

const released = resolve(import.meta.dirname, '../../../shared/models/roberta-base-lora-mnli/roberta_base_lora_mnli.bin')

describe.skipIf(!existsSync(released))('roberta_base_lora_mnli.bin', () => {
  const folder = temporaryFolder()
  const environment = testEnvironment()
  const peft = join(folder, 'peft')
  let stored: ReadonlyMap<string, HostTensor>
  beforeAll(async () => {
    stored = (await readTorchTensors(environment.files, released)).loaded
    await convert(released, peft, { alpha: 16 }, environment)
  })

  it('is the same tensors after PEFT and back', async () => {
    const back = join(folder, 'back.bin')
    await convert(peft, back, {}, environment)
    const { loaded } = await readTorchTensors(environment.files, back)
    expect([...loaded.keys()].sort()).toEqual([...stored.keys()].sort())
    for (const [name, { shape, data }] of stored) {
      expect(loaded.get(name)!.shape, name).toEqual(shape)
      expect(Buffer.from(loaded.get(name)!.data.buffer).equals(Buffer.from(data.buffer)), name).toBe(true)
    }
  })

  it("gives the logits of W + α/r·B·A, with the file's own head", async () => {
    // Its first two layers: what the formula is does not depend on how many there are.
    const first = new Map([...stored].filter(([name]) => !/layer\.([2-9]|1\d)\./.test(name)))
    const [file, peftOfFirst] = [join(folder, 'first.bin'), join(folder, 'first')]
    await environment.files.write(file, encodeTorch([...first]))
    await convert(file, peftOfFirst, { alpha: 16 }, environment)
    const config = new ConfigReader(
      {
        ...{
          model_type: 'roberta',
          architectures: ['RobertaForSequenceClassification'],
          hidden_size: 768,
          num_hidden_layers: 2,
        },
        ...{ num_attention_heads: 12, intermediate_size: 64, vocab_size: 100, max_position_embeddings: 20, pad_token_id: 1 },
        id2label: { 0: 'a', 1: 'b', 2: 'c' },
      },
      'roberta',
    )
    const weights = randomWeights(config, 5)
    const base = FolderModel.fromWeights(environment, config, weights)
    const data = (name: string): Float32Array => stored.get(name)!.data as Float32Array
    const merged = new Map(weights)
    for (const [name, { shape }] of first) {
      if (name.startsWith('classifier.')) merged.set(name, float32(shape, data(name)))
      if (!name.endsWith('.lora_A')) continue
      const weight = name.replace('.lora_A', '.weight')
      const [A, B] = [data(name), data(name.replace('.lora_A', '.lora_B'))]
      const W = Float32Array.from((weights.get(weight) as HostTensor).data as Float32Array)
      for (let o = 0; o < 768; o++)
        for (let i = 0; i < 768; i++) {
          let sum = 0
          for (let k = 0; k < 8; k++) sum += B[o * 8 + k]! * A[k * 768 + i]!
          W[o * 768 + i]! += (16 / 8) * sum
        }
      merged.set(weight, float32([768, 768], W))
    }
    const input = { input_ids: int64([2, 6], [0, 5, 17, 42, 8, 2, 0, 60, 3, 2, 2, 2]) }
    const logitsOf = async (subject: Parameters<typeof forward>[0]): Promise<Float32Array> =>
      (await forward(subject, input))['logits']!.data as Float32Array
    const formula = await logitsOf(FolderModel.fromWeights(environment, config, merged))
    const adapted = await logitsOf(await loadAdapter(base, peftOfFirst))
    expect(relativeError(adapted, Array.from(formula))).toBeLessThan(1e-5)
    expect(relativeError(await logitsOf(base), Array.from(formula))).toBeGreaterThan(1e-2)
  })
})

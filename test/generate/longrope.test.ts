/** @file A text that outgrows the short angles of LongRoPE while it is generated. */
import { describe, expect, it } from 'vitest'
import { argmax } from '../../src/generate/sampling.js'
import { int64 } from '../../src/graph/constants.js'
import { FolderModel, generate } from '../../src/index.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { positionIds } from '../models/golden.js'
import { testEnvironment } from '../support/training.js'

const config = new ConfigReader(
  {
    model_type: 'phi3',
    vocab_size: 60,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
    original_max_position_embeddings: 12,
    initializer_range: 0.3,
    rope_scaling: { type: 'longrope', short_factor: [1, 1, 1, 1], long_factor: [3, 7, 11, 13] },
  },
  'config.json',
)

describe('generation with LongRoPE', () => {
  it.each([6, 12, 20])('from a prompt of %i tokens gives the tokens of the model without a cache', async (length) => {
    const model = FolderModel.fromWeights(testEnvironment(), config, randomWeights(config, 3))
    const prompt = Array.from({ length }, (_, i) => (7 * i + 3) % 60)
    const session = await model.environment.runtime.createSession(model.build({ mode: 'full' }).graph)
    const ids = [...prompt]
    for (let i = 0; i < 14; i++) {
      const n = ids.length
      const { logits } = await session.run({
        input_ids: int64([1, n], ids),
        attention_mask: int64([1, n], new Array<number>(n).fill(1)),
        position_ids: positionIds(1, n),
      })
      ids.push(argmax((logits!.data as Float32Array).subarray((n - 1) * 60)))
    }
    await session.release()
    const generated = await generate(model, { inputIds: prompt, maxNewTokens: 14, eosTokenIds: [] })
    expect(generated.ids).toEqual(ids.slice(length))
  })
})

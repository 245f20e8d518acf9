/**
 * @file Decoders with odd options against transformers: parameters, modules in their order, logits with padding on either
 * side.
 */
import { describe, expect, it } from 'vitest'
import { int64 } from '../../src/graph/constants.js'
import { buildLanguageModel } from '../../src/models/registry.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { configOf, formulaWeights, modelCases } from './cases.js'
import { positionIds, relativeError } from './golden.js'

const runtime = nodeRuntime({ threads: 1 })

describe.each(Object.entries(modelCases.cases))('transformers %s', (_, reference) => {
  const config = configOf(reference.config)
  const weights = formulaWeights(config)
  const model = buildLanguageModel(config, weights, { mode: 'full' }, 'weights')

  it('asks for exactly the parameters that PyTorch has', () => {
    expect([...weights.keys()].sort()).toEqual([...reference.weights].sort())
  })

  it('names its modules as PyTorch does, in the same order', () => {
    expect([...model.graph.modules.keys()]).toEqual(reference.modules)
  })

  it.each(['right', 'left'] as const)(
    'gives the same logits with padding on the %s, fully masked rows included',
    async (side) => {
      const session = await runtime.createSession(model.graph)
      const feed = (rows: readonly (readonly number[])[]): ReturnType<typeof int64> =>
        int64([rows.length, rows[0]!.length], rows.flat())
      const { logits } = await session.run({
        input_ids: feed(modelCases.input_ids),
        attention_mask: feed(modelCases.attention_masks[side]),
        position_ids: positionIds(3, 9),
      })
      await session.release()
      expect(relativeError(logits!.data as Float32Array, reference.logits[side])).toBeLessThan(2e-6)
    },
  )
})

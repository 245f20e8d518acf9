/** @file Decoders and their heads against transformers: logits-decoders.json, made by test/oracle/write-decoders.py. */
import { describe, expect, it } from 'vitest'
import { InvalidOptionError } from '../../src/errors.js'
import { int64 } from '../../src/graph/constants.js'
import type { HostTensor } from '../../src/graph/types.js'
import type { ModelGraph } from '../../src/models/architecture.js'
import type { BuildOptions } from '../../src/models/build-options.js'
import type { Json } from '../../src/models/config-reader.js'
import { buildModel } from '../../src/models/registry.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { configOf, formulaWeights } from './cases.js'
import { decoderCases, type Side } from './decoder-cases.js'
import { positionIds, relativeError } from './golden.js'

const runtime = nodeRuntime({ threads: 1 })
const build = (json: Record<string, Json>, options: BuildOptions = { mode: 'full' }): ModelGraph =>
  buildModel(configOf(json), formulaWeights(configOf(json)), options, 'weights')

const tensor = (rows: readonly (readonly number[])[]): HostTensor => int64([rows.length, rows[0]!.length], rows.flat())
const feeds = (side: Side): Record<string, HostTensor> => ({
  input_ids: tensor(decoderCases.input_ids[side]),
  attention_mask: tensor(decoderCases.attention_masks[side]),
  position_ids: positionIds(3, 9),
})

const outputs = async (model: ModelGraph, side: Side): Promise<HostTensor> => {
  const session = await runtime.createSession(model.graph)
  const results = await session.run(feeds(side))
  await session.release()
  return results['logits']!
}

describe.each(Object.entries(decoderCases.cases))('transformers %s', (_, reference) => {
  const model = build(reference.config)

  it('asks for exactly the parameters that PyTorch has', () => {
    expect([...formulaWeights(configOf(reference.config)).keys()].sort()).toEqual([...reference.weights].sort())
  })

  it('names its modules as PyTorch does', () => {
    // In the order of use: Phi-3 declares o_proj before qkv_proj.
    expect([...model.graph.modules.keys()].sort()).toEqual([...reference.modules].sort())
  })

  it.each(['right', 'left'] as const)('gives the same logits with padding on the %s', async (side) => {
    const logits = await outputs(model, side)
    expect(logits.shape).toEqual(reference.shape)
    expect(relativeError(logits.data as Float32Array, reference.logits[side])).toBeLessThan(2e-6)
  })

  it('gives them in blocks of queries', async () => {
    const logits = await outputs(build(reference.config, { mode: 'full', queryBlocks: 3 }), 'right')
    // Padding beyond a window sees no key at all, and averages fewer values in blocks; nothing reads it.
    const width = reference.shape.at(-1)!
    const mask = decoderCases.attention_masks.right.flat()
    const read = (values: ArrayLike<number>): number[] =>
      Array.from(values).filter((_, i) => reference.shape.length < 3 || mask[Math.floor(i / width)] === 1)
    expect(relativeError(read(logits.data as Float32Array), read(reference.logits.right))).toBeLessThan(2e-6)
  })
})

describe('decoder heads', () => {
  const sequence = decoderCases.cases['llama-sequence']!
  const { pad_token_id: _, ...noPadding } = sequence.config

  it('take the last token that the mask shows where the config names no padding token', async () => {
    for (const side of ['right', 'left'] as const)
      expect(relativeError((await outputs(build(noPadding), side)).data as Float32Array, sequence.logits[side])).toBeLessThan(
        2e-6,
      )
  })

  it('neither generate nor are packed', () => {
    expect(() => build(sequence.config, { mode: 'cached' })).toThrow(InvalidOptionError)
    expect(() => build(sequence.config, { mode: 'cached' })).toThrow(
      'only language models generate: a model for sequence-classification cannot be built with mode "cached"',
    )
    expect(() => build(sequence.config, { mode: 'full', packed: true })).toThrow('a row has one class')
    expect(() => build(decoderCases.cases['llama-token']!.config, { mode: 'full', packed: true })).not.toThrow()
  })

  it('are refused where transformers has none', () => {
    expect(() => build({ ...decoderCases.cases['phi3-sequence']!.config, architectures: ['Phi3ForQuestionAnswering'] })).toThrow(
      '"architectures" names Phi3ForQuestionAnswering, which is not supported for model type "phi3"; supported are causal-lm, sequence-classification, token-classification',
    )
  })
})

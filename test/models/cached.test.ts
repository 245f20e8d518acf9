/** @file Graphs with a cache against the logits of transformers for the whole row, prefilled and step by step. */
import { describe, expect, it } from 'vitest'
import { float32, int64 } from '../../src/graph/constants.js'
import type { HostTensor } from '../../src/graph/types.js'
import type { LanguageModelGraph } from '../../src/models/architecture.js'
import { buildLanguageModel } from '../../src/models/registry.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import type { Session } from '../../src/runtime/runtime.js'
import { configOf, formulaWeights, modelCases } from './cases.js'
import { languageModelCases } from './decoder-cases.js'
import { relativeError } from './golden.js'

const runtime = nodeRuntime({ threads: 1 })
const BATCH = 3
const LENGTH = 9
const PROMPT = 5
const CAPACITY = 16

const ids = modelCases.input_ids
/** Left padding: rows of 9, 6 and 7 tokens; the first token of every row lies inside the prompt. */
const mask = [0, 3, 2].map((padding) => Array.from({ length: LENGTH }, (_, i): number => (i < padding ? 0 : 1)))
/** Positions count tokens, not padding, as generation does. */
const positions = mask.map((row) => row.map((_, i) => Math.max(0, row.slice(0, i + 1).reduce((a, b) => a + b, 0) - 1)))

const columns = (rows: readonly (readonly number[])[], from: number, to: number): HostTensor =>
  int64(
    [BATCH, to - from],
    rows.flatMap((row) => row.slice(from, to)),
  )

/** A cache of fixed capacity that the host fills, as generation does. Unfilled slots hold rubbish that no result may show. */
class Cache {
  private readonly buffers = new Map<string, Float32Array>()
  private filled = 0

  constructor(
    private readonly model: LanguageModelGraph,
    private readonly capacity: number,
  ) {}

  feeds(): Record<string, HostTensor> {
    const { layers, kvHeads, headDim } = this.model.cache!
    const feeds: Record<string, HostTensor> = {
      cache_mask: int64(
        [BATCH, this.capacity],
        mask.flatMap((row) => Array.from({ length: this.capacity }, (_, j) => (j < this.filled ? row[j]! : 0))),
      ),
    }
    if (this.model.graph.inputs.some((i) => i.name === 'cache_length')) feeds['cache_length'] = int64([1], [this.filled])
    if (this.model.graph.inputs.some((i) => i.name === 'row_length')) feeds['row_length'] = int64([1], [LENGTH])
    for (let layer = 0; layer < layers; layer++)
      for (const part of ['key', 'value']) {
        const size = BATCH * kvHeads * this.capacity * headDim
        const buffer = this.buffers.get(`${part}.${layer}`) ?? new Float32Array(size).fill(1e3)
        this.buffers.set(`${part}.${layer}`, buffer)
        feeds[`past_${part}.${layer}`] = float32([BATCH, kvHeads, this.capacity, headDim], buffer)
      }
    return feeds
  }

  store(results: Record<string, HostTensor>, count: number): void {
    const { kvHeads, headDim } = this.model.cache!
    for (const [name, buffer] of this.buffers) {
      const present = results[`present_${name}`]!
      expect(present.shape).toEqual([BATCH, kvHeads, count, headDim])
      const data = present.data as Float32Array
      for (let head = 0; head < BATCH * kvHeads; head++)
        buffer.set(
          data.subarray(head * count * headDim, (head + 1) * count * headDim),
          (head * this.capacity + this.filled) * headDim,
        )
    }
    this.filled += count
  }
}

const step = async (session: Session, cache: Cache, from: number, to: number, keep = true): Promise<HostTensor> => {
  const results = await session.run({
    input_ids: columns(ids, from, to),
    attention_mask: columns(mask, from, to),
    position_ids: columns(positions, from, to),
    ...cache.feeds(),
  })
  if (keep) cache.store(results, to - from)
  return results['logits']!
}

describe.each([...Object.entries(modelCases.cases), ...languageModelCases])('cache of %s', (_, reference) => {
  const config = configOf(reference.config)
  const weights = formulaWeights(config)

  it('gives the logits of the whole row: empty cache, prefill, single steps and a step of several tokens', async () => {
    const full = await runtime.createSession(buildLanguageModel(config, weights, { mode: 'full' }, 'weights').graph)
    const model = buildLanguageModel(config, weights, { mode: 'cached' }, 'weights')
    const cached = await runtime.createSession(model.graph)
    const whole = (
      await full.run({
        input_ids: columns(ids, 0, LENGTH),
        attention_mask: columns(mask, 0, LENGTH),
        position_ids: columns(positions, 0, LENGTH),
      })
    )['logits']!.data as Float32Array
    const vocabulary = model.vocabularySize
    const expected = (position: number): number[] =>
      Array.from({ length: BATCH }, (_, row) => [
        ...whole.subarray((row * LENGTH + position) * vocabulary, (row * LENGTH + position + 1) * vocabulary),
      ]).flat()
    const check = (logits: HostTensor, position: number): void => {
      expect(logits.shape).toEqual([BATCH, vocabulary])
      expect(relativeError(logits.data as Float32Array, expected(position))).toBeLessThan(2e-6)
    }

    check(await step(cached, new Cache(model, 0), 0, PROMPT, false), PROMPT - 1)
    const cache = new Cache(model, CAPACITY)
    check(await step(cached, cache, 0, PROMPT), PROMPT - 1)
    check(await step(cached, cache, PROMPT, PROMPT + 1), PROMPT)
    check(await step(cached, cache, PROMPT + 1, PROMPT + 2), PROMPT + 1)
    check(await step(cached, cache, PROMPT + 2, LENGTH), LENGTH - 1)
    await full.release()
    await cached.release()
  })

  it('keeps packed examples apart', async () => {
    const full = await runtime.createSession(buildLanguageModel(config, weights, { mode: 'full' }, 'weights').graph)
    const packed = await runtime.createSession(
      buildLanguageModel(config, weights, { mode: 'full', packed: true }, 'weights').graph,
    )
    const row = ids[0]!
    const first = 4
    const alone = async (from: number, to: number): Promise<number[]> => {
      const length = to - from
      const feeds = {
        input_ids: int64([1, length], row.slice(from, to)),
        attention_mask: int64([1, length], Array(length).fill(1)),
        position_ids: int64([1, length], [...Array(length).keys()]),
      }
      return [...((await full.run(feeds))['logits']!.data as Float32Array)]
    }
    const expected = [...(await alone(0, first)), ...(await alone(first, 7))]
    const together = await packed.run({
      input_ids: int64([1, LENGTH], row),
      attention_mask: int64([1, LENGTH], [1, 1, 1, 1, 2, 2, 2, 0, 0]),
      position_ids: int64([1, LENGTH], [0, 1, 2, 3, 0, 1, 2, 0, 0]),
    })
    const logits = together['logits']!.data as Float32Array
    expect(relativeError(logits.subarray(0, expected.length), expected)).toBeLessThan(2e-6)
    expect(logits.every(Number.isFinite)).toBe(true)
    await full.release()
    await packed.release()
  })
})

describe('cached graphs', () => {
  const config = configOf(modelCases.cases['mistral-window']!.config)
  const plain = configOf(modelCases.cases['llama-tied-yarn']!.config)

  it('take cache_length only where there is a window', () => {
    const inputs = (c: typeof config): string[] =>
      buildLanguageModel(c, formulaWeights(c), { mode: 'cached' }, 'weights').graph.inputs.map((i) => i.name)
    expect(inputs(config).slice(0, 6)).toEqual([
      'input_ids',
      'attention_mask',
      'position_ids',
      'cache_mask',
      'cache_length',
      'past_key.0',
    ])
    expect(inputs(plain)).not.toContain('cache_length')
  })

  it('cannot be packed', () => {
    expect(() => buildLanguageModel(plain, formulaWeights(plain), { mode: 'cached', packed: true }, 'weights')).toThrow(
      'packed rows cannot be built with a cache',
    )
  })
})

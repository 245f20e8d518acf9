/** @file A published llama of 260,000 parameters continues as its own reference does. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { float32, int64 } from '../../src/graph/constants.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { buildFolder } from './golden.js'

const folder = '../shared/models/stories260k'

/** Index of the largest number. */
function argmax(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0)
}

describe.skipIf(!existsSync(folder))('stories260k', () => {
  const golden = (): { first_position_top5_logits: [number, number][]; greedy_ids_first_32: number[] } =>
    JSON.parse(readFileSync(`${folder}/golden.json`, 'utf8'))

  it('continues greedily as its reference does, one token at a time', async () => {
    const { greedy_ids_first_32: expected, first_position_top5_logits: top } = golden()
    const { graph, cache } = await buildFolder(folder, { mode: 'cached' })
    const session = await nodeRuntime({ threads: 1 }).createSession(graph)
    const { layers, kvHeads, headDim } = cache!
    const capacity = expected.length
    const buffers = Array.from({ length: layers }, () => ({
      key: new Float32Array(kvHeads * capacity * headDim),
      value: new Float32Array(kvHeads * capacity * headDim),
    }))
    const ids: number[] = []
    let token = 1
    for (let position = 0; position < capacity; position++) {
      const results = await session.run({
        input_ids: int64([1, 1], [token]),
        attention_mask: int64([1, 1], [1]),
        position_ids: int64([1, 1], [position]),
        cache_mask: int64(
          [1, capacity],
          Array.from({ length: capacity }, (_, j) => (j < position ? 1 : 0)),
        ),
        ...Object.fromEntries(
          buffers.flatMap((buffer, layer) =>
            (['key', 'value'] as const).map((part) => [
              `past_${part}.${layer}`,
              float32([1, kvHeads, capacity, headDim], buffer[part]),
            ]),
          ),
        ),
      })
      buffers.forEach((buffer, layer) => {
        for (const part of ['key', 'value'] as const) {
          const present = results[`present_${part}.${layer}`]!.data as Float32Array
          for (let head = 0; head < kvHeads; head++)
            buffer[part].set(present.subarray(head * headDim, (head + 1) * headDim), (head * capacity + position) * headDim)
        }
      })
      const logits = results['logits']!.data as Float32Array
      if (position === 0) for (const [id, value] of top) expect(logits[id]).toBeCloseTo(value, 3)
      token = argmax(logits)
      ids.push(token)
    }
    await session.release()
    expect(ids).toEqual(expected)
  })
})

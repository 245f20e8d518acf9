/** @file An engine under load: texts that are aborted at random leave nothing behind, and memory stays what it was. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { generate } from '../../../src/index.js'
import { Engine } from '../../../src/serve/engine/engine.js'
import { QueueFullError } from '../../../src/serve/engine/errors.js'
import { Random } from '../../../src/util/rng.js'
import { adapterKinds, openModel, readText, textOf, writeAdapter } from './served.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of typed arrays that something still holds. */
async function heldBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return process.memoryUsage().arrayBuffers
}

describe('an engine under load', () => {
  it('frees the places of texts that are aborted, left or late, at any moment; the others are what they are alone', async () => {
    const model = await openModel()
    const engine = new Engine(model, { maxRows: 5, maxLoras: 2, maxCpuLoras: 2, maxQueue: 40 })
    const names = ['lora', 'wide', 'saved'] as const
    for (const [i, name] of names.entries())
      await engine.adapters.load(name, await writeAdapter(model, adapterKinds[name]!, i + 1))
    const random = new Random(11)
    const expected = (await generate(model, { ...textOf([]).options, inputIds: [4, 5, 6] })).ids
    const outcomes: Record<string, number> = {}
    const count = (outcome: string): void => void (outcomes[outcome] = (outcomes[outcome] ?? 0) + 1)
    const visit = async (): Promise<void> => {
      const [kind, name] = [random.integer(5), names[random.integer(3)]!]
      const abort = new AbortController()
      const request = textOf([4, 5, 6], kind === 0 ? [] : [{ name, scale: 1 }])
      const late = kind === 1 && { timeout: 1 + random.integer(4) }
      try {
        const stream = engine.start({ ...request, signal: abort.signal, key: `${random.integer(3)}`, ...late })
        const last = 1 + random.integer(8)
        if (kind === 2) setTimeout(() => abort.abort(), random.integer(30))
        if (kind === 3) {
          for (let i = 0; i < last; i++) await stream.next()
          await stream.return(undefined as never)
          return count('left')
        }
        const { ids, finishReason } = await readText(stream, (token) => kind === 4 && token === last && abort.abort())
        if (kind === 0) expect(ids).toEqual(expected)
        if (kind > 0) expect(['length', 'aborted']).toContain(finishReason)
        count(finishReason)
      } catch (error) {
        expect(error instanceof QueueFullError ? error.retryAfter >= 1 : kind === 1).toBe(true)
        count((error as Error).name)
      }
    }
    const visitor = async (): Promise<void> => {
      for (let i = 0; i < 8; i++) await visit()
    }
    await Promise.all(Array.from({ length: 48 }, visitor))
    expect(Object.keys(outcomes).sort()).toEqual(['DeadlineError', 'QueueFullError', 'aborted', 'left', 'length'])
    await engine.drain()
    expect([engine.running, engine.waiting]).toEqual([0, 0])
    // Nothing holds them any more.
    await Promise.all(names.map((name) => engine.adapters.unload(name)))
    expect([engine.adapters.inMemory, engine.adapters.memory.set.names]).toEqual([0, []])
  })

  it('holds no more after many texts than after a few', async () => {
    const model = await openModel()
    const engine = new Engine(model, { maxRows: 8, prefixBytes: 1 << 18, maxQueue: 1000 })
    await engine.adapters.load('lora', await writeAdapter(model, adapterKinds['lora']!, 1))
    const random = new Random(5)
    const some = async (texts: number): Promise<number> => {
      const ids = (): number[] => Array.from({ length: 1 + random.integer(50) }, () => random.integer(90))
      const adapters = [{ name: 'lora', scale: 1 }]
      await Promise.all(Array.from({ length: texts }, (_, i) => readText(engine.start(textOf(ids(), i % 2 ? adapters : [], { maxNewTokens: 3 }))))) // prettier-ignore
      return heldBytes()
    }
    const before = await some(100)
    expect(engine.keptBytes).toBeGreaterThan(1 << 17)
    expect((await some(400)) - before).toBeLessThan(1 << 20)
    expect(engine.keptBytes).toBeLessThanOrEqual(1 << 18)
  })
})

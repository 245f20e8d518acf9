/** @file What waits for a tracker: in order, tried again, bounded, and given up in time. */
import { describe, expect, it } from 'vitest'
import { Outbox, Refused } from './outbox.js'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/** An outbox that keeps what it is told to send; `answer` may fail a call, counted from 1. */
function recorder(
  answer: (call: number, signal: AbortSignal) => void | Promise<void>,
  more: { limit?: number; endMs?: number } = {},
) {
  const sent: (readonly number[])[] = []
  let calls = 0
  const send = async (items: readonly number[], signal: AbortSignal): Promise<void> => {
    await answer(++calls, signal)
    sent.push(items)
  }
  return { box: new Outbox<number>({ name: 'test', send, batch: 4, retryMs: 1, ...more }), sent, calls: () => calls }
}

describe('an outbox', () => {
  it('sends in order, what is told in one go together, at most a batch at once', async () => {
    const { box, sent } = recorder(() => undefined)
    numbers(9).forEach((n) => box.push(n))
    await box.end()
    expect(sent).toEqual([[0, 1, 2, 3], [4, 5, 6, 7], [8]])
    expect(box.warnings()).toEqual([])
  })

  it('tries again what failed, and warns once', async () => {
    const { box, sent } = recorder((call) => {
      if (call < 4) throw new Error('no route')
    })
    numbers(3).forEach((n) => box.push(n))
    while (sent.length === 0) await new Promise((done) => setTimeout(done, 1))
    box.push(3)
    await box.end()
    expect(sent.flat()).toEqual([0, 1, 2, 3])
    expect(box.warnings()).toEqual(['test: no route; the run goes on without it, and what it does not take is lost there'])
    expect(box.warnings()).toEqual([])
  })

  it('gives up at once where it is refused, and takes nothing more', async () => {
    const { box, calls } = recorder(() => {
      throw new Refused('answers 401')
    })
    box.push(0)
    await new Promise((done) => setTimeout(done, 10))
    box.push(1)
    await box.end()
    expect(calls()).toBe(1)
    expect(box.warnings()).toHaveLength(1)
  })

  it('holds so many, the newest', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const { box, sent } = recorder(() => gate, { limit: 6 })
    box.push(0)
    await new Promise((done) => setTimeout(done, 5))
    numbers(20).forEach((n) => box.push(n + 1))
    open()
    await box.end()
    expect(sent.flat()).toEqual([0, 15, 16, 17, 18, 19, 20])
  })

  it('waits at its end as long as it says, and then ends what is on its way', async () => {
    let ended = false
    const never = (_: number, signal: AbortSignal): Promise<void> =>
      new Promise((_resolve, fail) => {
        signal.addEventListener('abort', () => {
          ended = true
          fail(new Error('aborted'))
        })
      })
    const { box } = recorder(never, { endMs: 50 })
    box.push(0)
    const started = performance.now()
    await box.end()
    expect(performance.now() - started).toBeGreaterThan(40)
    expect(ended).toBe(true)
    expect(box.warnings()).toEqual([expect.stringContaining("it did not take everything within 0.05 seconds of the run's end")])
  })
})

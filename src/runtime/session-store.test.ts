/** @file Shared sessions are held to their promise: none is released while a run is on it, and each is released once. */
import { describe, expect, it } from 'vitest'
import type { Session } from './runtime.js'
import { SessionStore, SharedSession } from './session-store.js'

/** A store of sessions that note their release, and a run that ends when it is told to. */
function store() {
  const released: string[] = []
  const sessions = new SessionStore<SharedSession<{ session: Session }>>()
  const add = (name: string, compiled: Promise<Session> = Promise.resolve(sessionOf(name))) =>
    sessions.put(name, new SharedSession(compiled.then((session) => ({ session }))))
  const sessionOf = (name: string): Session => ({
    run: () => Promise.resolve({}),
    release: () => {
      released.push(name)
      return Promise.resolve()
    },
  })
  return { sessions, released, add }
}

const later = (): { ended: Promise<void>; end: () => void } => {
  let end!: () => void
  const ended = new Promise<void>((resolve) => (end = resolve))
  return { ended, end }
}

describe('SessionStore', () => {
  it('releases a session that is in use when its last run has ended', async () => {
    const { sessions, released, add } = store()
    const [first, second] = [later(), later()]
    const entry = add('a')
    const runs = [entry.use(() => first.ended), entry.use(() => second.ended)]
    const gone = sessions.retire('a')
    expect(sessions.peek('a')).toBeUndefined()
    expect(sessions.size).toBe(1)
    first.end()
    await runs[0]
    expect(released).toEqual([])
    second.end()
    await gone
    expect(released).toEqual(['a'])
    expect(sessions.size).toBe(0)
  })

  it('waits for what is still compiled', async () => {
    const { sessions, released, add } = store()
    const compiled = later()
    add(
      'a',
      compiled.ended.then(() => ({ run: () => Promise.resolve({}), release: () => Promise.resolve(void released.push('a')) })),
    )
    const disposed = sessions.dispose()
    await Promise.resolve()
    expect(released).toEqual([])
    compiled.end()
    await disposed
    expect(released).toEqual(['a'])
  })

  it('keeps nothing of a graph that cannot be compiled, and tells who asked', async () => {
    const { sessions, add } = store()
    const entry = add('a', Promise.reject(new Error('refused by the runtime')))
    await expect(entry.use(() => Promise.resolve())).rejects.toThrow('refused by the runtime')
    expect(sessions.size).toBe(0)
    await sessions.dispose()
  })

  it('lists what was used longest ago first', () => {
    const { sessions, add } = store()
    const entry = add('a')
    add('b')
    sessions.put('a', entry)
    expect(sessions.entries.map(([key]) => key)).toEqual(['b', 'a'])
  })
})

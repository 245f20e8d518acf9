/** @file Several processes of a job within this one, for the tests of distributed training. */
import type { Communicator, Copyable, Summable } from '../../src/distributed/communicator.js'

class Aborted extends Error {}

/** Where all members meet: the last one to come works on what all have brought, and lets everybody go. */
class Meeting {
  private arrays: Copyable[] = []
  private here = 0
  private open: PromiseWithResolversLike = withResolvers()
  private aborted = false

  constructor(private readonly size: number) {}

  async join(rank: number, array: Copyable, work: (arrays: readonly Copyable[]) => void): Promise<void> {
    if (this.aborted) throw new Aborted()
    this.arrays[rank] = array
    const { open } = this
    if (++this.here === this.size) {
      const lengths = new Set(this.arrays.map(({ length }) => length))
      if (lengths.size !== 1) throw new Error(`the members brought ${[...lengths].join(' and ')} elements`)
      work(this.arrays)
      this.arrays = []
      this.here = 0
      this.open = withResolvers()
      open.resolve()
    }
    await open.promise
  }

  abort(): void {
    this.aborted = true
    this.open.reject(new Aborted('a member has left'))
  }
}

interface PromiseWithResolversLike {
  readonly promise: Promise<void>
  resolve(): void
  reject(error: Error): void
}

function withResolvers(): PromiseWithResolversLike {
  let [resolve, reject] = [(): void => undefined, (_: Error): void => undefined]
  const promise = new Promise<void>((yes, no) => ([resolve, reject] = [yes, no]))
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}

/** Communicators of `size` members that run in turn in this process. */
export function communicators(size: number): Communicator[] {
  const meeting = new Meeting(size)
  return Array.from({ length: size }, (_, rank) => ({
    rank,
    size,
    allReduceSum: (values: Summable) =>
      meeting.join(rank, values, (arrays) => {
        const sum = values.slice()
        for (let i = 0; i < sum.length; i++) sum[i] = arrays.reduce((total, array) => total + array[i]!, 0)
        for (const array of arrays) array.set(sum)
      }),
    broadcast: (values: Copyable, root: number) =>
      meeting.join(rank, values, (arrays) => arrays.forEach((array) => array.set(arrays[root]!.slice()))),
    barrier: () => meeting.join(rank, new Uint8Array(0), () => undefined),
    abort: () => meeting.abort(),
    finalize: () => Promise.resolve(),
  }))
}

/** Runs the same task as every member; the first failure ends the others, as a process that dies does under MPI. */
export async function inProcesses<T>(size: number, task: (communicator: Communicator) => Promise<T>): Promise<T[]> {
  const results = await Promise.allSettled(
    communicators(size).map(async (communicator) => {
      try {
        return await task(communicator)
      } catch (error) {
        communicator.abort(1)
        throw error
      }
    }),
  )
  const failures = results.flatMap((r) => (r.status === 'rejected' ? [r.reason as Error] : []))
  const first = failures.find((error) => !(error instanceof Aborted)) ?? failures[0]
  if (first !== undefined) throw first
  return results.map((r) => (r as PromiseFulfilledResult<T>).value)
}

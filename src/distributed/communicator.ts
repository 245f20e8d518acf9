/** @file What a run over several processes needs of them: sums and copies that all share, and a common end. */

/** Arrays that are summed or copied, in place. */
export type Summable = Float32Array | Float64Array
/** Arrays that are copied, in place. */
export type Copyable = Summable | Uint8Array

/**
 * The processes of a job, as one of them sees them. Every operation is collective: all processes call the same ones in
 * the same order with arrays of the same length, and none goes on before those it needs have come.
 */
export interface Communicator {
  /** This process, counted from 0. */
  readonly rank: number
  /** Number of processes. */
  readonly size: number
  /** Replaces every element by its sum over the processes, the same bits in each of them. */
  allReduceSum(values: Summable): Promise<void>
  /** Replaces the elements by those of process `root`. */
  broadcast(values: Copyable, root: number): Promise<void>
  /** Waits for everybody. */
  barrier(): Promise<void>
  /** Ends all processes at once, this one included: those that wait for it would do so for ever. */
  abort(code: number): void
  /** Leaves the job, at the end of the work and together with everybody. */
  finalize(): Promise<void>
}

/** A process on its own. */
export const soloCommunicator: Communicator = {
  rank: 0,
  size: 1,
  allReduceSum: () => Promise.resolve(),
  broadcast: () => Promise.resolve(),
  barrier: () => Promise.resolve(),
  abort: () => undefined,
  finalize: () => Promise.resolve(),
}

/** Sums of numbers over the processes, in float64. */
export async function sumOver(communicator: Communicator, values: readonly number[]): Promise<number[]> {
  const sums = Float64Array.from(values)
  await communicator.allReduceSum(sums)
  return [...sums]
}

/** Whether a thing is so in any of the processes. */
export const anyOf = async (communicator: Communicator, here: boolean): Promise<boolean> =>
  (await sumOver(communicator, [Number(here)]))[0]! > 0

/** The bytes of process `root`, in all of them, however many there are. */
export async function broadcastBytes(communicator: Communicator, bytes: Uint8Array, root: number): Promise<Uint8Array> {
  const length = Float64Array.of(bytes.length)
  await communicator.broadcast(length, root)
  const copy = communicator.rank === root ? bytes : new Uint8Array(length[0]!)
  await communicator.broadcast(copy, root)
  return copy
}

/** The text of process `root`, in all of them. */
export const broadcastText = async (communicator: Communicator, text: string, root: number): Promise<string> =>
  new TextDecoder().decode(await broadcastBytes(communicator, new TextEncoder().encode(text), root))

/** The text of every process, by rank, in all of them. */
export async function gatherTexts(communicator: Communicator, text: string): Promise<string[]> {
  const texts: string[] = []
  for (let root = 0; root < communicator.size; root++) texts.push(await broadcastText(communicator, text, root))
  return texts
}

/** Does something in process 0 first and then in the others: what it downloads or writes is there for them. */
export async function leaderFirst<T>(communicator: Communicator, task: () => Promise<T>): Promise<T> {
  if (communicator.rank !== 0) await communicator.barrier()
  const result = await task()
  if (communicator.rank === 0) await communicator.barrier()
  return result
}

/** @file `lowrank train` as one process of an MPI job. */
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { soloCommunicator, type Communicator } from '../distributed/communicator.js'
import { PeerError } from '../errors.js'
import { localProcesses, nodeMpi, underMpi } from '../distributed/node-mpi.js'
import type { CommandContext, Output } from './flags.js'

/** What a process of the job that fails is given to say so before the others end. */
const PATIENCE_MS = 2000

/**
 * Runs a command in the job that this process is one of: as `mpirun` and `srun` tell, or because it is said to be.
 * Process 0 speaks for all; whoever fails says so and takes the others along, which would wait for it.
 */
export async function inJob(
  distributed: boolean,
  context: CommandContext,
  command: (communicator: Communicator, context: CommandContext) => Promise<number>,
): Promise<number> {
  const { env, output } = context
  if (!distributed && !underMpi(env)) return command(soloCommunicator, context)
  const communicator = await nodeMpi(env)
  const { rank, size } = communicator
  try {
    const code = await command(communicator, rank === 0 ? context : { ...context, output: silent(output) })
    await communicator.finalize()
    return code
  } catch (error) {
    if (error instanceof PeerError) {
      // Who failed says why, and ends the job with its own end.
      await sleep(PATIENCE_MS)
      return 1
    }
    // Who has not left the job properly ends it when the process does, after its message.
    if (size > 1) output.note(`process ${rank} of ${size} fails and ends the job:`)
    throw error
  }
}

/** Threads of one process where nothing is said: its share of the cores that it may run on. */
export function threadsOfProcess({ size }: Communicator, { env }: CommandContext): number | undefined {
  if (size === 1) return undefined
  return Math.max(1, Math.floor(availableParallelism() / (localProcesses(env) ?? 1)))
}

/** An output that prints nothing. */
function silent(output: Output): Output {
  const nothing = (): void => undefined
  return { ...output, live: false, write: nothing, print: nothing, printJson: nothing, note: nothing, status: nothing }
}

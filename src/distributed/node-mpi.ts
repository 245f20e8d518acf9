/** @file MPI in Node: the C library of Open MPI, called through koffi. The only file that imports it. */
import type * as KoffiPackage from 'koffi'
import { RuntimeError } from '../errors.js'
import type { Communicator, Copyable, Summable } from './communicator.js'

type Variables = Readonly<Record<string, string | undefined>>

/** Names under which the library is looked for; the first is that of Open MPI 4 and 5, the last that of development files. */
const LIBRARIES = ['libmpi.so.40', 'libmpi.40.dylib', 'libmpi.so', 'libmpi.dylib']

/** Set by mpirun of Open MPI, and by srun and Hydra for the PMIx and PMI protocols. */
const MARKS = ['OMPI_COMM_WORLD_SIZE', 'PMIX_RANK', 'PMI_SIZE']

/** MPI counts in 32-bit integers. */
const MOST_ELEMENTS = 2 ** 30

/** `MPI_IN_PLACE` of Open MPI: the receive buffer is the send buffer too. */
const IN_PLACE = 1

/** Whether this process was started as one of an MPI job. */
export const underMpi = (env: Variables): boolean => MARKS.some((name) => (env[name] ?? '') !== '')

/** Processes of the job on this machine, as far as the launcher tells. */
export const localProcesses = (env: Variables): number | undefined => {
  const told = Number(env['OMPI_COMM_WORLD_LOCAL_SIZE'] ?? env['MPI_LOCALNRANKS'])
  return Number.isInteger(told) && told > 0 ? told : undefined
}

type Koffi = Pick<typeof KoffiPackage, 'load'>

async function loadKoffi(): Promise<Koffi> {
  try {
    return (await import('koffi')).default
  } catch (cause) {
    throw new RuntimeError(
      `training over several processes needs the optional package koffi, which cannot be loaded (${(cause as Error).message}); install it: npm install koffi@3.3.4`,
      { cause },
    )
  }
}

function openLibrary(koffi: Koffi, env: Variables): ReturnType<Koffi['load']> {
  const named = env['LOWRANK_MPI_LIBRARY']
  const names = named === undefined || named === '' ? LIBRARIES : [named]
  const reasons: string[] = []
  for (const name of names)
    try {
      return koffi.load(name)
    } catch (error) {
      reasons.push(`${name}: ${(error as Error).message}`)
    }
  throw new RuntimeError(
    `the library of Open MPI cannot be loaded (${reasons.join('; ')}). Install it (Debian: apt-get install openmpi-bin), or name its file in LOWRANK_MPI_LIBRARY.`,
  )
}

/** The functions we call, and the handles, which are addresses of variables of the library. */
function bind(koffi: Koffi, env: Variables) {
  const library = openLibrary(koffi, env)
  const handle = (name: string): bigint => {
    try {
      return library.symbol(name) as bigint
    } catch (cause) {
      throw new RuntimeError(
        `the MPI library has no ${name}: it is not Open MPI (MPICH and Intel MPI have another binary interface). Name the file of Open MPI in LOWRANK_MPI_LIBRARY and start with its mpirun.`,
        { cause },
      )
    }
  }
  const handles = {
    world: handle('ompi_mpi_comm_world'),
    float: handle('ompi_mpi_float'),
    double: handle('ompi_mpi_double'),
    byte: handle('ompi_mpi_byte'),
    sum: handle('ompi_mpi_op_sum'),
  }
  const checked = (declaration: string) => {
    const call = library.func(declaration) as (...args: unknown[]) => number
    const name = /MPI_\w+/.exec(declaration)![0]
    return (...args: unknown[]): void => {
      const code = call(...args)
      if (code !== 0) throw new RuntimeError(`${name} failed with error ${code} of MPI; what mpirun printed says more`)
    }
  }
  return {
    ...handles,
    init: checked('int MPI_Init(void *argc, void *argv)'),
    rank: checked('int MPI_Comm_rank(void *comm, _Out_ int *rank)'),
    size: checked('int MPI_Comm_size(void *comm, _Out_ int *size)'),
    allReduce: checked('int MPI_Allreduce(intptr_t send, void *receive, int count, void *type, void *op, void *comm)'),
    broadcast: checked('int MPI_Bcast(void *buffer, int count, void *type, int root, void *comm)'),
    barrier: checked('int MPI_Barrier(void *comm)'),
    abort: checked('int MPI_Abort(void *comm, int code)'),
    finalize: checked('int MPI_Finalize()'),
  }
}

/** The parts of an array that one call may take. */
function* pieces<T extends Copyable>(values: T): Generator<T> {
  for (let start = 0; start < values.length; start += MOST_ELEMENTS) yield values.subarray(start, start + MOST_ELEMENTS) as T
}

/**
 * Joins the MPI job that this process was started in (`mpirun`, `srun`); a process started otherwise is a job of one.
 *
 * Calls block this thread until the others come. A process that ends without `finalize`, in whatever way, ends the job:
 * the others would wait for it for ever.
 *
 * @param env the environment: `LOWRANK_MPI_LIBRARY` names the library's file where it has an unusual one
 * @throws RuntimeError if koffi or Open MPI cannot be loaded, or the library is another implementation's
 * @example
 * const communicator = await nodeMpi() // under mpirun
 * for await (const event of train(adapter, { data: 'train.jsonl', communicator }));
 * await communicator.finalize()
 */
export async function nodeMpi(env: Readonly<Record<string, string | undefined>> = process.env): Promise<Communicator> {
  const mpi = bind(await loadKoffi(), env)
  mpi.init(null, null)
  const ask = (call: (comm: bigint, out: number[]) => void): number => {
    const out = [0]
    call(mpi.world, out)
    return out[0]!
  }
  const typeOf = (values: Copyable): bigint =>
    values instanceof Float32Array ? mpi.float : values instanceof Float64Array ? mpi.double : mpi.byte
  const abort = (code: number): void => mpi.abort(mpi.world, code)
  const abandon = (code: number): void => abort(code === 0 ? 1 : code)
  process.once('exit', abandon)
  return {
    rank: ask(mpi.rank),
    size: ask(mpi.size),
    async allReduceSum(values: Summable) {
      for (const piece of pieces(values)) mpi.allReduce(IN_PLACE, piece, piece.length, typeOf(piece), mpi.sum, mpi.world)
    },
    async broadcast(values, root) {
      for (const piece of pieces(values)) mpi.broadcast(piece, piece.length, typeOf(piece), root, mpi.world)
    },
    barrier: async () => mpi.barrier(mpi.world),
    abort,
    async finalize() {
      process.removeListener('exit', abandon)
      mpi.finalize()
    },
  }
}

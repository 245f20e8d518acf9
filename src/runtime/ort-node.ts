/** @file ONNX Runtime in Node: CPU, WebGPU and CUDA. */
import { realpath } from 'node:fs/promises'
import { dirname, relative, sep } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { InvalidOptionError, RuntimeError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { isFileTensor, type DType, type HostTensor, type Initializer, type TypedArray } from '../graph/types.js'
import { encodeModel } from '../onnx/encode.js'
import type { Runtime, RuntimeOptions, Session, SessionOptions } from './runtime.js'

const ERROR_ONLY = 3

/** Every tensor of the graph that lies in a file, those in attributes of Constant nodes included. */
function* fileTensors(graph: Graph): Generator<Initializer & { file: { path: string } }> {
  for (const tensor of graph.initializers.values()) if (isFileTensor(tensor)) yield tensor
  for (const node of graph.nodes)
    for (const attribute of Object.values(node.attributes))
      if (attribute.type === 'tensor' && isFileTensor(attribute.value)) yield attribute.value
}

/** The deepest folder that holds all files, for the runtime refuses external data outside the folder it is given. */
function commonFolder(paths: readonly string[]): string {
  let folder = dirname(paths[0]!)
  for (const path of paths) while (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep)) folder = dirname(folder)
  return folder
}

const toOrt = ({ dtype, data, shape }: HostTensor): Tensor => new Tensor(dtype as Tensor.Type, data as Tensor.DataType, shape)

const fromOrt = (tensor: Tensor): HostTensor => ({
  dtype: tensor.type as DType,
  shape: tensor.dims,
  data: tensor.data as TypedArray,
})

class OrtSession implements Session {
  constructor(
    private readonly session: InferenceSession,
    private readonly name: string,
  ) {}

  async run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>> {
    for (const name of this.session.inputNames)
      if (feeds[name] === undefined) throw new RuntimeError(`graph "${this.name}": no tensor was fed for input "${name}"`)
    let results: InferenceSession.ReturnType
    try {
      results = await this.session.run(Object.fromEntries(this.session.inputNames.map((name) => [name, toOrt(feeds[name]!)])))
    } catch (cause) {
      const shapes = Object.entries(feeds).map(([name, t]) => `${name}: ${t.dtype} [${t.shape.join(', ')}]`)
      throw new RuntimeError(
        `ONNX Runtime failed on graph "${this.name}": ${(cause as Error).message} (fed ${shapes.slice(0, 6).join('; ')})`,
        { cause },
      )
    }
    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromOrt(tensor)]))
  }

  async release(): Promise<void> {
    await this.session.release()
  }
}

/**
 * The runtime for Node. Weights stay in their files: the runtime maps them by offset.
 * @throws InvalidOptionError for a device that Node does not have
 */
export function nodeRuntime(options: RuntimeOptions = {}): Runtime {
  const device = options.device ?? 'cpu'
  if (device === 'wasm') throw new InvalidOptionError('device "wasm" is not available in Node yet; use "cpu"')
  return {
    device,
    async createSession(graph: Graph, sessionOptions: SessionOptions = {}): Promise<Session> {
      const real = new Map<string, string>()
      for (const { file } of fileTensors(graph)) if (!real.has(file.path)) real.set(file.path, await realpath(file.path))
      const folder = real.size === 0 ? undefined : commonFolder([...real.values()])
      const bytes = encodeModel(graph, (path) => relative(folder!, real.get(path)!).split(sep).join('/'))
      const session = {
        // A training graph has a thousand small operators: a thread that waits a moment for the next one saves waking it
        // up each time (a fifth of a tiny model's step). One that spins for long, as is the default, takes the cores from
        // JavaScript and from other processes (half the speed on a busy machine).
        intra_op: { allow_spinning: '1', spin_duration_us: '50' },
        // Smaller pieces of work towards the end of an operator, so that no thread waits long for the other.
        dynamic_block_base: '4',
        ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }),
        ...(sessionOptions.disablePrepacking === true && { disable_prepacking: '1' }),
      }
      try {
        const ort = await InferenceSession.create(bytes, {
          logSeverityLevel: ERROR_ONLY,
          executionProviders: [device],
          // A memory pattern is one block per shape of batch, on top of the arena: with batches of all lengths it costs
          // a third of the peak memory and saves no time.
          enableMemPattern: false,
          ...(options.threads !== undefined && { intraOpNumThreads: options.threads }),
          ...(sessionOptions.profile !== undefined && { enableProfiling: true, profileFilePrefix: sessionOptions.profile }),
          extra: { session },
        })
        return new OrtSession(ort, graph.name)
      } catch (cause) {
        throw new RuntimeError(`ONNX Runtime (${device}) refused graph "${graph.name}": ${(cause as Error).message}`, { cause })
      }
    },
  }
}

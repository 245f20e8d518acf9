/**
 * @file ONNX Runtime compiled to WebAssembly: in a page on the CPU or on WebGPU, in Node on the CPU.
 *
 * The only file that imports onnxruntime-web. Which of its builds `#onnxruntime-wasm` stands for is said in package.json:
 * Node needs one of its own.
 */
import type * as OrtModule from 'onnxruntime-web'
import type { InferenceSession } from 'onnxruntime-web'
import { InvalidOptionError, RuntimeError, messageOf } from '../errors.js'
import { fileTensors } from '../graph/file-tensors.js'
import type { Graph } from '../graph/graph.js'
import { isFileTensor, type FileTensor, type Initializer } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { encodeModel } from '../onnx/encode.js'
import { fallbackWarning } from './device/device-report.js'
import { executionProvider, lowerForDevice, type DeviceFeatures } from './device/lower-for-device.js'
import { ERROR_ONLY, OrtSession } from './ort-session.js'
import type { Runtime, RuntimeOptions, Session, SessionOptions } from './runtime.js'

export interface WebRuntimeOptions extends RuntimeOptions {
  readonly device: 'wasm' | 'webgpu'
  /** Where the weights of models are read from. */
  readonly files: Pick<Files, 'read'>
  /**
   * Folder (URL with `/` at its end) of the runtime's `.mjs` and `.wasm` files, where a bundler does not place them beside
   * its output. Copies of `node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded*`.
   */
  readonly wasmPaths?: string
}

type Ort = Pick<typeof OrtModule, 'InferenceSession' | 'Tensor' | 'env'>

/** Memory that WebAssembly can address. */
const WASM_BYTES = 2 ** 32

const loadOrt = (device: 'wasm' | 'webgpu'): Promise<Ort> =>
  device === 'webgpu' ? import('onnxruntime-web/webgpu') : import('#onnxruntime-wasm')

/** Threads that the one WebAssembly module of this page or process was started with, by build. */
const started = new Map<string, number | undefined>()

async function startOrt({ device, threads, wasmPaths }: WebRuntimeOptions): Promise<Ort> {
  const ort = await loadOrt(device)
  if (!started.has(device)) {
    if (threads !== undefined) ort.env.wasm.numThreads = threads
    if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths
    started.set(device, threads)
  } else if (threads !== undefined && threads !== started.get(device)) {
    const now = started.get(device)
    throw new InvalidOptionError(
      `device "${device}" already runs with ${now === undefined ? 'its own choice of threads' : `${now} thread(s)`} and cannot change to ${threads}: ` +
        'the WebAssembly module takes their number when it starts; use the same number everywhere',
    )
  }
  return ort
}

/** A graph whose file tensors each lie at the start of a file of their own, and those files' names with the true places. */
function separateFiles(graph: Graph): { graph: Graph; places: ReadonlyMap<string, FileTensor['file']> } {
  const result = graph.clone()
  const places = new Map<string, FileTensor['file']>()
  const move = (tensor: Initializer): Initializer => {
    if (!isFileTensor(tensor)) return tensor
    const path = `tensor${places.size}`
    places.set(path, tensor.file)
    return { ...tensor, file: { path, offset: 0, length: tensor.file.length } }
  }
  for (const [name, tensor] of graph.initializers) result.initializers.set(name, move(tensor))
  result.nodes = graph.nodes.map((node) => {
    if (!Object.values(node.attributes).some((a) => a.type === 'tensor' && isFileTensor(a.value))) return node
    const attributes = Object.entries(node.attributes).map(
      ([name, a]) => [name, a.type === 'tensor' ? { ...a, value: move(a.value) } : a] as const,
    )
    return { ...node, attributes: Object.fromEntries(attributes) }
  })
  return { graph: result, places }
}

/** The module has one table of external files, and clears it after each session: one session is made at a time. */
let queue: Promise<unknown> = Promise.resolve()
function oneAtATime<T>(work: () => Promise<T>): Promise<T> {
  const result = queue.then(work)
  queue = result.catch(() => undefined)
  return result
}

function assertFits(graph: Graph, device: string): void {
  let bytes = 0
  for (const { file } of fileTensors(graph)) bytes += file.length
  if (bytes > WASM_BYTES)
    throw new RuntimeError(
      `the weights of graph "${graph.name}" are ${(bytes / 2 ** 30).toFixed(1)} GiB; device "${device}" runs in WebAssembly, which addresses ` +
        '4 GiB: use a smaller or quantised model, or device "cpu" in Node',
    )
}

/** What the page's GPU can do. @throws RuntimeError if it can use none, before megabytes are loaded */
async function gpuFeatures(): Promise<DeviceFeatures> {
  type Gpu = { requestAdapter(): Promise<{ readonly features: ReadonlySet<string> } | null> }
  const gpu = (globalThis.navigator as { gpu?: Gpu } | undefined)?.gpu
  if (gpu === undefined)
    throw new RuntimeError(
      'device "webgpu": this browser has no WebGPU (or the page is not served over https or localhost); use device "wasm"',
    )
  const adapter = await gpu.requestAdapter().catch(() => null)
  if (adapter === null) throw new RuntimeError('device "webgpu": the browser found no GPU that it may use; use device "wasm"')
  return { float16: adapter.features.has('shader-f16') }
}

/**
 * The runtime in WebAssembly. Weights are read from `files` when a session is created and handed over as buffers.
 * @throws InvalidOptionError (on creating a session) if threads differ from those the module was started with
 */
export function webRuntime(options: WebRuntimeOptions): Runtime {
  const { device, files, onWarning } = options
  return {
    device,
    async createSession(graph: Graph, sessionOptions: SessionOptions = {}): Promise<Session> {
      if (sessionOptions.profile !== undefined)
        throw new InvalidOptionError(`device "${device}" writes no profile; use device "cpu"`)
      assertFits(graph, device)
      const features = device === 'webgpu' ? await gpuFeatures() : undefined
      const ort = await startOrt(options)
      const warning = onWarning && fallbackWarning(graph, device)
      if (warning !== undefined) onWarning?.(warning)
      const { graph: separate, places } = separateFiles(lowerForDevice(graph, device, features))
      return oneAtATime(async () => {
        const externalData = await Promise.all(
          [...places].map(async ([path, { path: file, ...range }]) => ({ path, data: await files.read(file, range) })),
        )
        const ortOptions: InferenceSession.SessionOptions = {
          logSeverityLevel: ERROR_ONLY,
          executionProviders: [executionProvider(separate, device)],
          enableMemPattern: false,
          externalData,
          ...(sessionOptions.disablePrepacking === true && { extra: { session: { disable_prepacking: '1' } } }),
        }
        try {
          const bytes = encodeModel(separate, undefined, { innerShapes: true })
          return new OrtSession(await ort.InferenceSession.create(bytes, ortOptions), graph.name, ort.Tensor)
        } catch (cause) {
          throw new RuntimeError(`ONNX Runtime (${device}) refused graph "${graph.name}": ${messageOf(cause)}`, { cause })
        }
      })
    },
  }
}

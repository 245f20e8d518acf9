/** @file ONNX Runtime in Node: CPU, WebGPU and CUDA; WebAssembly by way of `ort-web.ts`. */
import { assertTelemetryDecided } from './telemetry.js'
import { realpath } from 'node:fs/promises'
import { dirname, relative, sep } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { InvalidOptionError, RuntimeError, messageOf } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { fileTensors } from '../graph/file-tensors.js'
import { Graph } from '../graph/graph.js'
import { nodeFiles } from '../io/node-files.js'
import { encodeModel } from '../onnx/encode.js'
import { fallbackWarning } from './device/device-report.js'
import { executionProvider, lowerForDevice } from './device/lower-for-device.js'
import { hasFloat16 } from './device/without-float16.js'
import { ERROR_ONLY, OrtSession } from './ort-session.js'
import { webRuntime } from './ort-web.js'
import { devices, type Device, type Runtime, type RuntimeOptions, type Session, type SessionOptions } from './runtime.js'

/** The deepest folder that holds all files, for the runtime refuses external data outside the folder it is given. */
function commonFolder(paths: readonly string[]): string {
  let folder = dirname(paths[0]!)
  for (const path of paths) while (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep)) folder = dirname(folder)
  return folder
}

/** Only fatal errors: a probe may fail. */
const FATAL_ONLY = 4

let shadersKnowFloat16: Promise<boolean> | undefined

/**
 * Whether shaders of this machine's GPU know 16-bit floats. The native runtime does not tell the adapter's features, so one
 * addition is tried, the first time that a graph needs the answer.
 */
export async function webgpuKnowsFloat16(): Promise<boolean> {
  const attempt = async (): Promise<boolean> => {
    const probe = new Graph('float16')
    const x = probe.addInput('x', 'float16', [1])
    probe.outputs = [new GraphBuilder(probe).add(x, x)]
    const options = { logSeverityLevel: FATAL_ONLY, executionProviders: ['webgpu'] } as const
    // Without any GPU the session of the graph itself fails, with the right words.
    const session = await InferenceSession.create(encodeModel(probe), options).catch(() => undefined)
    if (session === undefined) return true
    try {
      await session.run({ x: new Tensor('float16', new Uint16Array(1), [1]) }, { logSeverityLevel: FATAL_ONLY })
      return true
    } catch {
      return false
    } finally {
      await session.release()
    }
  }
  return (shadersKnowFloat16 ??= attempt())
}

/**
 * What the runtime means where a device is not there: it answers with source locations and conditions.
 * @returns undefined if the device is not what is wrong
 */
function absence(device: Device, message: string): string | undefined {
  if (device === 'webgpu' && message.includes('Failed to get a WebGPU adapter'))
    return 'device "webgpu": no GPU was found; it needs a Vulkan, Metal or Direct3D 12 driver; use device "cpu" or "wasm"'
  if (device === 'cuda' && message.includes('is unsupported'))
    return 'device "cuda": it needs Linux x64 and an NVIDIA GPU; use device "webgpu" or "cpu" otherwise'
  if (device === 'cuda' && message.includes('Failed to load shared library'))
    return (
      'device "cuda": its libraries could not be loaded; they are no part of the npm package: on Linux x64 with an NVIDIA GPU, CUDA 12 and ' +
      'cuDNN 9, run "node node_modules/onnxruntime-node/script/install.js", which downloads them; use device "webgpu" or "cpu" otherwise'
    )
  return undefined
}

/**
 * The runtime for Node. Weights stay in their files: the runtime maps them by offset.
 * @throws InvalidOptionError for an unknown device
 */
export function nodeRuntime(options: RuntimeOptions = {}): Runtime {
  const device = options.device ?? 'cpu'
  if (!devices.includes(device))
    throw new InvalidOptionError(`unknown device "${device as string}"; expected one of ${devices.join(', ')}`)
  if (device === 'wasm') return webRuntime({ ...options, device, files: nodeFiles() })
  return {
    device,
    async createSession(original: Graph, sessionOptions: SessionOptions = {}): Promise<Session> {
      assertTelemetryDecided()
      const warning = options.onWarning && fallbackWarning(original, device)
      if (warning !== undefined) options.onWarning?.(warning)
      const graph = lowerForDevice(original, device, {
        float16: device !== 'webgpu' || !hasFloat16(original) || (await webgpuKnowsFloat16()),
      })
      const real = new Map<string, string>()
      for (const { file } of fileTensors(graph)) if (!real.has(file.path)) real.set(file.path, await realpath(file.path))
      const folder = real.size === 0 ? undefined : commonFolder([...real.values()])
      const locate = (path: string): string => relative(folder!, real.get(path)!).split(sep).join('/')
      const bytes = encodeModel(graph, locate, { innerShapes: true })
      const session = {
        // A training graph has a thousand small operators: a thread that waits a moment for the next one saves waking it
        // up each time (a fifth of a tiny model's step). One that spins for long, as is the default, takes the cores from
        // JavaScript and from other processes (half the speed on a busy machine).
        intra_op: { allow_spinning: '1', spin_duration_us: '50' },
        // Smaller pieces of work towards the end of an operator, so that no thread waits long for the other.
        dynamic_block_base: '4',
        // A product with a dequantised 4- or 8-bit weight is fused, and would then round its other operand to 8 bits too.
        qdq_matmulnbits_accuracy_level: '1',
        ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }),
        ...(sessionOptions.disablePrepacking === true && { disable_prepacking: '1' }),
      }
      try {
        const ort = await InferenceSession.create(bytes, {
          logSeverityLevel: ERROR_ONLY,
          executionProviders: [executionProvider(graph, device)],
          // A memory pattern is one block per shape of batch, on top of the arena: with batches of all lengths it costs
          // a third of the peak memory and saves no time.
          enableMemPattern: false,
          ...(options.threads !== undefined && { intraOpNumThreads: options.threads }),
          ...(sessionOptions.profile !== undefined && { enableProfiling: true, profileFilePrefix: sessionOptions.profile }),
          extra: { session },
        })
        return new OrtSession(ort, graph.name, Tensor)
      } catch (cause) {
        const message = messageOf(cause).trim()
        const what = absence(device, message) ?? `ONNX Runtime (${device}) refused graph "${graph.name}": ${message}`
        throw new RuntimeError(what, { cause })
      }
    },
  }
}

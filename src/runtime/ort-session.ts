/** @file A session of ONNX Runtime, native or WebAssembly: both have the same interface. */
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-web'
import { RuntimeError, messageOf } from '../errors.js'
import type { DType, HostTensor, TypedArray } from '../graph/types.js'
import type { Session } from './runtime.js'

/** Only errors: warnings of the runtime are about its own optimisations. */
export const ERROR_ONLY = 3

/** float16 is held as bits; newer engines give a Float16Array instead. */
function dataOf(tensor: Tensor): TypedArray {
  const data = tensor.data as TypedArray
  return tensor.type === 'float16' && !(data instanceof Uint16Array)
    ? new Uint16Array((data as ArrayBufferView).buffer as ArrayBuffer, (data as ArrayBufferView).byteOffset, tensor.size)
    : data
}

const fromOrt = (tensor: Tensor): HostTensor => ({ dtype: tensor.type as DType, shape: tensor.dims, data: dataOf(tensor) })

/** Feeds and fetches of one compiled graph. */
export class OrtSession implements Session {
  constructor(
    private readonly session: InferenceSession,
    private readonly name: string,
    /** The class of tensors that this build of the runtime takes. */
    private readonly Tensor: TensorConstructor,
  ) {}

  async run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>> {
    for (const name of this.session.inputNames)
      if (feeds[name] === undefined) throw new RuntimeError(`graph "${this.name}": no tensor was fed for input "${name}"`)
    let results: InferenceSession.ReturnType
    try {
      results = await this.session.run(
        Object.fromEntries(this.session.inputNames.map((name) => [name, this.toOrt(feeds[name]!)])),
      )
    } catch (cause) {
      const shapes = Object.entries(feeds).map(([name, t]) => `${name}: ${t.dtype} [${t.shape.join(', ')}]`)
      throw new RuntimeError(
        `ONNX Runtime failed on graph "${this.name}": ${messageOf(cause)} (fed ${shapes.slice(0, 6).join('; ')})`,
        { cause },
      )
    }
    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromOrt(tensor)]))
  }

  async release(): Promise<void> {
    await this.session.release()
  }

  private toOrt({ dtype, data, shape }: HostTensor): Tensor {
    return new this.Tensor(dtype as Tensor.Type, data as Tensor.DataType, shape)
  }
}

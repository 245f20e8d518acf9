/** @file The weights of an export: those of the model with what merging changes, in one element type. */
import { firstNonFinite } from '../adapters/strict.js'
import { applyDeltas, misfit, untiesWeight, type WeightDelta } from '../adapters/weight-delta.js'
import { InvalidAdapterError, InvalidModelError } from '../errors.js'
import { loadTensor, toFloat32 } from '../formats/safetensors.js'
import { bytesOf, fromBytes } from '../graph/constants.js'
import { bytesPerElement, formatShape, isFileTensor, type HostTensor, type Initializer } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { narrow } from '../util/half.js'
import { fileChunks, type TensorSource } from '../export/onnx-file.js'
import type { ExportDType } from '../export/onnx-folder.js'
import type { Deltas } from './plan.js'

interface Planned {
  readonly base: Initializer
  readonly deltas: readonly WeightDelta[]
}

/**
 * What each weight of the graph is made of. An adapted head that shares its weight with the embedding gets one of its own,
 * and so does the head of an adapted embedding, which keeps the base's.
 * @throws InvalidAdapterError for a change of a weight that the model does not have, or of another size
 */
export function planWeights(weights: ReadonlyMap<string, Initializer>, changes: Deltas): Map<string, Planned> {
  const plans = new Map([...weights].map(([name, base]): [string, Planned] => [name, { base, deltas: [] }]))
  for (const [weight, deltas] of changes)
    for (const delta of deltas) {
      const base = weights.get(weight)
      if (base === undefined)
        throw new InvalidAdapterError(`the model has no weight "${weight}" for the adapter to be merged into`)
      const problem = misfit(delta, base.shape)
      if (problem !== undefined)
        throw new InvalidAdapterError(
          `the adapter of ${delta.module} (${problem}) does not fit weight "${weight}" ${formatShape(base.shape)}`,
        )
      const target = untiesWeight(delta, weight) ? `${delta.module}.weight` : weight
      const before = plans.get(target)
      plans.set(target, { base, deltas: [...(before?.base === base ? before.deltas : []), delta] })
      const keeper = 'keeps' in delta && delta.keeps !== undefined ? `${delta.keeps}.weight` : undefined
      if (keeper !== undefined && !plans.has(keeper)) plans.set(keeper, { base, deltas: [] })
    }
  return plans
}

const FLOATS = ['float32', 'float16', 'bfloat16', 'float64']

/** Vectors are few and some of them are added to large numbers: only matrices are stored in 16 bits. */
const storedAs = (base: Initializer, dtype: ExportDType): Initializer['dtype'] => {
  if (!FLOATS.includes(base.dtype)) return base.dtype
  return dtype === 'fp16' && base.shape.length > 1 ? 'float16' : 'float32'
}

/**
 * Sources of all planned weights. Plain weights are read, converted and passed on in pieces; of a merged one the whole
 * tensor is in memory, one at a time.
 * @param onDelta told the largest absolute change of each merged weight
 */
export function weightSources(
  files: Files,
  plans: ReadonlyMap<string, Planned>,
  dtype: ExportDType,
  onDelta: (maxAbs: number) => void = () => undefined,
): Map<string, TensorSource> {
  return new Map([...plans].map(([name, planned]) => [name, weightSource(files, name, planned, dtype, onDelta)]))
}

function weightSource(
  files: Files,
  name: string,
  { base, deltas }: Planned,
  dtype: ExportDType,
  onDelta: (maxAbs: number) => void,
): TensorSource {
  const { shape } = base
  const stored = storedAs(base, dtype)
  const converted = (part: HostTensor): Uint8Array =>
    part.dtype === stored ? bytesOf(part) : bytesOf(fits(name, toFloat32(part), stored))
  return {
    dtype: stored,
    shape,
    async *chunks() {
      if (deltas.length === 0 && !isFileTensor(base)) yield converted(base)
      else if (deltas.length === 0 && isFileTensor(base)) {
        const size = bytesPerElement[base.dtype as keyof typeof bytesPerElement]
        for await (const bytes of fileChunks(files, base.file))
          yield converted(fromBytes(base.dtype, [bytes.length / size], bytes))
      } else {
        const before = toFloat32(isFileTensor(base) ? await loadTensor(files, base) : base)
        const { weight: values, maxAbsDelta } = applyDeltas(before, shape, deltas)
        onDelta(maxAbsDelta)
        const bad = values.findIndex((value) => !Number.isFinite(value))
        if (bad >= 0)
          throw new InvalidAdapterError(
            `merging gives ${String(values[bad])} in weight "${name}", element ${bad}; the base or the adapter holds NaN or infinity, or values too large`,
          )
        yield bytesOf(fits(name, values, stored))
      }
    },
  }
}

/** Values in the element type of the file. @throws InvalidModelError for a value that it cannot hold */
function fits(name: string, values: Float32Array, dtype: Initializer['dtype']): HostTensor {
  if (dtype === 'float32') return { dtype, shape: [values.length], data: values }
  const host: HostTensor = { dtype: 'float16', shape: [values.length], data: narrow('float16', values) }
  const bad = firstNonFinite(host)
  if (bad >= 0 && Number.isFinite(values[bad]))
    throw new InvalidModelError(`weight "${name}" holds ${values[bad]}, which float16 cannot; export with dtype "fp32"`)
  return host
}

/** Stand-ins for weights that are computed when the file is written: their element type and shape. */
export const standIns = (sources: ReadonlyMap<string, TensorSource>): Map<string, Initializer> =>
  new Map([...sources].map(([name, { dtype, shape }]) => [name, { dtype, shape, file: { path: '', offset: 0, length: 0 } }]))
